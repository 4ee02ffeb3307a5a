"""The scheduler's machine: gives ready tasks to workers.

Theory of operation. The machine keeps a picture of the cluster (`Fleet`: workers and what they hold of ours;
`Backlog`: windows on ready/) that it loads once at a revision and then keeps by watches from the next one, or, in
poll mode, loads anew at every tick. After each event it assigns whatever it can: ready tasks of its own share to
workers with credit, in batches, several transactions in flight. The picture may be wrong at any moment; the compares
of each transaction decide, so a mistake costs a wasted transaction and never a duplicate.

Invariants (see `validate`): an entry is in a window, or in a batch in flight, or not ours; a task of a batch in
flight is held by its worker; nothing is assigned while the scheduler has no lease.

Assignment lives in `core.machine.assigner`, recovery (requeue, promotion, reconciliation) in `core.machine.upkeep`,
windows in `core.machine.backlog`.
"""

from collections.abc import Callable, Sequence

from core.kv import keys
from core.kv.requests import Change
from core.machine.assigner import Assigner
from core.machine.backlog import Backlog
from core.machine.fleet import Fleet
from core.machine.flights import moments
from core.machine.messages import (
    AssignDone,
    Changes,
    Drain,
    Failed,
    LeaseLost,
    LeaseRenewed,
    Load,
    Loaded,
    Message,
    Now,
    PageLoaded,
    PromoteDone,
    Reconciled,
    Registered,
    Report,
    RequeueDone,
    Started,
    Stop,
    Timer,
    Unregister,
    Watch,
    WatchLost,
)
from core.machine.registration import Registration
from core.machine.upkeep import Upkeep
from core.model import SchedulerRecord, WorkerRecord
from core.policy.share import credit_share, owner
from core.policy.ticker import Ticks, sooner
from core.settings import SchedulerSettings

LAST_ANSWERS_S = 5.0
"""How long a draining scheduler waits for transactions under way. Without their answers nothing is lost: whatever they
did stands in etcd."""


