"""What Tandem relies on in etcd, run against the model in memory, the simulated server and a real one."""

from collections.abc import Iterator

import pytest

from core.etcd.embedded import EmbeddedEtcd
from core.kv.requests import (
    Change,
    Compare,
    CompareField,
    CompareOp,
    Delete,
    Found,
    Get,
    Grant,
    Granted,
    Put,
    Reason,
    Refused,
    Revoke,
    Revoked,
    Txn,
    TxnDone,
    absent,
    present,
    unchanged,
)
from tests.contract.worlds import EtcdWorld, MemoryWorld, StationWorld, World, record

ONE, TWO = record(1), record(2)


@pytest.fixture(params=["memory", "station", "etcd"])
def world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    if request.param == "station":
        yield StationWorld()
        return
    etcd: EmbeddedEtcd = request.getfixturevalue("etcd")
    real = EtcdWorld(",".join(etcd.endpoints), namespace)
    yield real
    real.close()


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


# --- reads and revisions -----------------------------------------------------------------------------------------


def test_a_key_carries_its_history_in_numbers(world: World) -> None:
    first = write(world, Put("a", ONE))
    second = write(world, Put("a", TWO))
    found = world.call(Get("a"))
    assert isinstance(found, Found)
    (kv,) = found.kvs
    assert (kv.key, kv.value, kv.mod_revision, kv.create_revision, kv.version) == ("a", TWO, second, first, 2)
    assert second == first + 1
    assert (found.revision, found.more, found.count) == (second, False, 1)


def test_a_deleted_key_starts_anew(world: World) -> None:
    write(world, Put("a", ONE))
    write(world, Delete("a"))
    assert world.call(Get("a")) == Found((), write(world, Put("b", ONE)) - 1, more=False, count=0)
    again = write(world, Put("a", ONE))
    found = world.call(Get("a"))
    assert isinstance(found, Found)
    assert (found.kvs[0].create_revision, found.kvs[0].version) == (again, 1)


def test_one_transaction_is_one_revision(world: World) -> None:
    before = write(world, Put("a", ONE))
    revision = write(world, Put("b", ONE), Put("c", ONE), Delete("a"))
    assert revision == before + 1
    found = world.call(Get("a", "z"))
    assert isinstance(found, Found)
    assert [(kv.key, kv.mod_revision) for kv in found.kvs] == [("b", revision), ("c", revision)]


def test_what_changes_nothing_raises_no_revision(world: World) -> None:
    before = write(world, Put("a", ONE))
    assert write(world, Delete("never")) == before
    assert world.call(Txn((absent("a"),), (Put("b", ONE),))) == TxnDone(succeeded=False, revision=before)
    assert world.call(Txn((), ())) == TxnDone(succeeded=True, revision=before)


def test_range_in_key_order_with_limit_and_count(world: World) -> None:
    revision = write(world, *(Put(f"r/{name}", ONE) for name in ("c", "a", "d", "b")), Put("r0", ONE), Put("q", ONE))
    assert keys(world, "r/", "r0") == ["r/a", "r/b", "r/c", "r/d"]
    assert keys(world, "r/b", "r/d") == ["r/b", "r/c"]
    assert keys(world, "r/b") == ["r/b"]
    assert keys(world, "r/z", "r/a") == []
    assert keys(world, "a", "z") == ["q", "r/a", "r/b", "r/c", "r/d", "r0"]
    cut = world.call(Get("r/", "r0", limit=3, keys_only=True))
    assert isinstance(cut, Found)
    assert ([kv.key for kv in cut.kvs], cut.more, cut.count) == (["r/a", "r/b", "r/c"], True, 4)
    assert [(kv.value, kv.mod_revision, kv.version) for kv in cut.kvs] == [(None, revision, 1)] * 3
    whole = world.call(Get("r/", "r0", limit=4))
    assert isinstance(whole, Found)
    assert (len(whole.kvs), whole.more, whole.count) == (4, False, 4)
    assert world.call(Get("r/", "r0", count_only=True)) == Found((), revision, more=False, count=4)


def test_more_keys_than_a_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.etcd.pages.PAGE_KEYS", 7)
    revision = write(world, *(Put(f"p/{number:03d}", ONE) for number in range(50)))
    for limit, expected in ((0, 50), (20, 20), (50, 50)):
        found = world.call(Get("p/", "p0", limit=limit))
        assert isinstance(found, Found)
        assert [kv.key for kv in found.kvs] == [f"p/{number:03d}" for number in range(expected)]
        assert (found.more, found.count, found.revision) == (limit == 20, 50, revision)


def test_reading_the_past(world: World) -> None:
    first = write(world, Put("a", ONE), Put("b", ONE))
    second = write(world, Put("a", TWO), Delete("b"), Put("c", ONE))
    past = world.call(Get("a", "z", revision=first))
    assert isinstance(past, Found)
    assert [(kv.key, kv.value, kv.mod_revision) for kv in past.kvs] == [("a", ONE, first), ("b", ONE, first)]
    assert past.revision == second
    assert world.call(Get("b", revision=first)) == Found(past.kvs[1:], second, more=False, count=1)
    future = world.call(Get("a", revision=second + 1000))
    assert isinstance(future, Refused)
    assert future.reason is Reason.INVALID


