"""The worker's machine: runs assigned tasks in its slots and commits what became of them.

Theory of operation. A task is *waiting* (assigned, no slot yet), *fetching* (its payload is read from the task
record), *running* (in a slot), or *ended* (its result waits to be committed or is being committed). Never more than
`slots` run at once. Each ending is one guarded move: the compare on the run marker's revision, our fencing token,
decides whether the result counts. A worker whose own lease deadline has passed starts nothing new and holds its
results until a keepalive is answered; under a lost lease it commits all the same, and the compare decides.

In watch mode the run markers come by a watch; in poll mode each tick pulls at most the free slots.
"""

from collections.abc import Callable, Sequence

import msgspec

from core.kv import keys
from core.kv.requests import Change, Kv
from core.machine.commits import Commits
from core.machine.endings import ending
from core.machine.held import Held
from core.machine.intake import Intake
from core.machine.messages import (
    Announce,
    Changes,
    CompleteDone,
    Drain,
    Execute,
    Failed,
    FetchTasks,
    Finished,
    HandBack,
    HandedBack,
    Job,
    LeaseLost,
    LeaseRenewed,
    ListRuns,
    Message,
    Now,
    Registered,
    Report,
    RunsListed,
    Started,
    Stop,
    TasksFetched,
    Timer,
    Trace,
    Unregister,
    Watch,
    WatchLost,
)
from core.machine.registration import Registration
from core.model import WorkerRecord
from core.policy.rng import Rng
from core.policy.ticker import Ticks
from core.settings import WorkerSettings

LAST_COMMITS_S = 5.0
"""How long after the drain limit a worker tries to tell etcd what became of its tasks. Beyond that it stops without an
answer: its lease runs out, and a scheduler requeues them."""


