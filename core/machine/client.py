"""The client's machine: submits tasks and waits for their outcomes.

Submits are sent at once while fewer than `max_in_flight` transactions are under way, and gathered while not: batching
adds no waiting time when idle. Outcomes come by one watch on task/ that is opened before the first submit that is
to be followed, so that no outcome can slip through; what is followed later is read once, and watched from there.
"""

from collections import deque
from collections.abc import Callable, Sequence

from core.kv import keys
from core.kv.requests import Kv
from core.machine.messages import (
    Acknowledge,
    Changes,
    Deliver,
    Drain,
    Failed,
    FetchTasks,
    Follow,
    Message,
    Now,
    Report,
    Started,
    Stop,
    Submit,
    SubmitBatch,
    SubmitDone,
    TasksFetched,
    Timer,
    Trace,
    Watch,
    WatchLost,
)
from core.model import Outcome, TaskRecord, TaskSpec
from core.policy.batch import cut
from core.settings import ClientSettings

MAX_BATCH_BYTES = 1024 * 1024
"""etcd refuses requests over 1.5 MiB; the rest is room for keys and compares."""


class ClientMachine:
    """See the module. `trace` asks for `Trace` commands."""

    def __init__(self, settings: ClientSettings, *, trace: bool = False) -> None:
        self.settings = settings
        self._trace = trace
        self._pending: deque[tuple[TaskSpec, float]] = deque()  # with the moment of the call
        self._flight: dict[int, tuple[SubmitBatch, tuple[float, ...]]] = {}
        self._batch = 0
        self._followed: dict[str, None] = {}
        self._unread: list[str] = []  # followed, but their record may have ended before the watch
        self._watching = False
        self._fetches = 0
        self._accepted: set[str] = set()  # while a fetch is under way, which may have read before
        self._closing = False
        self._handlers: dict[type[Message], Callable[..., list[Message]]] = {
            Started: lambda event, now: [],
            Submit: self._on_submit,
            SubmitDone: self._on_submit_done,
            Follow: self._on_follow,
            TasksFetched: self._on_fetched,
            Changes: self._on_changes,
            WatchLost: self._on_watch_lost,
            Timer: lambda event, now: [],
            Drain: self._on_drain,
            Failed: lambda event, now: [Report("error", f"{event.call}: {event.detail}"), Stop(1)],
        }

    # --- the machine's interface ---

    def handle(self, event: Message, now: Now) -> Sequence[Message]:
        commands = self._handlers[type(event)](event, now)
        if (self._unread or (self._followed and not self._watching)) and not self._fetches:
            self._fetches += 1
            commands.append(FetchTasks(tuple(self._unread)))
            self._unread.clear()
        if self._watching or not self._followed:
            self._send(commands)
        if self._closing and not self._pending and not self._flight:
            commands.append(Stop())
        return commands

    def next_deadline(self) -> float | None:
        return None

    def validate(self) -> None:
        assert len(self._flight) <= self.settings.max_in_flight
        assert self._fetches in (0, 1)

    # --- submitting ---

    def _on_submit(self, event: Submit, now: Now) -> list[Message]:
        self._pending.extend((spec, event.called_mono) for spec in event.specs)
        if event.follow:
            self._followed.update((spec.id, None) for spec in event.specs)
        return []

    def _send(self, commands: list[Message]) -> None:
        while self._pending and len(self._flight) < self.settings.max_in_flight:
            items = cut(self._pending, self.settings.max_batch, MAX_BATCH_BYTES, _submit_bytes)
            self._batch += 1
            command = SubmitBatch(self._batch, tuple(spec for spec, _ in items))
            self._flight[self._batch] = (command, tuple(called for _, called in items))
            commands.append(command)

    def _on_submit_done(self, event: SubmitDone, now: Now) -> list[Message]:
        command, called = self._flight.pop(event.batch)
        specs = command.specs
        accepted = tuple(specs[index].id for index in event.accepted)
        failed = [(specs[index].id, "a task with this id exists and is another") for index in event.conflicts]
        if event.refused:
            settled = {*event.accepted, *event.conflicts}
            failed += [(spec.id, event.refused) for index, spec in enumerate(specs) if index not in settled]
        for task_id, _ in failed:
            self._followed.pop(task_id, None)
        self._unread += [specs[index].id for index in event.existing if specs[index].id in self._followed]
        if self._fetches:
            self._accepted.update(accepted)
        commands: list[Message] = [Acknowledge(accepted, tuple(failed))]
        if self._trace and accepted:
            rows = tuple((specs[index].id, 1, (called[index], now.mono)) for index in event.accepted)
            commands.append(Trace("submitted", rows))
        return commands

    # --- waiting ---

    def _on_follow(self, event: Follow, now: Now) -> list[Message]:
        new = [task_id for task_id in event.ids if task_id not in self._followed]
        self._followed.update((task_id, None) for task_id in new)
        self._unread += new
        return []

    def _on_fetched(self, event: TasksFetched, now: Now) -> list[Message]:
        self._fetches -= 1
        commands: list[Message] = []
        if not self._watching:
            self._watching = True
            commands.append(Watch("task", keys.TASK, keys.prefix_end(keys.TASK), event.revision + 1, deletes=False))
        self._deliver(event.kvs, now, commands)
        coming = self._submitting() | self._accepted if event.missing else set()
        self._accepted.clear()
        missing = [task_id for task_id in event.missing if task_id in self._followed and task_id not in coming]
        for task_id in missing:
            del self._followed[task_id]
        if missing:
            commands.append(Deliver(tuple((task_id, None) for task_id in missing)))
        return commands

    def _submitting(self) -> set[str]:
        pending = {spec.id for spec, _ in self._pending}
        return pending | {spec.id for command, _ in self._flight.values() for spec in command.specs}

    def _on_changes(self, event: Changes, now: Now) -> list[Message]:
        commands: list[Message] = []
        # Version 1 is the submit itself.
        self._deliver([Kv(c.key, c.value, c.mod_revision) for c in event.changes if c.version != 1], now, commands)
        return commands

    def _deliver(self, kvs: Sequence[Kv], now: Now, commands: list[Message]) -> None:
        outcomes: list[tuple[str, Outcome | None]] = []
        rows = []
        for kv in kvs:
            if not isinstance(kv.value, TaskRecord) or kv.value.outcome is None:
                continue
            task_id, outcome = kv.value.spec.id, kv.value.outcome
            if task_id in self._followed:
                del self._followed[task_id]
                outcomes.append((task_id, outcome))
                rows.append((task_id, outcome.attempt, (now.mono,)))
        if outcomes:
            commands.append(Deliver(tuple(outcomes)))
        if self._trace and rows:
            commands.append(Trace("observed", tuple(rows)))

    def _on_watch_lost(self, event: WatchLost, now: Now) -> list[Message]:
        self._watching = False
        self._unread = [*self._followed]
        return []

    def _on_drain(self, event: Drain, now: Now) -> list[Message]:
        self._closing = True
        return []


def _submit_bytes(item: tuple[TaskSpec, float]) -> int:
    return 700 + 2 * len(bytes(item[0].payload))
