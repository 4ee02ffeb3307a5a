"""What waits, as one scheduler sees it: a window for each queue, its own share of them, and when to steal.

Queues take turns, so a long queue cannot starve a short one; within a queue the smallest key goes first, and a task
that nobody has room for does not hold up the class behind it.

Stealing keeps the slots busy when an owner sleeps: once this scheduler has nothing of its own left and an owner has
moved nothing for `steal_after_s`, that owner's tasks count as ours until it moves again.
"""

from collections.abc import Callable, Iterable

from core.kv import keys
from core.kv.requests import Change
from core.machine.line import Entry
from core.machine.messages import Message, Now, PageLoaded, QueuePage
from core.machine.window import Window
from core.policy.room import queue_window
from core.policy.share import owner
from core.settings import SchedulerSettings

Kind = tuple[str, str]


class Backlog:
    """`serves(kind)` says whether a live worker takes that class."""

    def __init__(self, settings: SchedulerSettings, serves: Callable[[Kind], bool]) -> None:
        self._settings = settings
        self._serves = serves
        self._windows: dict[str, Window] = {}
        self._size = settings.window  # of each
        self._order: list[str] = []  # queue names, sorted
        self._turn = 0
        self._me = ""
        self._members: tuple[str, ...] = ()
        self._moved: dict[str, float] = {}  # scheduler -> when it last moved something
        self._stolen: set[str] = set()
        self._idle_since: float | None = None
        self.may_steal = False
        """There are others. Only then do `consider_stealing` and `steal_deadline` matter."""

    # --- ownership ---

    def _mine(self, task_id: str) -> bool:
        if len(self._members) <= 1:
            return True
        who = owner(task_id, self._members)
        return who == self._me or who in self._stolen

    def members_changed(self, me: str, members: tuple[str, ...]) -> None:
        self._me, self._members = me, members
        self._stolen &= set(members)
        self._moved = {member: at for member, at in self._moved.items() if member in members}
        self.may_steal = len(members) > 1
        if not self.may_steal:
            self._idle_since = None
        self._share_out()

    def _share_out(self) -> None:
        for window in self._windows.values():
            window.ownership_changed()

    def workers_changed(self) -> None:
        for window in self._windows.values():
            window.eligibility_changed()

    # --- coming in ---

    def _window(self, queue: str) -> Window:
        window = self._windows.get(queue)
        if window is None:
            window = Window(queue, self._size, self._serves, self._mine)
            # A queue that is new to us was empty at the load (or it would be known), so nothing of it lies in etcd
            # that the watch does not bring.
            window.reset((), 0, {}, more=False)
            self._windows[queue] = window
            self._order = sorted(self._windows)
            self._make_room()
        return window

    def _make_room(self) -> None:
        """Many queues share the room of a few."""
        size = queue_window(self._settings.window, len(self._windows))
        if size != self._size:
            self._size = size
            for window in self._windows.values():
                window.resize(size)

    def load(self, pages: tuple[QueuePage, ...], revision: int, taken: dict[str, int]) -> None:
        """Replace everything by a fresh listing, but for what is taken (ready key -> revision)."""
        listed = {page.queue for page in pages}
        for queue in [queue for queue in self._windows if queue not in listed]:
            del self._windows[queue]
        for page in pages:
            prefix = keys.ready_queue(page.queue)
            own = {key: at for key, at in taken.items() if key.startswith(prefix)}
            self._window(page.queue).reset(page.kvs, revision, own, more=page.more)
        self._order = sorted(self._windows)
        self._make_room()

    def changes(self, changes: tuple[Change, ...], now: Now) -> None:
        alone = len(self._members) <= 1
        window: Window | None = None
        last = ""
        for change in changes:
            queue = keys.queue_of_ready(change.key)
            if queue is None:
                continue
            if window is None or queue != last:
                window, last = self._window(queue), queue
            if change.deleted and not alone:
                self._owner_moved(keys.id_at_end(change.key), now)
            window.change(change)

    def _owner_moved(self, task_id: str, now: Now) -> None:
        who = owner(task_id, self._members)
        if who is None or who == self._me:
            return
        if who in self._stolen:
            return  # we moved it ourselves, or it woke up: it is given back when our own work comes
        self._moved[who] = now.mono

    def page(self, event: PageLoaded) -> None:
        window = self._windows.get(event.queue)
        if window is not None:
            window.page(event)

    def assigned(self, entries: Iterable[Entry]) -> None:
        """What was taken is gone from ready/."""
        window: Window | None = None
        last = ""
        for entry in entries:
            queue = entry.marker.spec.queue
            if window is None or queue != last:
                window, last = self._window(queue), queue
            window.assigned(entry)

    def put_back(self, entry: Entry) -> None:
        self._window(entry.marker.spec.queue).put_back(entry)

    # --- going out ---

    @property
    def own(self) -> int:
        """Ready tasks of our share, as far as they are in memory."""
        own = 0
        for window in self._windows.values():
            own += window.own
        return own

    def next(self, pick: Callable[[Kind], str | None]) -> tuple[Entry, str] | None:
        """The next task and its worker, or None where nothing can be placed; queues take turns."""
        count = len(self._order)
        for step in range(count):
            window = self._windows[self._order[(self._turn + step) % count]]
            choice = window.first(pick)
            if choice is not None:
                self._turn = (self._turn + step + 1) % count
                return choice
        return None

    def wants(self) -> list[Message]:
        """Pages to fetch."""
        wanted: list[Message] = []
        for queue in self._order:
            page = self._windows[queue].page_wanted()
            if page is not None:
                wanted.append(page)
        return wanted

    # --- stealing ---

    @property
    def steal_deadline(self) -> float | None:
        if self._idle_since is None:
            return None
        sleepers = [
            max(self._moved.get(m, 0.0), self._idle_since) + self._settings.steal_after_s
            for m in self._members
            if m != self._me and m not in self._stolen
        ]
        return min(sleepers, default=None)

    def consider_stealing(self, now: Now, *, room: bool) -> None:
        """With `room` to spare and nothing of our own: whose tasks count as ours from now on."""
        own = self.own
        foreign = any(len(window) > window.own for window in self._windows.values())
        if own or not foreign or not room:
            self._idle_since = None
            if self._stolen and not own and not foreign:
                self._stolen.clear()
                self._share_out()  # nothing is held, but what was may still stand in the heaps as ours
            return
        if self._idle_since is None:
            self._idle_since = now.mono
        asleep = [
            member
            for member in self._members
            if member != self._me
            and member not in self._stolen
            and now.mono >= max(self._moved.get(member, 0.0), self._idle_since) + self._settings.steal_after_s
        ]
        if asleep:  # what was stolen before may have left us with nothing: then we stay idle, and steal from the next
            self._stolen.update(asleep)
            self._share_out()

    def collided(self, now: Now) -> None:
        """Somebody else took what we tried to take: whoever we stole from is awake."""
        if self._stolen:
            for member in self._stolen:
                self._moved[member] = now.mono
            self._stolen.clear()
            self._share_out()

    def validate(self) -> None:
        for window in self._windows.values():
            window.validate()