class WorkerMachine:
    """See the module. `trace` asks for `Trace` commands."""

    def __init__(self, record: WorkerRecord, settings: WorkerSettings, rng: Rng, *, trace: bool = False) -> None:
        self.settings = settings
        self._rng = rng
        self._trace = trace
        self._registration = Registration(record, settings.lease_ttl_s)
        self._ticks = Ticks(settings.ticker, settings.poll_interval_s) if settings.dispatch == "poll" else None
        self._held = Held()  # of everything below
        self._intake = Intake(self._held)
        self._running: dict[str, Job] = {}
        self._commits = Commits(settings)
        self._pulling = False
        self._draining = False
        self._drain_mono: float | None = None  # of the drain limit; when that is over, of the very end
        self._over_limit = False
        self._handing_back = 0
        self._handlers: dict[type[Message], Callable[..., list[Message]]] = {
            Started: lambda event, now: self._registration.start(now),
            Registered: self._on_registered,
            LeaseRenewed: self._on_renewed,
            LeaseLost: self._on_lease_lost,
            RunsListed: self._on_listed,
            Changes: self._on_changes,
            WatchLost: lambda event, now: self._list(),
            TasksFetched: self._on_fetched,
            Finished: self._on_finished,
            CompleteDone: self._on_complete_done,
            HandedBack: self._on_handed_back,
            Timer: lambda event, now: [],
            Drain: self._on_drain,
            Failed: lambda event, now: [Report("error", f"{event.call}: {event.detail}"), Stop(1)],
        }

    # --- the machine's interface ---

    def handle(self, event: Message, now: Now) -> Sequence[Message]:
        commands = self._handlers[type(event)](event, now)
        if self._commits.waiting:
            self._commit(now, commands)
        if self._draining:
            self._drain(now, commands)
            return commands
        if self._intake.waiting:
            self._start(now, commands)
        if self._ticks is not None:
            self._pull(now, commands)
        return commands

    def next_deadline(self) -> float | None:
        if self._draining:
            return self._drain_mono
        if self._ticks is None or self._pulling or self._registration.id is None:
            return None
        return self._ticks.due

    def validate(self) -> None:
        jobs = [*self._intake, *self._running.values(), *(item.job for item in self._commits.waiting)]
        here = [(job.key, job.token) for job in jobs]
        sent = [(item.job.key, item.job.token) for item in self._commits.sent()]
        assert len({key for key, _ in here}) == len(here), "a task stands in two places"
        assert set(here).isdisjoint(sent), "a task that is being committed is still here"
        assert len(sent) == len(set(sent)), "a task is being committed twice"
        assert len(self._running) <= self.settings.slots, "more tasks run than there are slots"
        assert all(self._held.token(key) == token for key, token in here), "a task that is not accounted for"

    # --- registration ---

    def _on_registered(self, event: Registered, now: Now) -> list[Message]:
        self._registration.registered(event)
        if self._draining:
            return self._announce()
        if self._ticks is not None:
            self._pulling = False
            self._ticks.start(now.mono)
            return []
        return self._list()

    def _on_renewed(self, event: LeaseRenewed, now: Now) -> list[Message]:
        self._registration.renewed(event)
        return []

    def _on_lease_lost(self, event: LeaseLost, now: Now) -> list[Message]:
        if not self._registration.lost(event) or self._draining:
            return []
        # What waits belongs to the old id and is requeued by a scheduler; what runs goes on, and may still count.
        self._intake.drop()
        return [Report("warning", "worker lease lost: registering again"), *self._registration.start(now)]

    # --- tasks come in ---

    def _list(self, limit: int = 0) -> list[Message]:
        if self._registration.id is None:
            return []
        self._held.listing_asked()
        return [ListRuns(self._registration.id, limit)]

    def _pull(self, now: Now, commands: list[Message]) -> None:
        if self._pulling or not self._registration.holds(now):
            return
        if self._ticks is not None and self._ticks.take(now.mono):
            self._pulling = True
            commands += self._list(limit=len(self._held) + self._free)

    @property
    def _free(self) -> int:
        """Slots that nothing we hold will need."""
        return max(0, self.settings.slots - len(self._running) - len(self._intake))

    def _on_listed(self, event: RunsListed, now: Now) -> list[Message]:
        commands: list[Message] = []
        kvs = self._held.listed(event.kvs)
        if self._draining:
            self._receive(kvs, now, commands)
            return commands
        if self._ticks is None:
            self._receive(kvs, now, commands)
            prefix = keys.run_worker(self._registration.id or "")
            commands.append(Watch("run", prefix, keys.prefix_end(prefix), event.revision + 1, deletes=False))
            return commands
        self._pulling = False
        self._ticks.done(now.mono)
        self._receive([kv for kv in kvs if self._held.is_new(kv)][: self._free], now, commands)
        return commands

    def _on_changes(self, event: Changes, now: Now) -> list[Message]:
        commands: list[Message] = []
        self._receive(event.changes, now, commands)
        return commands

    def _receive(self, kvs: Sequence[Kv | Change], now: Now, commands: list[Message]) -> None:
        jobs = self._intake.receive(kvs, keys.run_worker(self._registration.id or ""))
        fetch = tuple([job.marker.spec.id for job in jobs if job.marker.by_reference])
        if fetch:
            commands.append(FetchTasks(fetch))
        if self._trace and jobs:
            at = (now.mono,)
            commands.append(Trace("received", tuple([(m.spec.id, m.attempt, at) for _, _, m in jobs])))

    def _on_fetched(self, event: TasksFetched, now: Now) -> list[Message]:
        self._intake.fetched(event)
        return []

    def _start(self, now: Now, commands: list[Message]) -> None:
        free = self.settings.slots - len(self._running)
        if free <= 0 or not self._registration.holds(now):
            return
        jobs = self._intake.take(free)
        for job in jobs:
            self._running[job.key] = job
        commands.append(Execute(jobs))

    # --- results go out ---

    def _on_finished(self, event: Finished, now: Now) -> list[Message]:
        rows = []
        for result in event.results:
            job = self._running.pop(result.key, None)
            if job is None or job.token != result.token:
                continue  # handed back at the drain limit
            self._commits.add(ending(job, result, now, self._rng))
            marker = job.marker
            rows.append((marker.spec.id, marker.attempt, (result.started_mono, result.finished_mono)))
        return [Trace("executed", tuple(rows))] if self._trace and rows else []

    def _commit(self, now: Now, commands: list[Message]) -> None:
        # With no lease at all (lost, not yet registered again) nobody is asked to wait for a keepalive.
        if self._registration.id is None or self._registration.holds(now):
            self._commits.work(self._registration.id or "", commands)

    def _on_complete_done(self, event: CompleteDone, now: Now) -> list[Message]:
        command = self._commits.done(event)
        for item in command.endings:
            self._held.let_go(item.job.key, item.job.token)
        commands: list[Message] = []
        if self._trace and event.committed:
            markers = [command.endings[index].job.marker for index in event.committed]
            at = (now.mono,)
            commands.append(Trace("committed", tuple([(m.spec.id, m.attempt, at) for m in markers])))
        if event.fenced:
            commands.append(Report("warning", f"{len(event.fenced)} results came too late: their tasks were requeued"))
        return commands

    # --- the end ---

    def _on_drain(self, event: Drain, now: Now) -> list[Message]:
        if self._draining:
            return []
        self._draining = True
        self._drain_mono = now.mono + self.settings.drain_limit_s
        return self._announce()

    def _announce(self) -> list[Message]:
        """Ask for no more tasks, and what we were given until then."""
        registration = self._registration
        if registration.id is None or not isinstance(registration.record, WorkerRecord):
            return []
        record = msgspec.structs.replace(registration.record, draining=True)
        self._held.listing_asked()
        return [Announce(registration.id, registration.lease, record)]

    def _drain(self, now: Now, commands: list[Message]) -> None:
        back = self._intake.take_all()
        over = self._drain_mono is not None and now.mono >= self._drain_mono
        given_up = over and self._over_limit
        if over and not self._over_limit:
            self._over_limit = True
            self._drain_mono = now.mono + LAST_COMMITS_S
            if self._running:
                commands.append(Report("warning", f"drain limit: {len(self._running)} running tasks are handed back"))
            back += self._running.values()
            self._running.clear()
        if back:
            self._handing_back += 1
            commands.append(HandBack(tuple(back)))
        if given_up:
            commands.append(Report("warning", "etcd does not answer: stopping all the same, the lease will run out"))
        idle = not (self._running or self._commits or self._handing_back)
        waits = self._held.listing or self._registration.asked
        if idle and waits and not self._over_limit:  # etcd may be gone: don't wait for it that long
            self._over_limit = True
            self._drain_mono = now.mono + LAST_COMMITS_S
        if given_up or (idle and not waits):
            if self._registration.id is not None:
                commands.append(Unregister(self._registration.lease))
                self._registration.id = None
            self._drain_mono = None
            commands.append(Stop())

    def _on_handed_back(self, event: HandedBack, now: Now) -> list[Message]:
        self._handing_back -= 1
        for key in event.keys:
            self._held.let_go(key, self._held.token(key))
        return []
