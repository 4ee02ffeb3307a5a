"""The scheduler's view of the workers: who lives, what each holds of ours, and who takes the next task.

Who has a free slot goes before who has only room in its buffer; among these the lowest score of the placement function
wins (`core.policy.placement`), ties by id. So buffers fill only when all slots are busy; and only from a deep backlog
(more ready tasks than slots), because at the end of one a buffered task would wait behind its worker's slots while
another's are free.

Workers that serve the same queues and types form a group with one heap of offers. Each worker has one valid offer at
most; outdated ones are skipped when they come up, so a choice costs O(log workers).
"""

from collections.abc import Callable, Iterable
from heapq import heappop, heappush, heapreplace

from core.kv import keys
from core.kv.requests import Change
from core.machine.messages import Now
from core.model import WorkerRecord
from core.policy.credit import ServiceEstimate, buffer_size
from core.policy.placement import find_placement
from core.settings import SchedulerSettings

Group = tuple[tuple[str, ...], tuple[str, ...]]
Kind = tuple[str, str]
Offer = tuple[bool, float, str]
"""Whether a task would wait in the buffer, the score, the worker's id: the least is the next."""


class WorkerState:
    """One live worker. `held`: ids assigned by this scheduler and not yet gone from run/.

    `offer`: its valid entry in the heap of its group; None where it has no room.
    """

    __slots__ = ("estimate", "group", "held", "id", "offer", "record", "share", "slots_share")

    def __init__(self, worker_id: str, record: WorkerRecord, now: Now) -> None:
        self.id = worker_id
        self.record = record
        self.group: Group = (tuple(sorted(record.queues)), tuple(sorted(record.types)))
        self.held: dict[str, None] = {}
        self.offer: Offer | None = None
        self.estimate = ServiceEstimate(now.mono)
        self.share = 0
        self.slots_share = 1

    @property
    def load(self) -> float:
        """Tasks held for each slot that is ours to fill: from 1 on, a task would wait in the buffer."""
        return len(self.held) / self.slots_share