class SchedulerMachine:
    """See the module. `trace` asks for `Trace` commands. Raises ValueError for a placement that cannot be used."""

    def __init__(self, record: SchedulerRecord, settings: SchedulerSettings, *, trace: bool = False) -> None:
        self.settings = settings
        self._trace = trace
        self._registration = Registration(record, settings.lease_ttl_s)
        self._members: tuple[str, ...] = ()
        self._shared: tuple[str, tuple[str, ...]] = ("", ())  # who we were among whom when the work was last shared out
        self._fleet = Fleet(self._share_of, settings)
        self._backlog = Backlog(settings, self._fleet.serves)
        self._upkeep = Upkeep(settings)
        self._ticks = Ticks(settings.ticker, settings.poll_interval_s) if settings.dispatch == "poll" else None
        self._assigner = Assigner(settings, self._backlog, self._fleet)
        self._flights = self._assigner.flights
        self._ready = False  # the picture has been loaded
        self._sees_deletions = False  # of ready markers
        self._loading = False
        self._draining = False
        self._drain_mono: float | None = None
        self._handlers: dict[type[Message], Callable[..., list[Message]]] = {
            Started: lambda event, now: self._registration.start(now),
            Registered: self._on_registered,
            LeaseRenewed: self._on_renewed,
            LeaseLost: self._on_lease_lost,
            Loaded: self._on_loaded,
            Changes: self._on_changes,
            WatchLost: lambda event, now: self._load(),
            PageLoaded: self._on_page,
            AssignDone: self._on_assign_done,
            RequeueDone: self._upkeep.requeue_done,
            PromoteDone: self._upkeep.promote_done,
            Reconciled: self._on_reconciled,
            Timer: lambda event, now: [],
            Drain: self._on_drain,
            Failed: lambda event, now: [Report("error", f"{event.call}: {event.detail}"), Stop(1)],
        }

    # --- the machine's interface ---

    def handle(self, event: Message, now: Now) -> Sequence[Message]:
        commands = self._handlers[type(event)](event, now)
        if self._active:
            me, backlog = self._me, self._backlog
            if self._ticks is not None:
                self._tick(now, commands)
            self._upkeep.work(now, me, self._members, commands)
            if backlog.may_steal:
                backlog.consider_stealing(now, room=self._fleet.room > 0)
            self._assigner.work(me, now, commands)
            commands += backlog.wants()
        elif self._draining:
            waits = self._flights or self._registration.asked
            if not waits or now.mono >= (self._drain_mono or 0.0):
                self._finish(commands)
        return commands

    def next_deadline(self) -> float | None:
        if not self._active:
            return self._drain_mono
        soonest = self._upkeep.deadline
        if self._backlog.may_steal:
            soonest = sooner(soonest, self._backlog.steal_deadline)
        if self._ticks is not None and not self._loading:
            soonest = sooner(soonest, self._ticks.due)
        return soonest

    def validate(self) -> None:
        self._fleet.validate()
        self._backlog.validate()
        self._flights.validate()

    @property
    def _active(self) -> bool:
        return self._ready and self._registration.id is not None and not self._draining

    @property
    def _me(self) -> str:
        return self._registration.id or ""

    def _share_of(self, credit: int, worker: str) -> int:
        if self._me not in self._members:
            return 0
        return credit_share(credit, worker, self._members, self._me)

    # --- registration and the picture ---

    def _on_registered(self, event: Registered, now: Now) -> list[Message]:
        self._registration.registered(event)
        self._loading = False
        return [] if self._draining else self._load()

    def _on_renewed(self, event: LeaseRenewed, now: Now) -> list[Message]:
        self._registration.renewed(event)
        return []

    def _on_lease_lost(self, event: LeaseLost, now: Now) -> list[Message]:
        if not self._registration.lost(event) or self._draining:
            return []
        self._ready = False  # the picture was that of somebody with another share
        return [Report("warning", "scheduler lease lost: registering again"), *self._registration.start(now)]

    def _load(self) -> list[Message]:
        if self._loading:
            return []
        self._loading = True
        self._flights.listing_asked()
        return [Load(self.settings.window)]

    def _on_loaded(self, event: Loaded, now: Now) -> list[Message]:
        self._loading = False
        if self._registration.id is None:
            return []  # a new registration loads again
        first, self._ready = not self._ready, True
        named = ((keys.parse_named(keys.SCHEDULER, kv.key), kv.value) for kv in event.schedulers)
        self._set_members(tuple(name for name, record in named if name and isinstance(record, SchedulerRecord)))
        live = {name: kv.value for kv in event.workers if (name := keys.parse_named(keys.WORKER, kv.key))}
        self._fleet.replace({worker: one for worker, one in live.items() if isinstance(one, WorkerRecord)}, now)
        self._recount(event.runs, now)
        taken = {item.ready_key: item.ready_revision for item in self._flights.given()}
        self._backlog.load(event.ready, event.revision, taken)
        self._flights.listing_taken_in()
        self._upkeep.loaded(event, set(live), now, first=first)
        if self._ticks is not None:
            if first:
                self._ticks.start(now.mono)
                self._ticks.take(now.mono)
            self._ticks.done(now.mono)
            return []
        return self._watches(event.revision + 1)

    def _watches(self, revision: int) -> list[Message]:
        """Of run/ the deletions are enough: we know what we assign, and the others' tasks we do not count.

        Of ready/ the puts are enough while nobody else takes tasks away.
        """
        self._sees_deletions = len(self._members) > 1
        wanted = (
            (keys.WORKER, True, True),
            (keys.SCHEDULER, True, True),
            (keys.READY, True, self._sees_deletions),
            (keys.LATER, True, False),
            (keys.RUN, False, True),
        )
        return [Watch(p[:-1], p, keys.prefix_end(p), revision, puts, deletes) for p, puts, deletes in wanted]

    def _recount(self, runs: Sequence[str], now: Now) -> None:
        """Take what each worker holds of ours from a listing of run/; what is in flight counts too."""
        counted: dict[str, dict[str, None]] = {worker: {} for worker in self._fleet.ids()}
        for key in runs:
            run = keys.parse_run(key)
            if run is not None and run.worker in counted and owner(run.id, self._members) == self._me:
                counted[run.worker][run.id] = None
        for item in self._flights.given():
            counted.get(item.worker, {})[item.marker.spec.id] = None
        self._fleet.recount(counted, now)

    def _set_members(self, members: tuple[str, ...]) -> None:
        if (self._me, members) != self._shared:
            self._shared = (self._me, members)
            self._members = members
            self._fleet.refresh_all()
            self._backlog.members_changed(self._me, members)

    def _tick(self, now: Now, commands: list[Message]) -> None:
        if not self._loading and self._ticks is not None and self._ticks.take(now.mono):
            commands += self._load()

    # --- watches ---

    def _on_changes(self, event: Changes, now: Now) -> list[Message]:
        if event.watch == "ready":
            self._backlog.changes(event.changes, now)
        elif event.watch == "run":
            self._fleet.left(event.changes, now)
        elif event.watch == "later":
            self._upkeep.later_changes(event.changes)
        elif event.watch == "worker":
            return self._on_worker_changes(event.changes, now)
        else:
            self._on_scheduler_changes(event.changes)
            if len(self._members) > 1 and not self._sees_deletions:
                return self._load()
        return []

    def _on_worker_changes(self, changes: tuple[Change, ...], now: Now) -> list[Message]:
        for change in changes:
            worker = keys.parse_named(keys.WORKER, change.key)
            if worker is None:
                continue
            if change.deleted:
                self._fleet.remove(worker)
                self._upkeep.worker_gone(worker, now)
            elif isinstance(change.value, WorkerRecord):
                self._fleet.put(worker, change.value, now)
        self._backlog.workers_changed()
        return []

    def _on_scheduler_changes(self, changes: tuple[Change, ...]) -> None:
        members = set(self._members)
        for change in changes:
            name = keys.parse_named(keys.SCHEDULER, change.key)
            if name is not None and (change.deleted or isinstance(change.value, SchedulerRecord)):
                (members.discard if change.deleted else members.add)(name)
        self._set_members(tuple(sorted(members)))

    def _on_page(self, event: PageLoaded, now: Now) -> list[Message]:
        self._backlog.page(event)
        return []

    def _on_reconciled(self, event: Reconciled, now: Now) -> list[Message]:
        in_flight = {item.marker.spec.id for item in self._flights.items()}
        for worker, ids in self._upkeep.reconciled(event, self._fleet, now).items():
            drifted = [task_id for task_id in ids if task_id not in in_flight]
            self._fleet.release(worker, drifted, now, completed=False)
        return []

    def _on_assign_done(self, event: AssignDone, now: Now) -> list[Message]:
        command = self._assigner.done(event, now)
        for worker in event.gone:
            self._fleet.remove(worker)
            self._upkeep.worker_gone(worker, now)
        if event.gone:
            self._backlog.workers_changed()
        return [moments(event, command, now)] if self._trace and event.assigned else []

    # --- the end ---

    def _on_drain(self, event: Drain, now: Now) -> list[Message]:
        if not self._draining:
            self._draining = True
            self._drain_mono = now.mono + LAST_ANSWERS_S
        return []

    def _finish(self, commands: list[Message]) -> None:
        if self._registration.id is not None:
            commands.append(Unregister(self._registration.lease))
            self._registration.id = None
        self._drain_mono = None
        commands.append(Stop())
