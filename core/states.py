"""The states of a task and the transitions between them: one table, from which the diagram in the docs is drawn.

A task is in exactly one state at every revision, because every transition is one etcd transaction that deletes the
old marker and writes the new one, guarded by compares. Where its marker is, is its state.
"""

import enum
from typing import NamedTuple


class TaskState(enum.StrEnum):
    READY = "ready"  # ready/{queue}/{priority}/{id}: waits for a worker
    LATER = "later"  # later/{due}/{id}: waits for its retry
    RUNNING = "running"  # run/{worker}/{id}: assigned to a worker
    DEAD = "dead"  # dead/{queue}/{id}, and an outcome: attempts exhausted, or lost too often
    DONE = "done"  # done/{mailbox}/{id}: the outcome


class Transition(NamedTuple):
    """`before` None: the task does not exist. `compares`: what must hold, else nothing happens."""

    name: str
    before: TaskState | None
    after: TaskState
    by: str
    compares: str


TRANSITIONS = (
    Transition("submit", None, TaskState.READY, "client", "task/{id} is absent"),
    Transition("assign", TaskState.READY, TaskState.RUNNING, "scheduler", "ready marker unchanged, worker takes tasks"),
    Transition("complete", TaskState.RUNNING, TaskState.DONE, "worker", "run marker has the token's revision"),
    Transition("retry", TaskState.RUNNING, TaskState.LATER, "worker", "run marker has the token's revision"),
    Transition("exhaust", TaskState.RUNNING, TaskState.DEAD, "worker", "run marker has the token's revision"),
    Transition("hand back", TaskState.RUNNING, TaskState.READY, "worker", "run marker unchanged"),
    Transition("requeue", TaskState.RUNNING, TaskState.READY, "scheduler", "worker key absent, run marker unchanged"),
    Transition("bury", TaskState.RUNNING, TaskState.DEAD, "scheduler", "worker key absent, run marker unchanged"),
    Transition("promote", TaskState.LATER, TaskState.READY, "scheduler", "later marker unchanged"),
)


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    lines += [f"    {step.before or '[*]'} --> {step.after}: {step.name} ({step.by})" for step in TRANSITIONS]
    lines += [f"    {state} --> [*]" for state in (TaskState.DONE, TaskState.DEAD)]
    return "\n".join(lines)
