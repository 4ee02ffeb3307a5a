"""Procedures that move tasks back, and those that read or register."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kv import keys
from core.kv.requests import Grant, Granted, Reason, Refused, Txn
from core.machine.messages import (
    Complete,
    Failed,
    HandBack,
    HandedBack,
    Load,
    Loaded,
    Promote,
    PromoteDone,
    Register,
    Registered,
    Requeue,
    RequeueDone,
)
from core.model import Marker, Verdict, WorkerRecord
from core.policy.share import owner
from core.procedure.table import start
from tests.hostile import World, spec, task_id
from tests.unit.procedure_terms import COUNTS, HOSTILE, RNG

# --- requeue, hand back, promote --------------------------------------------------------------------------------


@HOSTILE
@given(RNG, COUNTS)
def test_requeue_moves_everything_of_a_dead_worker_and_nothing_of_a_live_one(rng: Random, count: int) -> None:
    world = World(rng)
    world.submit(*(spec(number) for number in range(count)))
    world.assign("w1")
    if rng.random() < 0.5:  # losses so far: the next is the last
        world.kill("w1")
        world.do(Requeue("w1"))
        world.birth("w1")
        world.assign("w1")
    before = world.jobs("w1")
    dead = rng.random() < 0.7
    if dead:
        world.kill("w1")
    done = world.hostile(Requeue("w1"), lambda: None)
    assert isinstance(done, RequeueDone)
    if dead:
        assert not done.alive
        assert world.jobs("w1") == []
        assert done.requeued + done.buried <= len(before)
        for job in before:
            poison = job.marker.losses + 1 >= job.marker.spec.max_losses
            assert world.ledger.place(job.marker.spec.id) == ("dead" if poison else "ready")
            outcome = world.ledger.outcomes.get(job.marker.spec.id)
            assert outcome is None or (outcome.verdict, outcome.losses) == (Verdict.FAILED, 2)
    else:
        assert done.alive or not before
        assert world.jobs("w1") == before


@HOSTILE
@given(RNG, COUNTS)
def test_recovery_among_rivals_loses_nothing(rng: Random, count: int) -> None:
    world = World(rng)
    world.submit(*(spec(number) for number in range(count)))
    world.assign("w1", "w2")
    jobs = world.jobs("w1")
    world.do(Complete(1, "w2", tuple(world.ending(job, "retry") for job in world.jobs("w2"))))
    assert isinstance(world.hostile(Requeue("w1"), world.rival), RequeueDone)
    handed = world.hostile(HandBack(tuple(jobs)), world.rival)
    assert handed == HandedBack(tuple(job.key for job in jobs))
    world.wall += 10.0
    assert isinstance(world.hostile(Promote(world.wall, 4, "rival", ("rival",), 1.0), world.rival), PromoteDone)
    assert len(world.ledger.tasks) == count


def test_hand_back_charges_no_attempt() -> None:
    world = World(Random(3))
    world.submit(spec(1))
    world.assign("w1")
    world.do(HandBack(tuple(world.jobs("w1"))))
    (kv,) = world.listing(keys.READY)
    assert kv.value == Marker(spec(1))


def retries(world: World, dues: list[float]) -> None:
    """Tasks that wait in later/ until these times."""
    world.submit(*(spec(number) for number in range(len(dues))))
    world.assign("w1")
    jobs = world.jobs("w1")
    endings = [world.ending(job, "retry")._replace(retry_at=due) for job, due in zip(jobs, dues, strict=True)]
    world.do(Complete(1, "w1", tuple(endings)))


@HOSTILE
@given(RNG, st.lists(st.integers(990, 1010), min_size=1, max_size=12), st.integers(1, 5))
def test_promote_takes_what_is_due_and_ours_whatever_others_own(rng: Random, dues: list[int], limit: int) -> None:
    world = World(rng)
    retries(world, [float(due) for due in sorted(dues)])
    members = ("me", "other")
    wall, steal_after_s = 1000.0, 3.0

    def due(number: int, due_at: float) -> float:
        return due_at if owner(task_id(number), members) == "me" else due_at + steal_after_s

    expected = {task_id(n) for n, at in enumerate(sorted(dues)) if due(n, float(at)) <= wall}
    waiting = [due(n, float(at)) for n, at in enumerate(sorted(dues)) if due(n, float(at)) > wall]
    promoted: set[str] = set()
    done = PromoteDone(0, wall)
    for _ in range(30):
        event = world.hostile(Promote(wall, limit, "me", members, steal_after_s), lambda: None)
        assert isinstance(event, PromoteDone)
        done = event
        promoted = {kv.key.split("/")[-1] for kv in world.listing(keys.READY)}
        if done.next_due_at is None or done.next_due_at > wall:
            break
    assert promoted == expected
    assert (done.next_due_at is None) == (not waiting)
    assert done.next_due_at is None or wall < done.next_due_at <= min(waiting)


# --- reads and registration -------------------------------------------------------------------------------------


@HOSTILE
@given(RNG, st.lists(st.sampled_from(["a", "b", "c-d"]), max_size=12), st.integers(1, 5))
def test_load_shows_the_first_of_every_queue(rng: Random, queues: list[str], limit: int) -> None:
    world = World(rng)
    world.submit(*(spec(number, queue=queue) for number, queue in enumerate(queues)))
    loaded = world.hostile(Load(limit), lambda: None)
    assert isinstance(loaded, Loaded)
    assert {page.queue for page in loaded.ready} == set(queues)
    assert len(loaded.ready) == len(set(queues))
    for page in loaded.ready:
        mine = [kv for kv in world.listing(keys.READY) if kv.key.startswith(keys.ready_queue(page.queue))]
        assert list(page.kvs) == mine[: len(page.kvs)]
        assert len(page.kvs) >= min(len(mine), 1)
        assert page.more or len(page.kvs) == len(mine)
    assert [kv.key for kv in loaded.workers] == ["worker/w1", "worker/w2"]


@HOSTILE
@given(RNG)
def test_registration_is_one_record_under_a_live_lease(rng: Random) -> None:
    world = World(rng)
    done = world.hostile(Register(WorkerRecord("new", 2), 5.0), lambda: None)
    assert isinstance(done, Registered)
    kvs = [kv for kv in world.listing(keys.WORKER) if kv.key.startswith("worker/new")]
    assert [(kv.key, kv.lease) for kv in kvs] == [(keys.worker(done.id), done.lease)]


def test_a_refusal_that_no_retry_mends_becomes_an_event() -> None:
    procedure = start(Register(WorkerRecord("new", 2), 5.0))
    assert procedure is not None
    assert isinstance(next(procedure), Grant)
    with pytest.raises(StopIteration) as stop:
        procedure.send(Refused(Reason.DENIED, "permission denied"))
    assert stop.value.value == Failed("Register", "denied: permission denied")


def test_a_lease_that_is_gone_before_the_record_is_written_is_taken_anew() -> None:
    procedure = start(Register(WorkerRecord("new", 2), 5.0))
    assert procedure is not None
    next(procedure)
    assert isinstance(procedure.send(Granted(1, 5.0)), Txn)
    assert isinstance(procedure.send(Refused(Reason.LEASE_NOT_FOUND)), Grant)
