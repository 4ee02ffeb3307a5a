"""The records that Tandem keeps in etcd, one struct for each kind.

Every record is tagged with its kind, so that a value says by itself what it is. Payloads and results are JSON
that is passed on unread (`msgspec.Raw`); only the handler and the caller look inside.
Wall-clock moments are seconds since the epoch (`..._at`), durations are seconds (`..._s`).
"""

import enum

import msgspec
from msgspec import Raw

NULL = Raw(b"null")

# Sizes are bounded because etcd refuses requests over 1.5 MiB and keeps everything in memory-mapped pages.
MAX_PAYLOAD_BYTES = 256 * 1024
INLINE_PAYLOAD_BYTES = 4 * 1024
MAX_ERROR_CHARS = 2_000

PRIORITIES = range(10)
"""0 runs first, 9 last: the priority stands in the key, and key order is queue order."""
DEFAULT_PRIORITY = 5


class Record(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag=str.lower, gc=False):
    """Base of everything stored as a value in etcd."""


class TaskSpec(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a client asks for; never changes after submit.

    Retries wait `backoff_s * 2**(failures - 1)`, at most `backoff_max_s`, with full jitter on the upper half.
    """

    id: str
    type: str
    queue: str = "default"
    payload: Raw = NULL
    priority: int = DEFAULT_PRIORITY
    max_attempts: int = 3
    max_losses: int = 3
    backoff_s: float = 1.0
    backoff_max_s: float = 60.0
    submitted_at: float = 0.0


def same_task(one: TaskSpec, other: TaskSpec) -> bool:
    """Whether two submits ask for the same; when they did is not part of it."""
    return one is other or msgspec.structs.replace(one, submitted_at=other.submitted_at) == other


class Marker(Record, frozen=True, tag="marker"):
    """Value of `ready/`, `later/` and `run/` keys: all a worker needs to run the task.

    `attempt` numbers the executions from 1. `losses` of them ended with their worker, so the failures charged to
    the task so far are `attempt - 1 - losses`. `scheduler` and `batch` name the assignment (only under `run/`):
    they tell a scheduler its own earlier success after an unknown outcome.
    """

    spec: TaskSpec
    attempt: int = 1
    losses: int = 0
    by_reference: bool = False
    scheduler: str = ""
    batch: int = 0
    error: str = ""  # of the last failed attempt


class Verdict(enum.StrEnum):
    """How a task ended. A task without a verdict has not ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # attempts exhausted, or lost too often: also listed under dead/
    CANCELLED = "cancelled"


class Outcome(Record, frozen=True, tag="outcome"):
    """Value of `done/{mailbox}/{id}`: the end of a task.

    `token` is the run marker's mod_revision: with `worker` and `attempt` the fencing token.
    """

    verdict: Verdict
    result: Raw = NULL
    error: str = ""
    attempt: int = 1
    losses: int = 0
    worker: str = ""
    token: int = 0
    started_at: float = 0.0
    finished_at: float = 0.0


class TaskRecord(Record, frozen=True, tag="task"):
    """Value of `task/{id}`: what was asked for. Written by the submit and never again."""

    spec: TaskSpec


class WorkerRecord(Record, frozen=True, tag="worker"):
    """Value of `worker/{worker}`, which carries the worker's lease."""

    name: str
    slots: int
    queues: tuple[str, ...] = ()  # empty: serves every queue
    types: tuple[str, ...] = ()  # handler types it has
    host: str = ""
    pid: int = 0
    draining: bool = False


class SchedulerRecord(Record, frozen=True, tag="scheduler"):
    """Value of `scheduler/{scheduler}`, which carries the scheduler's lease."""

    name: str
    host: str = ""
    pid: int = 0
    wall_clock_at: float = 0.0


class DeadRecord(Record, frozen=True, tag="dead"):
    """Value of `dead/{queue}/{id}`: why the task ended without success."""

    reason: str
    attempt: int = 1
    losses: int = 0


class Garbage(Record, frozen=True, tag="garbage"):
    """Stands for a value that is not one of ours. Never written: it is reported and left alone."""

    reason: str


AnyRecord = Marker | TaskRecord | Outcome | WorkerRecord | SchedulerRecord | DeadRecord | Garbage
