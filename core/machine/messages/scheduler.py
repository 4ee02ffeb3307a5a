"""Events and commands of the scheduler's machine."""

from typing import NamedTuple

from core.kv.requests import Kv
from core.machine.messages.common import Message
from core.model import Marker


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
    """Call: the ready markers of a queue after `after` up to `until` (keys; "": up to its end), at most `limit`."""

    queue: str
    after: str
    limit: int
    until: str = ""


class PageLoaded(Message, frozen=True):
    """`more`: the limit cut it, there are others up to `until`."""

    queue: str
    after: str
    kvs: tuple[Kv, ...]
    more: bool
    revision: int
    until: str = ""


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

    `gone` are workers that no longer exist or drain; their items stay ready and are in neither list.
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
