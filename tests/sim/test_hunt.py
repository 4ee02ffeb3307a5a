"""Random systems under random faults: nothing is lost, nothing is committed twice, every invariant holds."""

import pytest

from core.kv import keys
from core.kv.requests import Delete, Found, Get, Put, Txn
from sim.config import SimResult
from sim.hunt import hostile, violations
from sim.run import simulate


@pytest.mark.parametrize("seed", range(1, 31))
def test_nothing_is_lost_and_nothing_ends_twice(seed: int) -> None:
    config = hostile(seed)
    assert violations(config, simulate(config)) == []


def test_the_hunt_would_notice() -> None:
    """Take one task's record away, and commit another twice: both must be told."""
    config = hostile(1)
    result: SimResult = simulate(config)
    kv = result.kv
    kept, gone = config.load.specs[0].id, config.load.specs[1].id
    found = kv.apply(Get(keys.done(kept)), 0.0)
    assert isinstance(found, Found)
    record = found.kvs[0].value
    assert record is not None
    kv.apply(Txn((), (Delete(f"task/{gone}"), Put(keys.done(kept), record))), 0.0)
    told = " ".join(violations(config, result))
    assert "records of" in told
    assert "ended twice 1" in told


def test_the_faults_do_something() -> None:
    """Over the seeds of this suite every kind of fault is made, and tasks are requeued because of them."""
    kinds = {fault.kind for seed in range(1, 31) for fault in hostile(seed).faults}
    assert len(kinds) == 8
    requeued = [
        text for seed in range(1, 11) for _, _, _, text in simulate(hostile(seed)).reports if "requeued" in text
    ]
    assert requeued
