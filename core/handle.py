"""A submitted task, as the user holds it, and the errors that waiting for it can end with."""

import threading
from typing import Any, Protocol

import msgspec

from core.inspect import TaskStatus
from core.model import Outcome, Verdict
from core.runtime.clock import now


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


class Handle:
    """A submitted task. All waits raise TimeoutError after `timeout_s` seconds; the task goes on all the same."""

    __slots__ = ("_acked", "_client", "_done", "_ended", "_outcome", "_refused", "id")

    def __init__(self, client: Tracker, task_id: str, acked: threading.Event | None) -> None:
        self._client = client
        self._acked = acked  # shared by all handles of one call; None: known to be submitted
        self._refused = ""
        self._done: threading.Event | None = None
        self._ended = False
        self._outcome: Outcome | None = None  # once ended; None: there is no such task
        self.id = task_id

    def __repr__(self) -> str:
        return f"<Handle {self.id}>"

    def acknowledged(self, timeout_s: float | None = None) -> None:
        """Wait until the submit is durable.

        Raises SubmitError where it was refused. After a TimeoutError it may still have been, or be, applied.
        """
        if self._acked is not None and not self._acked.wait(timeout_s):
            raise TimeoutError(f"task {self.id} was not acknowledged within {timeout_s} s; it may still be submitted")
        if self._refused:
            raise SubmitError(f"task {self.id}: {self._refused}")
        self._client.check()

    def outcome(self, timeout_s: float | None = None) -> Outcome:
        """Wait for the end of the task.

        Raises SubmitError, TaskNotFoundError.
        """
        until = None if timeout_s is None else now().mono + timeout_s
        self.acknowledged(timeout_s)
        if not self._ended:
            self._done = self._done or threading.Event()
            self._client.follow(self)  # if it ended just before there was an event to set, it is delivered again
            if not self._done.wait(None if until is None else until - now().mono):
                raise TimeoutError(f"task {self.id} did not end within {timeout_s} s")
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

    def status(self, timeout_s: float = 5.0) -> TaskStatus:
        """Where the task is now, read from etcd.

        Raises TaskNotFoundError, EtcdUnreachable.
        """
        return self._client.status(self.id, timeout_s)

    # --- for the client, in its driver's thread ---

    def refuse(self, reason: str) -> None:
        """The submit was refused."""
        self._refused = reason

    def end(self, outcome: Outcome | None) -> None:
        """The task has ended; None: there is no such task."""
        self._outcome, self._ended = outcome, True
        self.wake()

    def wake(self) -> None:
        """Whoever waits must look again: the task has ended, or the client."""
        if self._done is not None:
            self._done.set()