def test_compaction_ends_the_past(world: World) -> None:
    first = write(world, Put("a", ONE))
    second = write(world, Put("a", TWO))
    write(world, Put("b", ONE))
    world.compact(second)
    gone = world.call(Get("a", revision=first))
    assert isinstance(gone, Refused)
    assert gone.reason is Reason.COMPACTED
    kept = world.call(Get("a", revision=second))
    assert isinstance(kept, Found)
    assert kept.kvs[0].value == TWO
    world.watch("late", "a", "b", first)
    assert world.collect("late", 1) is None


# --- compares ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", list(CompareOp))
@pytest.mark.parametrize("field", list(CompareField))
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_compares(world: World, field: CompareField, op: CompareOp, offset: int) -> None:
    created = write(world, Put("a", ONE))
    modified = write(world, Put("a", ONE))
    actual = {CompareField.CREATE_REVISION: created, CompareField.MOD_REVISION: modified, CompareField.VERSION: 2}
    value = actual[field] + offset
    expected = offset == 0 if op is CompareOp.EQUAL else offset < 0
    done = world.call(Txn((Compare("a", field, op, value),), (Get("a"),)))
    assert isinstance(done, TxnDone)
    assert done.succeeded is expected


@pytest.mark.parametrize("field", list(CompareField))
def test_an_absent_key_compares_as_zero(world: World, field: CompareField) -> None:
    for op, expected in ((CompareOp.EQUAL, True), (CompareOp.GREATER, False)):
        done = world.call(Txn((Compare("no", field, op, 0),), ()))
        assert isinstance(done, TxnDone)
        assert done.succeeded is expected


def test_every_compare_must_hold(world: World) -> None:
    revision = write(world, Put("a", ONE), Put("b", ONE))
    holds = (present("a"), absent("c"), unchanged("b", revision))
    assert world.call(Txn(holds, (Put("c", ONE),))) == TxnDone(succeeded=True, revision=revision + 1)
    done = world.call(Txn(holds, (Put("d", ONE),), (Get("c", keys_only=True), Get("d"), Get("a", "c", limit=1))))
    assert isinstance(done, TxnDone)
    assert not done.succeeded
    assert [[kv.key for kv in found.kvs] for found in done.found] == [["c"], [], ["a"]]
    assert done.found[2].more
    assert keys(world, "d") == []


def test_reads_in_a_transaction_see_the_writes_before_them(world: World) -> None:
    before = write(world, Put("a", ONE))
    done = world.call(Txn((), (Get("a"), Put("a", TWO), Get("a"), Delete("b"), Get("b"))))
    assert isinstance(done, TxnDone)
    old, new, none = done.found
    assert (old.kvs[0].value, old.revision) == (ONE, before)
    assert (new.kvs[0].value, new.kvs[0].mod_revision, new.revision) == (TWO, before + 1, before + 1)
    assert none.kvs == ()
    assert done.revision == before + 1


# --- what etcd refuses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ops",
    [(Put("a", ONE), Put("a", TWO)), (Put("a", ONE), Delete("a")), (Delete("a"), Put("a", ONE))],
    ids=["put-put", "put-delete", "delete-put"],
)
def test_a_key_written_twice_is_refused(world: World, ops: tuple[Put | Delete, ...]) -> None:
    for compares in ((), (present("never"),)):
        refused = world.call(Txn(compares, ops))
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.INVALID
    assert keys(world, "a") == []


def test_a_key_may_be_deleted_twice(world: World) -> None:
    before = write(world, Put("a", ONE))
    assert write(world, Delete("a"), Delete("a")) == before + 1


def test_the_limit_holds_for_each_part_of_a_transaction(world: World) -> None:
    most = world.max_operations
    reads = tuple(Get(f"k{number}") for number in range(most))
    compares = tuple(absent(f"k{number}") for number in range(most))
    assert isinstance(world.call(Txn(compares, reads, reads)), TxnDone)
    one = (Get("k"),)
    for txn in (Txn((*compares, absent("k")), reads), Txn((), reads + one), Txn((), (), reads + one)):
        refused = world.call(txn)
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.TOO_MANY_OPERATIONS


def test_a_dead_lease_refuses_the_branch_that_needs_it(world: World) -> None:
    lease = lease_of(world)
    assert world.call(Revoke(lease)) == Revoked()
    refused = world.call(Txn((), (Put("a", ONE), Put("b", ONE, lease))))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.LEASE_NOT_FOUND
    assert keys(world, "a", "c") == []
    done = world.call(Txn((present("no"),), (Put("b", ONE, lease),)))
    assert isinstance(done, TxnDone)
    assert not done.succeeded


# --- leases ------------------------------------------------------------------------------------------------------


