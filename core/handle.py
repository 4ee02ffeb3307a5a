"""A submitted task, as the user holds it, and the errors that waiting for it can end with."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from core.inspect import TaskStatus
from core.model import Outcome, Verdict
from core.runtime.clock import now

log = logging.getLogger("tandem")
_adding = threading.Lock()
"""Callbacks are few, handles are many: one lock for all of them."""


class TaskFailedError(Exception):
    """The task's attempts are used up; the text is the last error."""


class TaskCancelledError(Exception):
    """The task was cancelled."""


class TaskNotFoundError(Exception):
    """There is no task with this id."""


class SubmitError(Exception):
    """etcd or an existing task refused the submit: nothing was written for this task."""


class Tracker(Protocol):
    """What a handle needs of its client."""

    def follow(self, handle: "Handle") -> None: ...
    def status(self, task_id: str, timeout_s: float) -> TaskStatus: ...
    def check(self) -> None: ...


class Gate:
    """Opens once and stays open. Every submit has one (a `threading.Event` takes three times as long)."""

    __slots__ = ("_lock", "_unopened")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._unopened = [True]

    def open(self) -> None:
        try:
            self._unopened.pop()  # of several who open it, one goes on
        except IndexError:
            return
        self._lock.release()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it opened within that time."""
        if not self._lock.acquire(timeout=-1 if timeout_s is None else max(0.0, timeout_s)):
            return False
        self._lock.release()
        return True


class Handle:
    """A submitted task. All waits raise TimeoutError after `timeout_s` seconds; the task goes on all the same."""

    __slots__ = ("_call", "_callbacks", "_client", "_done", "_ended", "_outcome", "_refused", "id", "twins")

    def __init__(self, client: Tracker, task_id: str, call: "Call | None", refused: str = "") -> None:
        self._client = client
        self._call = call  # shared by all handles of one call; None: known to be submitted
        self._refused = refused
        self._done: Gate | None = None
        self._callbacks: list[Callable[[Handle], object]] | None = None
        self._ended = False
        self._outcome: Outcome | None = None  # once ended; None: there is no such task
        self.id = task_id
        self.twins: tuple[Handle, ...] = ()  # other handles of this task, which are told through this one

    def __repr__(self) -> str:
        return f"<Handle {self.id}>"

    def acknowledged(self, timeout_s: float | None = None) -> None:
        """Wait until the submit is durable.

        Raises SubmitError where it was refused. After a TimeoutError, or a RuntimeError because the client was closed
        or has failed, it may still have been, or be, applied.
        """
        if self._call is not None and not self._call.settled.wait(timeout_s):
            raise TimeoutError(f"task {self.id} was not acknowledged within {timeout_s} s; it may still be submitted")
        if self.refused:
            raise SubmitError(f"task {self.id}: {self.refused}")
        if self._call is not None and not self._call.acknowledged:
            self._client.check()

    def outcome(self, timeout_s: float | None = None) -> Outcome:
        """Wait for the end of the task.

        Raises SubmitError, TaskNotFoundError, and RuntimeError where the client is closed or has failed before.
        """
        until = None if timeout_s is None else now().mono + timeout_s
        self.acknowledged(timeout_s)
        if not self._ended:
            self._done = self._done or Gate()
            self._client.follow(self)  # if it ended just before there was an event to set, it is delivered again
            if not self._done.wait(None if until is None else max(until - now().mono, 0.0)):
                raise TimeoutError(f"task {self.id} did not end within {timeout_s} s")
            if not self._ended:
                self._client.check()
        if self._outcome is None:
            raise TaskNotFoundError(f"there is no task {self.id}")
        return self._outcome

    def result(self, timeout_s: float | None = None) -> Any:
        """Wait for what the handler returned.

        Raises TaskFailedError, TaskCancelledError, SubmitError, TaskNotFoundError.
        """
        outcome = self.outcome(timeout_s)
        if outcome.verdict == Verdict.FAILED:
            raise TaskFailedError(f"task {self.id} failed (attempt {outcome.attempt}): {outcome.error}")
        if outcome.verdict == Verdict.CANCELLED:
            raise TaskCancelledError(f"task {self.id} was cancelled")
        return msgspec.json.decode(outcome.result)

    def add_done_callback(self, function: Callable[["Handle"], object]) -> None:
        """Call `function(handle)` once, when waiting for the outcome would not wait any more.

        That is when the task has ended, at once where it has; or when its submit was refused, or the client is closed
        or has failed: then `outcome` and `result` raise what they always do. It is called by the thread that brings the
        news. Mostly that is the client's own, which all other tasks of this client wait for: hand long work to a thread
        of yours. What the function raises is logged.
        """
        with _adding:
            self._callbacks = [*(self._callbacks or ()), function]
        if self._ended or self.refused:
            self.call_back()
            return
        try:
            self._client.follow(self)
        except RuntimeError:  # closed, or it has failed
            self.call_back()

    def status(self, timeout_s: float = 5.0) -> TaskStatus:
        """Where the task is now, read from etcd.

        Raises TaskNotFoundError, EtcdUnreachable.
        """
        return self._client.status(self.id, timeout_s)

    @property
    def refused(self) -> str:
        """Why the submit was refused; empty where it was not, or is not known to be."""
        return self._refused or (self._call.refused.get(self.id, "") if self._call is not None else "")

    # --- for the client, in its driver's thread ---

    def end(self, outcome: Outcome | None) -> None:
        """The task has ended; None: there is no such task."""
        self._outcome, self._ended = outcome, True
        self.wake()
        for twin in self.twins:  # one that comes later sees that this one has ended
            twin.end(outcome)

    def pair(self, twin: "Handle") -> None:
        """Tell another handle of the same task what becomes of it, too."""
        if twin is self:
            return
        if twin not in self.twins:
            self.twins += (twin,)
        if self._ended:
            twin.end(self._outcome)

    def wake(self) -> None:
        """Whoever waits must look again: the task has ended, or was refused, or the client has ended."""
        if self._done is not None:
            self._done.open()
        if self._callbacks is not None:
            self.call_back()
        for twin in self.twins:
            twin.wake()

    def call_back(self) -> None:
        """Each of the functions once, though several threads may come here."""
        with _adding:
            functions, self._callbacks = self._callbacks or (), None
        for function in functions:
            try:
                function(self)
            except Exception:
                log.exception("a callback of task %s has failed", self.id)


class Call:
    """One call of submit: counts the acknowledgements that are still missing.

    `settled` opens when all have come, or when none will come any more; `acknowledged` only in the first case.
    `refused` says why, for the ids of those that were.
    """

    __slots__ = ("_missing", "acknowledged", "refused", "settled")

    def __init__(self, count: int) -> None:
        self.refused: dict[str, str] = {}
        self.acknowledged = False
        self.settled = Gate()
        self.expect(count)

    def expect(self, count: int) -> None:
        """So many acknowledgements will come; it is said again before anything is sent, if at all."""
        self._missing = count
        if count == 0:
            self.acknowledged = True
            self.settled.open()

    def arrived(self) -> None:
        self._missing -= 1
        if self._missing == 0:
            self.acknowledged = True
            self.settled.open()