class Fleet:
    """`share_of(credit, worker)` is this scheduler's part of a worker's credit.

    Raises ValueError for a placement that cannot be used.
    """

    def __init__(self, share_of: Callable[[int, str], int], settings: SchedulerSettings) -> None:
        self._share_of = share_of
        self._max_buffer = settings.max_buffer
        self._polling = settings.dispatch == "poll"
        self._placement = find_placement(settings.placement)
        self._workers: dict[str, WorkerState] = {}
        self._heaps: dict[Group, list[Offer]] = {}
        self._groups: dict[Kind, list[Group]] = {}  # cache: class -> groups that serve it
        self._known: dict[Group, Group] = {}  # so that equal groups are the same one
        self.txn_s = 0.0
        self.slots = 0
        """Our part of all slots of the live workers."""
        self.free = 0
        """Tasks that could be assigned now; too few where workers hold more than they should."""

    def __contains__(self, worker: str) -> bool:
        return worker in self._workers

    def __len__(self) -> int:
        return len(self._workers)

    def get(self, worker: str) -> WorkerState | None:
        return self._workers.get(worker)

    def ids(self) -> list[str]:
        return list(self._workers)

    # --- who lives ---

    def put(self, worker: str, record: WorkerRecord, now: Now) -> None:
        """A worker appeared, or rewrote its record."""
        state = WorkerState(worker, record, now)
        state.group = self._known.setdefault(state.group, state.group)
        old = self._workers.get(worker)
        if old is not None:
            state.held, state.estimate = old.held, old.estimate
            self._account(old, -1)
        self._workers[worker] = state
        self._account(state, +1)
        self._groups.clear()
        self._refresh(state)

    def remove(self, worker: str) -> None:
        state = self._workers.pop(worker, None)
        if state is not None:
            self._account(state, -1)
        self._groups.clear()

    def replace(self, live: dict[str, WorkerRecord], now: Now) -> None:
        """These are the live workers, and no others."""
        for worker in self.ids():
            if worker not in live:
                self.remove(worker)
        for worker, record in live.items():
            known = self._workers.get(worker)
            if known is None or known.record != record:
                self.put(worker, record, now)

    def refresh_all(self) -> None:
        """The live schedulers have changed: so have the shares."""
        for state in self._workers.values():
            self._refresh(state)

    # --- what each holds ---

    def hold(self, worker: str, task_id: str, now: Now) -> None:
        state = self._workers.get(worker)
        if state is None:
            return
        held = state.held
        if state.estimate.mono != now.mono:
            state.estimate.advance(now.mono, min(len(held), state.slots_share))
        if task_id not in held:
            held[task_id] = None
            self.free -= 1
        heap = self._heaps.get(state.group)
        if heap and heap[0] is state.offer:  # it was picked a moment ago
            if len(held) < state.share:
                state.offer = self._offer_of(state)
                heapreplace(heap, state.offer)
            else:
                state.offer = None
                heappop(heap)
        elif len(held) < state.share:
            self._offer(state)
        else:
            state.offer = None

    def release(self, worker: str, task_ids: list[str], now: Now, *, completed: bool) -> None:
        """These ids have left run/ (`completed`), or never came there."""
        state = self._workers.get(worker)
        if state is None:
            return
        state.estimate.advance(now.mono, min(len(state.held), state.slots_share))
        before = len(state.held)
        for task_id in task_ids:
            state.held.pop(task_id, None)
        self.free += before - len(state.held)
        if completed and before > len(state.held):
            state.estimate.completed(before - len(state.held))
        self._refresh(state)

    def left(self, changes: Iterable[Change], now: Now) -> None:
        """These run markers are gone."""
        gone: dict[str, list[str]] = {}
        for change in changes:
            path, _, task_id = change.key.rpartition("/")
            worker = path[len(keys.RUN) :]  # whatever else stands there, nobody holds it
            if worker in gone:
                gone[worker].append(task_id)
            else:
                gone[worker] = [task_id]
        for worker, ids in gone.items():
            self.release(worker, ids, now, completed=True)

    def recount(self, counted: dict[str, dict[str, None]], now: Now) -> None:
        """Each worker holds exactly these ids."""
        for worker, ids in counted.items():
            state = self._workers.get(worker)
            if state is None:
                continue
            gone = [task_id for task_id in state.held if task_id not in ids]
            self.release(worker, gone, now, completed=True)
            for task_id in ids:
                if task_id not in state.held:
                    self.hold(worker, task_id, now)

    def assigned(self, txn_s: float) -> None:
        """An assign transaction took this long; keep a moving mean of the last ten or so."""
        self.txn_s += (1.0 if self.txn_s == 0.0 else 0.1) * (txn_s - self.txn_s)

    # --- who is next ---

    def serves(self, kind: Kind) -> bool:
        """Whether some live worker takes tasks of this class."""
        return bool(self._groups_for(kind))

    def pick(self, kind: Kind, *, deep: bool) -> str | None:
        """The worker that takes the next task of this class; buffers count only if the backlog is deep."""
        best: Offer | None = None
        for group in self._groups.get(kind) or self._groups_for(kind):
            top = self._top(group)
            if best is None or (top is not None and top < best):
                best = top
        if best is None or (best[0] and not deep and not self._polling):
            return None
        return best[2]

    @property
    def room(self) -> int:
        """Tasks that could be assigned now."""
        return sum(max(0, state.share - len(state.held)) for state in self._workers.values())

    def _top(self, group: Group) -> Offer | None:
        heap = self._heaps.get(group)
        while heap:
            top = heap[0]
            state = self._workers.get(top[2])
            if state is not None and state.offer is top:
                return top
            heappop(heap)
        return None

    def _groups_for(self, kind: Kind) -> list[Group]:
        groups = self._groups.get(kind)
        if groups is None:
            queue, handler = kind
            live = {state.group for state in self._workers.values() if not state.record.draining}
            groups = sorted(g for g in live if (not g[0] or queue in g[0]) and handler in g[1])
            self._groups[kind] = groups
        return groups

    def _account(self, state: WorkerState, sign: int) -> None:
        self.slots += sign * state.slots_share
        self.free += sign * (state.share - len(state.held))

    def _refresh(self, state: WorkerState) -> None:
        share, slots_share = state.share, state.slots_share
        slots = state.record.slots
        if state.record.draining:
            state.share = 0
        elif self._polling:
            # Assigned tasks wait in etcd for the worker's next pull: a second set is there when the first is taken.
            state.share = self._share_of(2 * slots, state.id)
        else:
            extra = buffer_size(slots, state.estimate.service_s, self.txn_s, self._max_buffer)
            state.share = self._share_of(slots + extra, state.id)
        state.slots_share = max(1, self._share_of(slots, state.id))
        self.slots += state.slots_share - slots_share
        self.free += state.share - share
        if len(state.held) < state.share:
            self._offer(state)
        else:
            state.offer = None

    def _offer(self, state: WorkerState) -> None:
        """It has room."""
        offer = self._offer_of(state)
        if offer == state.offer:
            return
        heap = self._heaps.setdefault(state.group, [])
        if len(heap) > 8 * len(self._workers) + 64:  # mostly outdated by now
            heap[:] = sorted(one.offer for one in self._workers.values() if one.group is state.group and one.offer)
        state.offer = offer
        heappush(heap, offer)

    def _offer_of(self, state: WorkerState) -> Offer:
        return len(state.held) >= state.slots_share, self._placement(state), state.id

    def validate(self) -> None:
        assert self.slots == sum(state.slots_share for state in self._workers.values())
        assert self.free == sum(state.share - len(state.held) for state in self._workers.values())
        for state in self._workers.values():
            assert state.record.draining or state.share >= 0
            has_room = len(state.held) < state.share
            assert (state.offer is not None) == has_room, f"{state.id}: offered {state.offer}, room: {has_room}"
            if state.offer is not None:
                assert any(one is state.offer for one in self._heaps.get(state.group, [])), f"{state.id} is not offered"
                assert state.offer == self._offer_of(state), f"{state.id}: the offer is outdated"