def test_a_lease_takes_its_keys_along_in_one_revision(world: World) -> None:
    lease = lease_of(world)
    before = write(world, Put("b", ONE, lease), Put("a", ONE, lease), Put("c", ONE))
    found = world.call(Get("a"))
    assert isinstance(found, Found)
    assert found.kvs[0].lease == lease
    world.watch("all", "a", "d", before + 1)
    assert world.call(Revoke(lease)) == Revoked()
    assert world.call(Revoke(lease)) == Revoked()
    assert keys(world, "a", "d") == ["c"]
    assert world.collect("all", 2) == [
        Change("a", None, before + 1, deleted=True),
        Change("b", None, before + 1, deleted=True),
    ]
    assert write(world, Put("d", ONE)) == before + 2


def test_a_lease_without_keys_ends_without_a_revision(world: World) -> None:
    before = write(world, Put("a", ONE))
    world.call(Revoke(lease_of(world)))
    assert write(world, Put("a", ONE)) == before + 1


def test_a_key_belongs_to_the_lease_of_its_last_put(world: World) -> None:
    first, second = lease_of(world), lease_of(world)
    write(world, *(Put(key, ONE, first) for key in "abc"))
    write(world, Put("a", ONE), Put("b", ONE, second), Delete("c"))
    write(world, Put("c", ONE))
    world.call(Revoke(first))
    assert keys(world, "a", "d") == ["a", "b", "c"]
    world.call(Revoke(second))
    assert keys(world, "a", "d") == ["a", "c"]


def test_short_leases_are_made_longer_and_leases_are_different(world: World) -> None:
    short, again, long = world.call(Grant(0.5)), world.call(Grant(0.5)), world.call(Grant(7.2))
    assert isinstance(short, Granted)
    assert isinstance(again, Granted)
    assert isinstance(long, Granted)
    assert (short.ttl_s, long.ttl_s) == (2.0, 8.0)
    assert len({short.lease, again.lease, long.lease}) == 3


def test_keep_alive_says_whether_the_lease_lives(world: World) -> None:
    granted = world.call(Grant(2.0))
    assert isinstance(granted, Granted)
    assert world.keep_alive(granted.lease) == 2.0
    world.call(Revoke(granted.lease))
    assert world.keep_alive(granted.lease) == 0.0


def test_an_expired_lease_deletes_its_keys(world: World) -> None:
    granted = world.call(Grant(2.0))
    assert isinstance(granted, Granted)
    revision = write(world, Put("a", ONE, granted.lease))
    world.watch("expiry", "a", "b", revision + 1)
    world.pass_lease_time(granted.lease, granted.ttl_s)
    assert world.collect("expiry", 1) == [Change("a", None, revision + 1, deleted=True)]
    assert world.keep_alive(granted.lease) == 0.0
    assert keys(world, "a") == []


# --- watches -----------------------------------------------------------------------------------------------------


def test_a_watch_tells_every_change_in_order(world: World) -> None:
    start = write(world, Put("w/a", ONE), Put("v", ONE))
    world.watch("w", "w/", "w0", start)
    write(world, Put("w/b", ONE), Put("x", ONE), Delete("w/a"))
    write(world, Put("w/b", TWO))
    world.watch("again", "w/", "w0", start)
    expected = [
        Change("w/a", ONE, start, version=1),
        Change("w/b", ONE, start + 1, version=1),
        Change("w/a", None, start + 1, deleted=True),
        Change("w/b", TWO, start + 2, version=2),
    ]
    assert world.collect("w", 4) == expected
    assert world.collect("again", 4) == expected


@pytest.mark.parametrize(("puts", "deletes"), [(True, False), (False, True)])
def test_a_watch_leaves_out_what_nobody_asked_for(world: World, puts: bool, deletes: bool) -> None:
    start = write(world, Put("w/a", ONE), Put("w/b", ONE)) + 1
    world.watch("w", "w/", "w0", start, puts=puts, deletes=deletes)
    write(world, Put("w/c", ONE))
    write(world, Delete("w/a"))
    world.watch("late", "w/", "w0", start, puts=puts, deletes=deletes)
    write(world, Put("w/d", ONE))
    write(world, Delete("w/b"))
    expected = ["w/c", "w/d"] if puts else ["w/a", "w/b"]
    for name in ("w", "late"):
        changes = world.collect(name, 2)
        assert changes is not None
        assert [change.key for change in changes] == expected


def test_a_watch_may_start_in_the_future_and_at_one_key(world: World) -> None:
    start = write(world, Put("w", ONE)) + 2
    world.watch("w", "w", "w\0", start)
    write(world, Put("w", ONE))
    write(world, Put("w", TWO), Put("w/a", ONE))
    write(world, Delete("w"))
    assert world.collect("w", 2) == [
        Change("w", TWO, start, version=3),
        Change("w", None, start + 1, deleted=True),
    ]


def test_a_watch_that_was_stopped_is_silent(world: World) -> None:
    start = write(world, Put("w/a", ONE))
    world.watch("gone", "w/", "w0", start)
    world.watch("here", "w/", "w0", start)
    assert len(world.collect("gone", 1) or ()) == 1
    world.unwatch("gone")
    write(world, Put("w/b", ONE))
    assert len(world.collect("here", 2) or ()) == 2
    if isinstance(world, EtcdWorld):
        assert len(world.collect("gone", 0) or ()) == 1
