"""A whole cluster in one thread: every machine over one fake etcd, with any order of events and any fault.

Whatever happens, no task is ever lost or doubled (checked at every revision), every machine's invariants hold after
every step, and once the faults are over every task ends and every follower is told.
"""

from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from core.machine.messages import (
    Follow,
    Submit,
)
from core.model import TaskSpec, Verdict
from core.settings import Dispatch
from tests.property.one_thread import TYPES, Cluster


@pytest.mark.parametrize("dispatch", ["watch", "poll"])
@settings(max_examples=80, deadline=None, derandomize=True, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_nothing_is_lost_doubled_or_stuck(dispatch: Dispatch, seed: int) -> None:
    rng = Random(seed)
    cluster = Cluster(rng, dispatch)
    specs = [
        TaskSpec(f"{number:032x}", rng.choice(TYPES), rng.choice("ab"), priority=rng.randint(3, 5), backoff_s=0.5)
        for number in range(rng.randint(1, 14))
    ]
    ids = {spec.id for spec in specs}
    for spec in specs:
        if rng.random() < 0.5:
            cluster.handle(cluster.client, Submit((spec,), cluster.mono, follow=True))
        else:
            cluster.handle(cluster.client, Submit((spec,), cluster.mono))
            cluster.handle(cluster.client, Follow((spec.id,)))
        for _ in range(rng.randint(0, 20)):
            cluster.step()
    for _ in range(300):
        cluster.step()
    cluster.settle(ids)
    assert cluster.acknowledged == ids
    assert cluster.ledger.tasks.keys() == ids
    for task_id in ids:
        outcome = cluster.ledger.outcomes.get(task_id)
        assert cluster.delivered[task_id] == [outcome], "a follower was told something else, or twice"
        assert outcome is not None
        executed = [attempt for done, attempt in cluster.executions if done == task_id]
        if outcome.verdict == Verdict.SUCCEEDED:
            assert outcome.attempt in executed
        else:
            assert outcome.attempt - outcome.losses >= 3 or outcome.losses >= 3, "given up too early"
