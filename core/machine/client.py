"""The client's machine: submits tasks and waits for their outcomes.

A submit is sent at once when no transaction is under way; others are gathered meanwhile, and a second transaction
starts beside the first only if it is well filled: batching adds no waiting time when idle. Outcomes come by a watch on
each mailbox (the end of the ids that one client gives its tasks) that is opened before the first submit that is to be
followed, so that no outcome can slip through; what is followed later is read once, and watched from there.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence

from core.kv import keys
from core.machine.messages import (
    Acknowledge,
    Changes,
    Deliver,
    Drain,
    Failed,
    FetchOutcomes,
    Follow,
    Message,
    Now,
    OutcomesFetched,
    Report,
    Started,
    Stop,
    Submit,
    SubmitBatch,
    SubmitDone,
    Timer,
    Trace,
    Unwatch,
    Watch,
    WatchLost,
)
from core.model import Outcome, TaskSpec
from core.policy.batch import MAX_BATCH_BYTES, cut, worth_sending
from core.settings import ClientSettings

MAX_MAILBOXES = 64
"""Watched one by one; a client that follows tasks of more of them at once watches all outcomes instead."""

EVERY = ""
"""Stands for all mailboxes."""


class ClientMachine:
    """See the module. `trace` asks for `Trace` commands."""

    def __init__(self, settings: ClientSettings, *, trace: bool = False) -> None:
        self.settings = settings
        self._trace = trace
        self._pending: deque[tuple[TaskSpec, float]] = deque()  # with the moment of the call
        self._flight: dict[int, tuple[SubmitBatch, tuple[float, ...]]] = {}
        self._batch = 0
        self._followed: dict[str, None] = {}
        self._unread: list[str] = []  # followed, but they may have ended before the watch
        self._mailboxes: Counter[str] = Counter()  # of the followed
        self._own: set[str] = set()  # of what was submitted here: watched to the end
        self._watched: set[str] = set()
        self._every = False  # there are too many mailboxes to watch each
        self._fetching: tuple[str, ...] | None = None  # a read is under way; these will be watched from it on
        self._accepted: set[str] = set()  # while a fetch is under way, which may have read before
        self._closing = False
        self._handlers: dict[type[Message], Callable[..., list[Message]]] = {
            Started: lambda event, now: [],
            Submit: self._on_submit,
            SubmitDone: self._on_submit_done,
            Follow: self._on_follow,
            OutcomesFetched: self._on_fetched,
            Changes: self._on_changes,
            WatchLost: self._on_watch_lost,
            Timer: lambda event, now: [],
            Drain: self._on_drain,
            Failed: lambda event, now: [Report("error", f"{event.call}: {event.detail}"), Stop(1)],
        }

    # --- the machine's interface ---

    def handle(self, event: Message, now: Now) -> Sequence[Message]:
        commands = self._handlers[type(event)](event, now)
        unwatched = self._unwatched()
        if self._fetching is None and (self._unread or unwatched):
            self._fetching = unwatched
            commands.append(FetchOutcomes(tuple(self._unread)))
            self._unread.clear()
        if not unwatched:  # an outcome that comes before its watch would be missed
            self._send(commands)
        if self._closing and not self._pending and not self._flight:
            commands.append(Stop())
        return commands

    def next_deadline(self) -> float | None:
        return None

    def validate(self) -> None:
        assert len(self._flight) <= self.settings.max_in_flight
        assert set(map(keys.mailbox_of, self._followed)) == set(self._mailboxes), "a mailbox too many, or too few"
        assert self._mailboxes.total() == len(self._followed)
        assert len(self._watched) <= MAX_MAILBOXES

    # --- submitting ---

    def _on_submit(self, event: Submit, now: Now) -> list[Message]:
        self._pending.extend((spec, event.called_mono) for spec in event.specs)
        if event.follow:
            mailboxes = self._follow([spec.id for spec in event.specs])
            if not self._every:
                self._own |= mailboxes
        return []

    def _send(self, commands: list[Message]) -> None:
        settings = self.settings
        while worth_sending(len(self._pending), len(self._flight), settings):
            items = cut(self._pending, settings.max_batch, MAX_BATCH_BYTES, _submit_bytes)
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
            self._unfollow(task_id)
        self._unread += [specs[index].id for index in event.existing if specs[index].id in self._followed]
        if self._fetching is not None:
            self._accepted.update(accepted)
        commands: list[Message] = [Acknowledge(accepted, tuple(failed))]
        if self._trace and accepted:
            rows = tuple((specs[index].id, 1, (called[index], now.mono)) for index in event.accepted)
            commands.append(Trace("submitted", rows))
        return commands

    # --- waiting ---

    def _on_follow(self, event: Follow, now: Now) -> list[Message]:
        new = [task_id for task_id in event.ids if task_id not in self._followed]
        self._follow(new)
        self._unread += new
        return []

    def _follow(self, task_ids: Sequence[str]) -> set[str]:
        """Returns their mailboxes."""
        fresh = [keys.mailbox_of(task_id) for task_id in task_ids if task_id not in self._followed]
        self._followed.update(dict.fromkeys(task_ids))
        self._mailboxes.update(fresh)
        if not self._every and len(self._watched | self._mailboxes.keys()) > MAX_MAILBOXES:
            self._every = True
            self._unread = [*self._followed]  # the one watch begins after what the many may not have delivered yet
        return set(fresh)

    def _unfollow(self, task_id: str) -> bool:
        """Whether it was followed."""
        if task_id not in self._followed:
            return False
        del self._followed[task_id]
        mailbox = keys.mailbox_of(task_id)
        self._mailboxes[mailbox] -= 1
        if not self._mailboxes[mailbox]:
            del self._mailboxes[mailbox]
        return True

    def _unwatched(self) -> tuple[str, ...]:
        """Mailboxes that are to be watched, and are not yet."""
        wanted = (EVERY,) if self._every else self._mailboxes
        return tuple([mailbox for mailbox in wanted if mailbox not in self._watched])

    def _on_fetched(self, event: OutcomesFetched, now: Now) -> list[Message]:
        commands: list[Message] = []
        for mailbox in self._fetching or ():
            prefix = keys.mailbox(mailbox)
            commands.append(Watch(prefix, prefix, keys.prefix_end(prefix), event.revision + 1, deletes=False))
            self._watched.add(mailbox)
        self._fetching = None
        self._deliver(event.outcomes, now, commands)
        coming = self._submitting() | self._accepted if event.missing else set()
        self._accepted.clear()
        missing = [task_id for task_id in event.missing if task_id not in coming and self._unfollow(task_id)]
        if missing:
            commands.append(Deliver(tuple((task_id, None) for task_id in missing)))
        self._tidy(commands)
        return commands

    def _tidy(self, commands: list[Message]) -> None:
        """Watches that nobody needs any more cost etcd and us for nothing."""
        for mailbox in sorted(self._watched - {EVERY}):
            if self._every or (mailbox not in self._mailboxes and mailbox not in self._own):
                self._watched.discard(mailbox)
                commands.append(Unwatch(keys.mailbox(mailbox)))

    def _submitting(self) -> set[str]:
        pending = {spec.id for spec, _ in self._pending}
        return pending | {spec.id for command, _ in self._flight.values() for spec in command.specs}

    def _on_changes(self, event: Changes, now: Now) -> list[Message]:
        commands: list[Message] = []
        ended = [(c.key.rpartition("/")[2], c.value) for c in event.changes if isinstance(c.value, Outcome)]
        self._deliver(ended, now, commands)
        if len(self._watched) > 1:
            self._tidy(commands)
        return commands

    def _deliver(self, ended: Iterable[tuple[str, Outcome]], now: Now, commands: list[Message]) -> None:
        outcomes = tuple([(task_id, outcome) for task_id, outcome in ended if self._unfollow(task_id)])
        if outcomes:
            commands.append(Deliver(outcomes))
            if self._trace:
                at = (now.mono,)
                commands.append(Trace("observed", tuple([(key, outcome.attempt, at) for key, outcome in outcomes])))

    def _on_watch_lost(self, event: WatchLost, now: Now) -> list[Message]:
        lost = {mailbox for mailbox in self._watched if keys.mailbox(mailbox) == event.watch}
        self._watched -= lost
        self._unread += [task_id for task_id in self._followed if lost & {EVERY, keys.mailbox_of(task_id)}]
        return []

    def _on_drain(self, event: Drain, now: Now) -> list[Message]:
        self._closing = True
        return []


def _submit_bytes(item: tuple[TaskSpec, float]) -> int:
    return 700 + 2 * len(item[0].payload)
