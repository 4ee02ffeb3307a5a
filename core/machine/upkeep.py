"""The scheduler's second job: nothing may stay behind. Tasks that are due, workers that died, pictures that drifted.

Each duty is a call that is issued again only after its answer, so a slow etcd is asked less often, not more.
Every scheduler looks after everything: the owner (by hash) acts at once, the others after `steal_after_s`.
"""

from math import inf

from core.kv import keys
from core.kv.requests import Change
from core.machine.fleet import Fleet
from core.machine.messages import (
    Loaded,
    Message,
    Now,
    Promote,
    PromoteDone,
    Reconcile,
    Reconciled,
    Report,
    Requeue,
    RequeueDone,
)
from core.policy.share import owner
from core.settings import SchedulerSettings

PROMOTE_LIMIT = 256
RECONCILE_PAGE = 1000
_TICK_S = 0.001
"""Due times are whole milliseconds: waking this much later, a due task is certainly due."""


class Upkeep:
    """Promotion from later/, requeue of lost work, reconciliation of run/ with worker/."""

    def __init__(self, settings: SchedulerSettings) -> None:
        self._settings = settings
        self._next_due_at: float | None = None
        self._promoting = False
        self._due_mono: float | None = None
        self._missing: dict[str, float] = {}  # worker that is gone but may have tasks -> when we noticed
        self._requeueing: set[str] = set()
        self._reconciling = False
        self._reconcile_mono = 0.0
        self._page_after = ""
        self._seen: dict[str, set[str]] = {}
        self._suspects: dict[str, set[str]] = {}

    @property
    def deadline(self) -> float | None:
        soonest = inf if self._reconciling else self._reconcile_mono
        if self._due_mono is not None and not self._promoting:
            soonest = min(soonest, self._due_mono)
        for worker in self._missing:
            if worker not in self._requeueing:
                soonest = min(soonest, self._requeue_mono(worker))
        return None if soonest == inf else soonest

    # --- coming in ---

    def loaded(self, event: Loaded, live: set[str], now: Now, *, first: bool) -> None:
        if first:
            self._reconcile_mono = now.mono + self._settings.reconcile_interval_s
        self._next_due_at = event.next_due_at
        for key in event.runs:
            run = keys.parse_run(key)
            if run is not None and run.worker not in live:
                self._missing.setdefault(run.worker, now.mono)

    def later_changes(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            later = keys.parse_later(change.key)
            if later is not None and not change.deleted:
                self._next_due_at = min(later.due_at, self._next_due_at or later.due_at)

    def worker_gone(self, worker: str, now: Now) -> None:
        self._missing.setdefault(worker, now.mono)

    def requeue_done(self, event: RequeueDone, now: Now) -> list[Message]:
        self._requeueing.discard(event.worker)
        self._missing.pop(event.worker, None)
        if event.alive or not event.requeued + event.buried:
            return []
        buried = f", {event.buried} buried (lost too often)" if event.buried else ""
        return [Report("warning", f"worker {event.worker} is gone: {event.requeued} tasks requeued{buried}")]

    def promote_done(self, event: PromoteDone, now: Now) -> list[Message]:
        self._promoting = False
        if event.next_due_at is not None:
            self._next_due_at = min(event.next_due_at, self._next_due_at or event.next_due_at)
        return []

    def reconciled(self, event: Reconciled, fleet: Fleet, now: Now) -> dict[str, list[str]]:
        """Take in a page. Returns what we account to workers although two whole passes did not find it in run/."""
        self._reconciling = False
        self._reconcile_mono = now.mono + self._settings.reconcile_interval_s
        live = set(event.workers)
        for key in event.runs:
            run = keys.parse_run(key)
            if run is None:
                continue
            self._seen.setdefault(run.worker, set()).add(run.id)
            if run.worker not in live:
                self._missing.setdefault(run.worker, now.mono)
        self._page_after = event.next_after
        if event.next_after:
            return {}
        seen, self._seen = self._seen, {}
        absent = {w: ids for w in fleet.ids() if (ids := _held(fleet, w) - seen.get(w, set()))}
        drifted = {w: sorted(ids & self._suspects.get(w, set())) for w, ids in absent.items()}
        self._suspects = absent
        return {worker: ids for worker, ids in drifted.items() if ids}

    # --- going out ---

    def work(self, now: Now, me: str, members: tuple[str, ...], commands: list[Message]) -> None:
        """Append the calls that are due."""
        if self._next_due_at is None:
            self._due_mono = None
        else:
            self._due_mono = now.mono + max(0.0, self._next_due_at + _TICK_S - now.wall)
            if self._due_mono <= now.mono and not self._promoting:
                self._promoting = True
                self._next_due_at = None
                commands.append(Promote(now.wall, PROMOTE_LIMIT, me, members, self._settings.steal_after_s))
        for worker in self._missing:
            mine = owner(worker, members) in (me, None)
            if worker not in self._requeueing and (mine or now.mono >= self._requeue_mono(worker)):
                self._requeueing.add(worker)
                commands.append(Requeue(worker))
        if not self._reconciling and now.mono >= self._reconcile_mono:
            self._reconciling = True
            commands.append(Reconcile(self._page_after, RECONCILE_PAGE))

    def _requeue_mono(self, worker: str) -> float:
        return self._missing[worker] + self._settings.steal_after_s


def _held(fleet: Fleet, worker: str) -> set[str]:
    state = fleet.get(worker)
    return set(state.held) if state is not None else set()
