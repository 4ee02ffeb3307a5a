"""Where a task is, and the whole at a glance."""

from random import Random

import pytest

from core.inspect import describe_task, overview
from core.kv.requests import Delete, Put, Txn
from core.machine.messages import Complete, HandBack
from core.model import DeadRecord, Garbage, SchedulerRecord, TaskSpec
from core.states import TaskState
from tests.hostile import World, spec, task_id


@pytest.fixture
def world() -> World:
    world = World(Random(1))
    world.kv.max_operations, world.max_puts = 512, 1000
    return world


def test_a_task_is_found_wherever_it_is(world: World) -> None:
    world.submit(*(spec(number) for number in range(5)))
    world.assign("w1")
    jobs = world.jobs("w1")
    kinds = ("succeeded", "failed", "retry")
    world.do(Complete(1, "w1", tuple(world.ending(job, kind) for job, kind in zip(jobs, kinds, strict=False))))
    world.do(HandBack((jobs[4],)))
    found = [world.calm(describe_task(task_id(number))) for number in range(5)]
    assert [one.state for one in found if one is not None] == [
        TaskState.DONE,
        TaskState.DEAD,
        TaskState.LATER,
        TaskState.RUNNING,
        TaskState.READY,
    ]
    done, _, later, running, _ = found
    assert done is not None
    assert done.outcome is not None
    assert done.worker == "w1"
    assert later is not None
    assert later.due_at is not None
    assert later.due_at >= world.wall
    assert (later.attempt, later.last_error) == (2, "oh")
    assert running is not None
    assert running.worker == "w1"
    assert world.calm(describe_task(task_id(77))) is None


def test_the_whole_at_a_glance(world: World) -> None:
    world.submit(*(spec(number) for number in range(6)), TaskSpec(task_id(9), "gpu", "mail"))
    world.assign("w1", count=4)
    jobs = world.jobs("w1")
    kinds = ("succeeded", "failed", "retry")
    world.do(Complete(1, "w1", tuple(world.ending(job, kind) for job, kind in zip(jobs, kinds, strict=False))))
    puts = (
        Put("scheduler/s.1", SchedulerRecord("s")),
        Put("worker/odd", Garbage("not ours")),
        Put("ready/default/5/nonsense", DeadRecord("?")),
        Put("zzz", DeadRecord("?")),
    )
    world.kv.apply(Txn((), puts), 0.0)
    seen = world.calm(overview())
    assert seen.ready == {"default": 2, "mail": 1}
    assert (seen.running, seen.later, seen.orphaned) == (1, 1, 0)
    assert seen.dead == {"default": 1}
    assert [scheduler.id for scheduler in seen.schedulers] == ["s.1"]
    assert [(worker.id, worker.assigned) for worker in seen.workers] == [("w1", 1), ("w2", 0)]
    assert seen.types == ("echo",)
    assert seen.unserved == ("gpu",)
    assert seen.foreign == ("ready/default/5/nonsense", "worker/odd", "zzz")


def test_tasks_of_a_dead_worker_are_called_orphaned(world: World) -> None:
    world.submit(spec(1), spec(2))
    world.assign("w1")
    world.kv.apply(Txn((), (Delete("worker/w1"),)), 0.0)
    assert world.calm(overview()).orphaned == 2
