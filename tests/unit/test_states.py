"""The transition table, and what the procedures really do."""

from random import Random

import pytest

from core.kv import keys
from core.machine.messages import Complete, HandBack, Promote, Requeue
from core.states import TRANSITIONS, TaskState, Transition
from tests.hostile import World, spec, task_id

PLACES = {
    "ready": TaskState.READY,
    "later": TaskState.LATER,
    "run": TaskState.RUNNING,
    "dead": TaskState.DEAD,
    "done": TaskState.DONE,
}


def test_every_state_is_reached_and_only_ends_are_not_left() -> None:
    assert {step.after for step in TRANSITIONS} == set(TaskState)
    assert {step.before for step in TRANSITIONS} - {None} == {TaskState.READY, TaskState.LATER, TaskState.RUNNING}


def carry_out(world: World, name: str) -> None:
    """One transition of task 1, by the procedure that the real components use."""
    if name == "assign":
        world.assign("w1")
    elif name == "promote":
        world.wall += 10.0
        world.do(Promote(world.wall, 10, "me", ("me",), 1.0))
    elif name == "hand back":
        world.do(HandBack(tuple(world.jobs("w1"))))
    elif name in {"requeue", "bury"}:
        world.kill("w1")
        world.do(Requeue("w1"))
    else:
        kind = {"complete": "succeeded", "retry": "retry", "exhaust": "failed"}[name]
        world.do(Complete(1, "w1", tuple(world.ending(job, kind) for job in world.jobs("w1"))))


@pytest.mark.parametrize("step", TRANSITIONS, ids=[step.name for step in TRANSITIONS])
def test_a_procedure_does_what_the_table_says(step: Transition) -> None:
    world = World(Random(1))
    name, before, after, *_ = step
    world.submit(spec(1, max_losses=1 if name == "bury" else 2))
    if before in {TaskState.RUNNING, TaskState.LATER}:
        carry_out(world, "assign")
    if before == TaskState.LATER:
        carry_out(world, "retry")
    if before is not None:
        assert PLACES[world.ledger.place(task_id(1))] == before
        carry_out(world, name)
    assert PLACES[world.ledger.place(task_id(1))] == after
    assert len(world.listing(keys.TASK)) == 1
