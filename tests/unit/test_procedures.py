"""Every procedure under lost requests, lost answers, limits and rivals: no task is lost or doubled, no list lies."""

from random import Random

import pytest
from hypothesis import given
from msgspec import Raw

from core.kv import keys
from core.kv.requests import Pause, Reason, Refused, Resumed, Txn, Unknown
from core.machine.messages import (
    AssignDone,
    Complete,
    CompleteDone,
    HandBack,
    Requeue,
    SubmitBatch,
    SubmitDone,
)
from core.model import Marker, Outcome
from core.procedure.table import start
from tests.hostile import World, spec, task_id
from tests.unit.procedure_terms import BIG, COUNTS, HOSTILE, RNG, written


def test_a_transaction_carries_reads_only_after_a_compare_has_failed() -> None:
    world = World(Random(1))
    world.kv.max_operations = 512
    world.submit(spec(1), spec(2))
    command = world.assignments(("w1",), "rival")
    assert command is not None
    world.assign("w1", count=1)  # somebody is faster
    procedure = start(command)
    assert procedure is not None
    first = next(procedure)
    assert isinstance(first, Txn)
    second = procedure.send(world.kv.apply(first, 0.0))
    assert isinstance(second, Txn)
    assert first.orelse == ()
    assert (second.compares, second.then) == (first.compares, first.then)
    assert {get.key for get in second.orelse} == {compare.key for compare in second.compares}


# --- submit -----------------------------------------------------------------------------------------------------


@HOSTILE
@given(RNG, COUNTS)
def test_submit_tells_the_truth(rng: Random, count: int) -> None:
    world = World(rng)
    there = [spec(number) for number in range(count) if rng.random() < 0.3]
    others = [spec(number, queue="another") for number in range(count) if rng.random() < 0.2]
    world.submit(*there)
    world.submit(*others)
    specs = [
        spec(number, payload=rng.choice([Raw(b"1"), BIG])) if rng.random() < 0.3 else spec(number)
        for number in range(count)
    ]
    specs += rng.sample(specs, rng.randint(0, min(2, count)))  # the same task twice in one submit
    done = world.hostile(SubmitBatch(7, tuple(specs)), world.rival)
    assert isinstance(done, SubmitDone)
    assert done.batch == 7
    assert not {*done.accepted} & {*done.conflicts}
    for index, wanted in enumerate(specs):
        record = world.ledger.tasks.get(wanted.id)
        if index in done.accepted:
            assert record is not None
            assert record.spec == wanted
        elif index in done.conflicts:
            assert record is not None
            assert record.spec != wanted
        else:
            assert done.refused
            assert record is None or record.spec != wanted or wanted in there or specs.count(wanted) > 1
    assert {*done.existing} <= {*done.accepted}


def test_a_task_too_large_does_not_drag_the_others_along() -> None:
    world = World(Random(1))
    world.kv.max_operations = 512
    procedure = start(SubmitBatch(1, (spec(1), spec(2, payload=BIG), spec(3))))
    assert procedure is not None
    request = next(procedure)
    while True:
        assert isinstance(request, Txn)
        large = any(
            len(bytes(getattr(getattr(op, "value", None), "spec", spec(0)).payload)) > 100 for op in request.then
        )
        answer = Refused(Reason.TOO_LARGE, "request is too large") if large else world.kv.apply(request, 0.0)
        try:
            request = procedure.send(answer)
        except StopIteration as stop:
            done = stop.value
            break
    world.ledger.check()
    assert isinstance(done, SubmitDone)
    accepted = {(spec(1), spec(2), spec(3))[index].id for index in done.accepted}
    assert accepted == set(world.ledger.tasks), "an accepted task was called refused, or the reverse"
    assert "larger than etcd takes" in done.refused
    assert 1 not in done.accepted


def test_a_large_payload_stays_in_the_task_record_through_retry_requeue_and_hand_back() -> None:
    world = World(Random(1))
    world.submit(spec(1, payload=BIG))  # the ledger checks each marker
    full = world.ledger.tasks[task_id(1)].spec
    for turn in ("retry", "hand back", "requeue"):
        world.promote()
        world.assign("w1")
        (job,) = world.jobs("w1")
        assert job.marker.by_reference
        fetched = job._replace(marker=Marker(full, job.marker.attempt, job.marker.losses, by_reference=True))
        if turn == "retry":
            world.do(Complete(1, "w1", (world.ending(fetched, "retry"),)))
            world.wall += 10
        elif turn == "hand back":
            world.do(HandBack((fetched,)))
        else:
            world.kill("w1")
            world.do(Requeue("w1"))
    (kv,) = world.listing(keys.READY)
    assert isinstance(kv.value, Marker)
    assert (kv.value.attempt, kv.value.losses) == (3, 1)


