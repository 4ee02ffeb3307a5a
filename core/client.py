"""The client: submit tasks, wait for what became of them.

with Client("127.0.0.1:2379") as client:
    handle = client.submit("echo", {"hello": "world"})
    print(handle.result(timeout_s=10))
"""

import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from core.etcd.store import DEFAULT_NAMESPACE
from core.handle import Call, Handle, SubmitError, TaskCancelledError, TaskFailedError, TaskNotFoundError
from core.inspect import TaskStatus, describe_task
from core.kv import keys
from core.kv.requests import Get, Grant, Response, Revoke, Txn
from core.machine.client import ClientMachine
from core.machine.messages import Acknowledge, Deliver, Drain, Follow, Message, Submit
from core.model import DEFAULT_PRIORITY, TaskSpec, same_task
from core.runtime.calls import perform
from core.runtime.clock import now
from core.runtime.discovery import find_endpoints
from core.runtime.driver import Driver, Inbox
from core.runtime.link import EtcdLink
from core.runtime.spool import Spool
from core.scheduler import tasks_per_txn
from core.settings import ClientSettings
from core.specs import check_spec, make_specs

log = logging.getLogger("tandem")

CLOSE_TIMEOUT_S = 10.0

__all__ = [
    "Client",
    "Handle",
    "SubmitError",
    "TaskCancelledError",
    "TaskFailedError",
    "TaskNotFoundError",
]


