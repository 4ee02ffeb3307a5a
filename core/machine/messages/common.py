"""The time, and the events and commands of every machine."""

from typing import NamedTuple

import msgspec

from core.kv.requests import Change
from core.model import SchedulerRecord, WorkerRecord


class Now(NamedTuple):
    """The time, in seconds. Leases and waiting use `mono`; due times and stamps for people use `wall`."""

    mono: float
    wall: float


class Message(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Base of all events and commands."""


# --- events of every machine -------------------------------------------------------------------------------------


class Started(Message, frozen=True):
    """The first event: nothing else comes before it."""


class Timer(Message, frozen=True):
    """`next_deadline()` has come."""


class Drain(Message, frozen=True):
    """Take nothing new, finish or hand back what is held, then stop."""


class Registered(Message, frozen=True):
    """Answer to `Register`: the component's id and its lease. The driver keeps the lease alive from now on."""

    id: str
    lease: int
    ttl_s: float


class LeaseRenewed(Message, frozen=True):
    """A keepalive was answered: the lease is good until `expires_mono` (counted from when it was sent)."""

    lease: int
    expires_mono: float


class LeaseLost(Message, frozen=True):
    """A keepalive was answered with TTL 0: the lease and its keys are gone."""

    lease: int


class Changes(Message, frozen=True):
    """What a watch delivered, in revision order. `revision` is the store's revision at that moment."""

    watch: str
    changes: tuple[Change, ...]
    revision: int


class WatchLost(Message, frozen=True):
    """The watch cannot be resumed (compaction): list again, then watch from there."""

    watch: str


class Failed(Message, frozen=True):
    """A call was refused in a way that no retry mends (permission, a mistake): say so and stop."""

    call: str
    detail: str


# --- commands of every machine -----------------------------------------------------------------------------------


class Register(Message, frozen=True):
    """Call: take a lease of `ttl_s` and write the component's record under it."""

    record: WorkerRecord | SchedulerRecord
    ttl_s: float


class Unregister(Message, frozen=True):
    """Call without an answer: stop the keepalive and revoke the lease."""

    lease: int


class Watch(Message, frozen=True):
    """Deliver `Changes` named `name` for keys in [key, end) from `revision` on. Replaces a watch of that name."""

    name: str
    key: str
    end: str
    revision: int
    puts: bool = True
    deletes: bool = True


class Unwatch(Message, frozen=True):
    name: str


class Trace(Message, frozen=True):
    """Moments to keep for the trace, a row a task: `(id, attempt, seconds...)`, columns as in `TRACE_COLUMNS`."""

    kind: str
    rows: tuple[tuple[str, int, tuple[float, ...]], ...]


TRACE_COLUMNS: dict[str, tuple[str, ...]] = {
    "submitted": ("submitted", "enqueued"),  # client
    "observed": ("observed",),  # client
    "assigned": ("assign_sent", "assigned"),  # scheduler
    "received": ("received",),  # worker
    "executed": ("started", "finished"),  # worker
    "committed": ("committed",),  # worker
}
"""Which moment each kind of `Trace` row carries (monotonic seconds)."""


class Report(Message, frozen=True):
    """Something a person should know."""

    level: str  # "info", "warning" or "error"
    text: str


class Stop(Message, frozen=True):
    """The machine is done; the driver ends with this exit code."""

    code: int = 0