# --- assign -----------------------------------------------------------------------------------------------------


@HOSTILE
@given(RNG, COUNTS)
def test_assign_tells_the_truth(rng: Random, count: int) -> None:
    world = World(rng)
    world.submit(*(spec(number) for number in range(count)))
    command = world.assignments(("w1", "w2", "gone"), "me")
    assert command is not None
    done = world.hostile(command, world.rival)
    assert isinstance(done, AssignDone)
    assert not {*done.assigned} & {*done.lost}
    assert "gone" in done.gone or all(item.worker != "gone" for item in command.items) or done.lost
    for index, item in enumerate(command.items):
        ours = [
            value
            for key, value, _ in written(world, keys.run(item.worker, item.marker.spec.id))
            if isinstance(value, Marker) and (value.scheduler, value.batch) == ("me", command.batch)
        ]
        assert len(ours) <= 1
        ready = [kv for kv in world.listing(keys.READY) if kv.key == item.ready_key]
        stands = bool(ready) and ready[0].mod_revision == item.ready_revision
        if index in done.assigned:
            assert ours, "called assigned, but it never was"
        elif index in done.lost:
            assert not stands, "called lost, but it is still ready"
            runs = world.jobs(item.worker)
            assert not any((job.marker.scheduler, job.marker.spec.id) == ("me", item.marker.spec.id) for job in runs)
        else:
            assert item.worker in done.gone, "neither assigned nor lost nor for a worker that is gone"


# --- complete ---------------------------------------------------------------------------------------------------


@HOSTILE
@given(RNG, COUNTS)
def test_complete_tells_the_truth(rng: Random, count: int) -> None:
    world = World(rng)
    world.submit(*(spec(number) for number in range(count)))
    world.assign("w1")
    endings = world.endings(world.jobs("w1"))
    world.ours = {"w1", "w2"}
    if rng.random() < 0.5:
        world.kill("w1")
        if rng.random() < 0.5:
            # Lost, given out again to the same process under its new name, and now both executions end together.
            world.do(Requeue("w1"))
            world.assign("w2")
            endings += world.endings(world.jobs("w2"))
    done = world.hostile(Complete(3, "w1", tuple(endings)), world.rival)
    assert isinstance(done, CompleteDone)
    assert sorted((*done.committed, *done.fenced)) == list(range(len(endings))), "not each exactly once"
    outcomes = [
        (key.rpartition("/")[2], value) for key, value, _ in written(world, keys.DONE) if isinstance(value, Outcome)
    ]
    for index, item in enumerate(endings):
        if item.outcome is not None:
            assert ((item.job.marker.spec.id, item.outcome) in outcomes) == (index in done.committed)
        elif index in done.committed:
            key = keys.later(item.retry_at, item.job.marker.spec.id)
            assert any(isinstance(value, Marker) and value.error == "oh" for _, value, _ in written(world, key))


def test_a_retry_that_was_promoted_before_its_answer_was_known_counts_as_committed() -> None:
    """The answer is lost, the task comes due and goes to ready/, then the transaction is repeated."""
    world = World(Random(2))
    world.kv.max_operations, world.max_puts = 512, 1000
    world.submit(spec(1))
    world.assign("w1")
    item = world.ending(world.jobs("w1")[0], "retry")._replace(retry_at=world.wall)
    procedure = start(Complete(1, "w1", (item,)))
    assert procedure is not None
    world.kv.apply(next(procedure), 0.0)  # type: ignore[arg-type]
    assert isinstance(procedure.send(Unknown()), Pause)
    world.promote()
    request = procedure.send(Resumed())
    with pytest.raises(StopIteration) as stop:
        procedure.send(world.kv.apply(request, 0.0))  # type: ignore[arg-type]
    assert stop.value.value == CompleteDone(1, (0,), ())