class Client:
    """Safe to use from many threads. Close it, or use it in a `with` block.

    Without `endpoints` it takes this user's running `tandem up`, else 127.0.0.1:2379. Raises ValueError (endpoints),
    EtcdUnreachable, EtcdUnsupported. `trace_dir`: keep the moments of every task there.
    """

    def __init__(
        self,
        endpoints: str | None = None,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        settings: ClientSettings | None = None,
        trace_dir: Path | None = None,
        name: str = "client",
    ) -> None:
        settings = settings or ClientSettings()
        self._handles: dict[str, Handle] = {}
        self._calls: dict[str, tuple[TaskSpec, Call]] = {}  # submits that are not acknowledged yet
        self._mailbox = secrets.token_hex(keys.MAILBOX_DIGITS // 2)
        self._failure: str | None = None
        self._closing = False
        self._spool = Spool(trace_dir, name) if trace_dir is not None else None
        self._inbox: Inbox = Inbox()
        self._link = EtcdLink(endpoints or find_endpoints(), namespace, self._inbox.put)
        max_batch = min(settings.max_batch, tasks_per_txn(self._link.max_operations))
        machine = ClientMachine(msgspec.structs.replace(settings, max_batch=max_batch), trace=trace_dir is not None)
        effects: dict[type[Message], Callable[[Any], None]] = {Acknowledge: self._on_ack, Deliver: self._on_deliver}
        self._driver = Driver(machine, self._inbox, effects, spool=self._spool)
        self._thread = threading.Thread(target=self._run, name="client", daemon=True)
        self._thread.start()

    def submit(
        self,
        type: str,  # noqa: A002 - the field's word
        payload: object = None,
        *,
        queue: str = "default",
        priority: int = DEFAULT_PRIORITY,
        max_attempts: int = 3,
        wait: bool = True,
        timeout_s: float = 10.0,
    ) -> Handle:
        """Submit one task. With `wait`, return when it is durable; else at once: `handle.acknowledged()` waits later.

        Raises ValueError (a bad name, priority or payload), SubmitError, TimeoutError (it may still be submitted).
        """
        handle = self._submit(type, [payload], queue, priority, max_attempts)[0]
        if wait:
            handle.acknowledged(timeout_s)
        return handle

    def submit_many(
        self,
        type: str,  # noqa: A002 - the field's word
        payloads: Iterable[object],
        *,
        queue: str = "default",
        priority: int = DEFAULT_PRIORITY,
        max_attempts: int = 3,
        wait: bool = True,
        timeout_s: float = 60.0,
    ) -> list[Handle]:
        """Submit a task for each payload; otherwise as `submit`."""
        handles = self._submit(type, payloads, queue, priority, max_attempts)
        if wait and handles:
            handles[-1].acknowledged(timeout_s)  # handles of one call, with fresh ids, are acknowledged together
            for handle in handles:
                handle.acknowledged(0)
        return handles

    def _submit(
        self, kind: str, payloads: Iterable[object], queue: str, priority: int, max_attempts: int
    ) -> list[Handle]:
        """Tasks with fresh ids: none of them is known here yet."""
        self._check_open()
        specs = make_specs(
            kind, payloads, queue=queue, priority=priority, max_attempts=max_attempts, mailbox=self._mailbox
        )
        call = Call(len(specs))
        handles = [Handle(self, spec.id, call) for spec in specs]
        self._handles.update([(handle.id, handle) for handle in handles])
        self._calls.update([(spec.id, (spec, call)) for spec in specs])
        self._send(specs, follow=True)
        return handles

    def submit_specs(self, specs: Sequence[TaskSpec], *, follow: bool = True) -> list[Handle]:
        """Submit tasks that are specified in full, ids included; returns at once.

        `follow`: their outcomes will be wanted. Without it, a handle that is asked later costs a read.
        The same task again is harmless. Another task under the same id is refused: its handle raises SubmitError.

        Raises ValueError (a specification that no worker could ever take).
        """
        self._check_open()
        for spec in specs:
            check_spec(spec)
        call = Call(len(specs))
        handles: list[Handle] = []
        fresh: list[TaskSpec] = []
        for spec in specs:
            mine = (spec, call)
            entry = self._calls.setdefault(spec.id, mine)
            if entry is mine:
                fresh.append(spec)
                handles.append(Handle(self, spec.id, call))
                if follow:
                    self._keep(handles[-1])
            elif same_task(entry[0], spec):  # it is on its way already
                handles.append(Handle(self, spec.id, entry[1]))
            else:
                handles.append(Handle(self, spec.id, None, refused="a task with this id is submitted and is another"))
        call.expect(len(fresh))
        self._send(fresh, follow=follow)
        return handles

    def _send(self, specs: list[TaskSpec], *, follow: bool) -> None:
        if specs:
            self._inbox.put(Submit(tuple(specs), now().mono, follow))
        self.check()  # closed in the meantime: nobody would wake the handles

    def handle(self, task_id: str) -> Handle:
        """A handle for a task that was submitted earlier, by anyone."""
        return self._handles.get(task_id) or Handle(self, task_id, None)

    def status(self, task_id: str, timeout_s: float = 5.0) -> TaskStatus:
        """Where a task is now.

        Raises TaskNotFoundError, EtcdUnreachable.
        """
        status = perform(self._link.send, describe_task(task_id), timeout_s)
        if status is None:
            raise TaskNotFoundError(f"there is no task {task_id}")
        return status

    def send(self, request: Get | Txn | Grant | Revoke, reply: Callable[[Response], None]) -> None:
        """Send one request over the client's connection (`core.runtime.calls.perform` uses it)."""
        self._link.send(request, reply)

    def follow(self, handle: Handle) -> None:
        """Have the outcome of a handle's task delivered to it."""
        if self._handles.get(handle.id) is not handle:  # else it is followed since its submit
            self._keep(handle)
            self._inbox.put(Follow((handle.id,)))
        self.check()  # closed in the meantime: nobody would wake the handle

    def _keep(self, handle: Handle) -> None:
        """Have the handle told what becomes of its task, be it the first one of that task or not."""
        self._handles.setdefault(handle.id, handle).pair(handle)

    @property
    def pending(self) -> int:
        """How many tasks were submitted or followed here whose outcome is not known yet."""
        return len(self._handles)

    def check(self) -> None:
        """Raises RuntimeError where the client has been closed or has failed."""
        if self._failure is not None:
            raise RuntimeError(self._failure)

    def _check_open(self) -> None:
        """Raises RuntimeError where nothing may be submitted any more."""
        if self._closing and self._failure is None:
            raise RuntimeError("the client is being closed")
        self.check()

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Send what was submitted, then disconnect. Handles that wait get an error.

        It goes on as long as etcd acknowledges something every `timeout_s` seconds; what is then left is named in a
        warning, and may or may not be submitted.
        """
        self._closing = True
        self._inbox.put(Drain())
        left = len(self._calls) + 1
        while self._thread.is_alive() and len(self._calls) < left:
            left = len(self._calls)
            self._thread.join(timeout_s)
        if self._thread.is_alive() and self._calls:
            log.warning("%d tasks were not acknowledged before the client was closed", len(self._calls))
        self._end("the client is closed")
        self._link.close()
        if self._spool is not None:
            self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # --- in the driver's thread ---

    def _run(self) -> None:
        try:
            code = self._driver.run(self._link)
        except Exception as error:
            self._end(f"the client has failed: {error!r}")
            raise
        self._end("the client has stopped: etcd refused a request (see the log)" if code else "the client is closed")

    def _on_ack(self, command: Acknowledge) -> None:
        for task_id, reason in command.failed:
            self._calls[task_id][1].refused[task_id] = reason
            kept = self._handles.pop(task_id, None)
            for handle in (kept, *kept.twins) if kept is not None else ():
                if handle.refused:
                    handle.call_back()
                else:  # it means the task that was there before
                    self.follow(handle)
        for task_id in (*command.ids, *(task_id for task_id, _ in command.failed)):
            self._calls.pop(task_id)[1].arrived()

    def _on_deliver(self, command: Deliver) -> None:
        for task_id, outcome in command.outcomes:
            handle = self._handles.pop(task_id, None)
            if handle is not None:
                handle.end(outcome)

    def _end(self, reason: str) -> None:
        """Wake everybody who waits, with the reason in place before."""
        self._failure = self._failure or reason
        for _, call in list(self._calls.values()):
            call.settled.open()
        for handle in list(self._handles.values()):
            handle.wake()
