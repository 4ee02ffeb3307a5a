"""Records of ended tasks come back from their shelf as they were, and moments out of their arrays."""

import pytest

from core.kv import keys
from core.kv.requests import Found, Get, Kv
from core.model import Outcome, Verdict
from sim.config import SimConfig
from sim.hunt import hostile
from sim.run import simulate
from sim.shelf import OutcomeShelf
from sim.stamps import Row, Stamps
from sim.tasks import Tasks
from tests.sim.model import load


def everything(config: SimConfig) -> list[Kv]:
    return list(simulate(config).kv.records.each(""))


@pytest.mark.parametrize("seed", [1, 2, 3, 7])
def test_what_is_taken_comes_back_as_it_was(seed: int) -> None:
    """Successes and failures, payloads by reference, tasks that were lost and run again."""
    config = hostile(seed)
    kvs = everything(config)
    shelf = OutcomeShelf(Tasks(config.load))
    taken = [kv for kv in kvs if shelf.take(kv)]
    assert len(taken) > len(config.load.specs)  # nearly all records, and outcomes
    assert sorted(shelf.each(""), key=lambda kv: kv.key) == sorted(taken, key=lambda kv: kv.key)
    assert sorted(shelf.within(keys.TASK, keys.prefix_end(keys.TASK))) == sorted(
        kv.key for kv in taken if kv.key.startswith(keys.TASK)
    )
    for kv in taken:
        assert shelf.give_back(kv.key) == kv
        assert shelf.give_back(kv.key) is None
    assert list(shelf.each("")) == []


def test_what_is_not_as_usual_is_refused() -> None:
    config = hostile(1)
    ended = {kv.value.verdict: kv for kv in everything(config) if isinstance(kv.value, Outcome)}
    done, failed = ended[Verdict.SUCCEEDED], ended[Verdict.FAILED]
    shelf = OutcomeShelf(Tasks(config.load))
    assert not shelf.take(Kv(done.key, done.value, done.mod_revision, done.create_revision, version=2))
    assert not shelf.take(Kv(done.key, done.value, done.mod_revision, done.create_revision, 1, lease=3))
    assert not shelf.take(Kv(keys.done("f" * 32), done.value, 1, 1, 1))  # a task of somebody else
    assert not shelf.take(failed)  # it says why
    assert shelf.take(done)


def test_a_run_puts_away_what_the_client_has_heard_of() -> None:
    result = simulate(SimConfig(load([0.01] * 50)))
    assert not [key for key in result.kv.records.data if key.startswith((keys.TASK, keys.DONE))]
    found = result.kv.apply(Get(keys.DONE, keys.prefix_end(keys.DONE)), 0.0)
    assert isinstance(found, Found)
    assert len(found.kvs) == 50


def test_moments_come_out_as_they_went_in() -> None:
    numbers = {f"task-{number}": number for number in range(5_000)}
    stamps = Stamps(numbers)
    executed: list[Row] = [(task_id, 1 + number % 3, (number / 7, number / 3)) for task_id, number in numbers.items()]
    for number, row in enumerate(executed):
        stamps.add(f"worker-{number % 2}", "executed", (row,))
    stamps.add("client-1", "observed", tuple((row[0], row[1], (0.25,)) for row in executed[:10]))
    out = list(stamps)
    assert [row for _, kind, rows in out if kind == "executed" for row in rows] == executed
    assert [name for name, kind, _ in out if kind == "executed"] == [f"worker-{number % 2}" for number in range(5_000)]
    assert [(name, len(rows)) for name, kind, rows in out if kind == "observed"] == [("client-1", 10)]
