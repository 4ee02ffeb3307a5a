"""Short ways to ask a world."""

from core.kv.requests import (
    Delete,
    Found,
    Get,
    Grant,
    Granted,
    Put,
    Txn,
    TxnDone,
)
from tests.contract.worlds import World, record

ONE, TWO = record(1), record(2)


def write(world: World, *ops: Put | Delete) -> int:
    """Write without a guard; the revision."""
    done = world.call(Txn((), ops))
    assert isinstance(done, TxnDone), done
    assert done.succeeded
    return done.revision


def keys(world: World, key: str, end: str | None = None) -> list[str]:
    found = world.call(Get(key, end))
    assert isinstance(found, Found), found
    return [kv.key for kv in found.kvs]


def lease_of(world: World, ttl_s: float = 60.0) -> int:
    granted = world.call(Grant(ttl_s))
    assert isinstance(granted, Granted), granted
    return granted.lease
