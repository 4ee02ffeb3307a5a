"""Everything that goes into a machine (events) and comes out of it (commands).

All of it is data: frozen, comparable, encodable. Events and commands carry batches, so that a call is paid once per
batch. A *call* is a command that starts a procedure; the event that the procedure returns comes back later.
"""

from typing import NamedTuple

import msgspec
from msgspec import Raw

from core.kv.requests import Change, Kv
from core.model import Marker, Outcome, SchedulerRecord, TaskSpec, WorkerRecord


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


# --- scheduler ---------------------------------------------------------------------------------------------------


class Load(Message, frozen=True):
    """Call: read the scheduler's whole view at one revision (of ready/ up to `ready_limit` keys a queue)."""

    ready_limit: int


class QueuePage(NamedTuple):
    """The first ready markers of one queue; `more`: there are others behind them."""

    queue: str
    kvs: tuple[Kv, ...]
    more: bool


class Loaded(Message, frozen=True):
    """The view at `revision`: live components, keys of run markers, a page of each queue, the next due time."""

    revision: int
    workers: tuple[Kv, ...]
    schedulers: tuple[Kv, ...]
    runs: tuple[str, ...]
    ready: tuple[QueuePage, ...]
    next_due_at: float | None


class LoadPage(Message, frozen=True):
    """Call: the ready markers of a queue after `after` (a key), at most `limit`."""

    queue: str
    after: str
    limit: int


class PageLoaded(Message, frozen=True):
    queue: str
    after: str
    kvs: tuple[Kv, ...]
    more: bool
    revision: int


class Assignment(NamedTuple):
    """One task for one worker; `ready_key` still stands as written at `ready_revision`, else it is not ours to give."""

    ready_key: str
    ready_revision: int
    worker: str
    marker: Marker


class Assign(Message, frozen=True):
    """Call: give these tasks to these workers, in one transaction."""

    batch: int
    scheduler: str
    items: tuple[Assignment, ...]
    sent_mono: float


class AssignDone(Message, frozen=True):
    """`assigned` and `lost` are indices into the items; `lost` ones were taken or removed by somebody else.

    `gone` are workers that no longer exist; their items stay ready and are in neither list.
    """

    batch: int
    assigned: tuple[int, ...]
    lost: tuple[int, ...]
    gone: tuple[str, ...] = ()


class Requeue(Message, frozen=True):
    """Call: give the tasks of a worker that is gone back to ready/ (or to dead/, when lost too often)."""

    worker: str


class RequeueDone(Message, frozen=True):
    """`alive`: the worker key exists after all, nothing was moved."""

    worker: str
    requeued: int
    buried: int
    alive: bool = False


class Promote(Message, frozen=True):
    """Call: move what is due at `wall` from later/ to ready/, at most `limit`.

    Only what `scheduler` owns among `members`, or what is overdue by `steal_after_s`: its owner seems to sleep.
    """

    wall: float
    limit: int
    scheduler: str
    members: tuple[str, ...]
    steal_after_s: float


class PromoteDone(Message, frozen=True):
    """`next_due_at`: when the next one is due, None where nothing waits."""

    promoted: int
    next_due_at: float | None


class Reconcile(Message, frozen=True):
    """Call: one keys-only page of run/ after `after`, with the live workers, to check one against the other."""

    after: str
    limit: int


class Reconciled(Message, frozen=True):
    """One page of run/. `next_after` is where the next page starts, "" when the end was reached."""

    runs: tuple[str, ...]
    workers: tuple[str, ...]
    next_after: str
    revision: int


# --- worker ------------------------------------------------------------------------------------------------------


class Job(NamedTuple):
    """An assigned task as the worker holds it. `token` is the run marker's mod_revision."""

    key: str
    token: int
    marker: Marker


class ListRuns(Message, frozen=True):
    """Call: the worker's own run markers, at most `limit` (0: all)."""

    worker: str
    limit: int = 0


class RunsListed(Message, frozen=True):
    kvs: tuple[Kv, ...]
    revision: int
    more: bool = False


class Execute(Message, frozen=True):
    """Run these in free slots. The executor answers with `Finished`, in any order and batching."""

    jobs: tuple[Job, ...]


class Result(NamedTuple):
    """How one execution ended: `error` is None where it succeeded."""

    key: str
    token: int
    result: Raw
    error: str | None
    started_mono: float
    finished_mono: float


class Finished(Message, frozen=True):
    results: tuple[Result, ...]


class Ending(NamedTuple):
    """What becomes of a finished execution: `outcome` ends the task; without one it is retried at `retry_at`."""

    job: Job
    outcome: Outcome | None
    retry_at: float = 0.0
    error: str = ""


class Complete(Message, frozen=True):
    """Call: commit these endings, each guarded by its fencing token."""

    batch: int
    worker: str
    endings: tuple[Ending, ...]


class CompleteDone(Message, frozen=True):
    """Indices into the endings. `fenced`: the task belongs to somebody else by now; our result does not count."""

    batch: int
    committed: tuple[int, ...]
    fenced: tuple[int, ...]


class HandBack(Message, frozen=True):
    """Call: give unstarted tasks back to ready/; no attempt is charged."""

    jobs: tuple[Job, ...]


class HandedBack(Message, frozen=True):
    keys: tuple[str, ...]


class Announce(Message, frozen=True):
    """Call without an answer: rewrite the worker's record (it drains)."""

    id: str
    lease: int
    record: WorkerRecord


# --- client ------------------------------------------------------------------------------------------------------


class Submit(Message, frozen=True):
    """Event: the user wants these tasks. The specs carry ids already, so a repeated submit is harmless.

    `follow`: the outcomes are wanted too. `called_mono`: when the user called.
    """

    specs: tuple[TaskSpec, ...]
    called_mono: float
    follow: bool = False


class Follow(Message, frozen=True):
    """Event: the user waits for the outcome of these ids."""

    ids: tuple[str, ...]


class SubmitBatch(Message, frozen=True):
    """Call: write these tasks, in one transaction."""

    batch: int
    specs: tuple[TaskSpec, ...]


class SubmitDone(Message, frozen=True):
    """Indices into the specs: `accepted` (now or before), or in `conflicts` (the id exists with another spec)."""

    batch: int
    accepted: tuple[int, ...]
    conflicts: tuple[int, ...]
    refused: str = ""
    """Where not empty, etcd refused, for this reason, what is in neither list."""
    existing: tuple[int, ...] = ()
    """Those of the accepted that stood there before: they may have ended already."""


class FetchTasks(Message, frozen=True):
    """Call: read the task records of these ids."""

    ids: tuple[str, ...]


class TasksFetched(Message, frozen=True):
    """`missing`: no such task. The client watches from `revision` + 1 on."""

    kvs: tuple[Kv, ...]
    missing: tuple[str, ...]
    revision: int


class Acknowledge(Message, frozen=True):
    """Tell the user: these ids are durably submitted; those in `failed` are not, for a reason."""

    ids: tuple[str, ...]
    failed: tuple[tuple[str, str], ...] = ()


class Deliver(Message, frozen=True):
    """Tell the user: these tasks have ended. None: there is no such task."""

    outcomes: tuple[tuple[str, Outcome | None], ...]
