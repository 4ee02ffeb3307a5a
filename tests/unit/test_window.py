"""The window against a model: whatever happens, nothing eligible is missed, and nothing is given twice."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.kv import keys
from core.kv.requests import Change, Kv
from core.machine.backlog import Backlog
from core.machine.line import Entry
from core.machine.messages import LoadPage, PageLoaded, QueuePage
from core.machine.window import Window
from core.model import Marker, TaskSpec
from core.settings import SchedulerSettings

TYPES = ("echo", "cpu", "gpu")
SIZE = 4


def task_id(number: int) -> str:
    return f"{number:032x}"


def scattered(number: int) -> int:
    """Bursts of five with ever larger gaps, so that guesses of where the next ones lie go wrong."""
    return (number // 5) ** 20 + number % 5


def kv(number: int, revision: int, kind: str = "echo", priority: int = 5) -> Kv:
    spec = TaskSpec(task_id(number), kind, priority=priority)
    return Kv(keys.ready("default", priority, spec.id), Marker(spec), revision)


def read(store: dict[str, Kv], revision: int, page: LoadPage) -> PageLoaded:
    """What etcd answers."""
    found = [store[key] for key in sorted(store) if page.after < key and (not page.until or key <= page.until)]
    cut = len(found) > page.limit
    return PageLoaded(page.queue, page.after, tuple(found[: page.limit]), cut, revision, page.until)


class WindowModel(RuleBasedStateMachine):
    """etcd is a dict and a log; the watch lags behind it, and pages are read when they like."""

    deletions = True  # the watch tells of them

    def __init__(self) -> None:
        super().__init__()
        self.served = {"echo"}
        self.owners = {0}
        self.revision = 1
        self.store: dict[str, Kv] = {}
        self.log: list[Change] = []
        self.delivered = 0
        self.pages: list[LoadPage | PageLoaded] = []  # asked for, or also read
        self.taken: dict[str, Entry] = {}  # in flight: not yet assigned nor put back
        self.given: set[tuple[str, int]] = set()
        self.window = Window(
            "default", SIZE, lambda kind: kind[1] in self.served, lambda id_: int(id_, 16) % 3 in self.owners
        )
        self.window.reset((), 1, {}, more=True)

    # --- etcd ---

    def write(self, written: Kv | None, key: str) -> None:
        self.revision += 1
        if written is None:
            del self.store[key]
        else:
            self.store[key] = written
        self.log.append(Change(key, written.value if written else None, self.revision, deleted=written is None))

    @rule(number=st.integers(0, 40), kind=st.sampled_from(TYPES), priority=st.sampled_from([4, 5]))
    def arrives(self, number: int, kind: str, priority: int) -> None:
        # The type belongs to the id: a task never changes it.
        type_ = TYPES[number % 3] if kind == "echo" else TYPES[number % 2]
        arrived = kv(scattered(number), self.revision + 1, type_, priority)
        if not any(key.endswith(arrived.key[-32:]) for key in (*self.store, *self.taken)):
            self.write(arrived, arrived.key)

    @rule(data=st.data())
    def vanishes(self, data: st.DataObject) -> None:
        if self.store:
            self.write(None, data.draw(st.sampled_from(sorted(self.store))))

    @rule(count=st.integers(1, 6))
    def watch_delivers(self, count: int) -> None:
        for change in self.log[self.delivered : self.delivered + count]:
            if self.deletions or not change.deleted:
                self.window.change(change)
        self.delivered = min(len(self.log), self.delivered + count)

    @rule()
    def asks_for_a_page(self) -> None:
        asked = self.window.page_wanted()
        if asked is not None:
            self.pages.append(asked)

    def read(self, page: LoadPage) -> PageLoaded:
        return read(self.store, self.revision, page)

    @precondition(lambda self: self.pages)
    @rule(data=st.data())
    def etcd_reads_a_page(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.pages) - 1))
        page = self.pages[index]
        if isinstance(page, LoadPage):
            self.pages[index] = self.read(page)

    @precondition(lambda self: any(isinstance(page, PageLoaded) for page in self.pages))
    @rule(data=st.data())
    def page_arrives(self, data: st.DataObject) -> None:
        page = data.draw(st.sampled_from([page for page in self.pages if isinstance(page, PageLoaded)]))
        self.pages.remove(page)
        self.window.page(page)

    @rule()
    def lists_anew(self) -> None:
        """As after a lost watch: what is listed is newer than what was delivered."""
        first = [self.store[key] for key in sorted(self.store)]
        self.delivered = len(self.log)
        flying = {key: entry.revision for key, entry in self.taken.items()}
        self.window.reset(first[:SIZE], self.revision, flying, more=len(first) > SIZE)

    # --- the scheduler ---

    @rule(data=st.data())
    def takes(self, data: st.DataObject) -> None:
        heads = [kind for kind in self.window.kinds() if self.window.head(kind) is not None]
        if not heads:
            return
        kind = data.draw(st.sampled_from(heads))
        head = self.window.head(kind)
        entry = self.window.take(kind)
        assert entry.key == head
        assert (entry.key, entry.revision) not in self.given, "the same marker was given twice"
        self.given.add((entry.key, entry.revision))
        self.taken[entry.key] = entry

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), assigned=st.booleans())
    def assign_is_answered(self, data: st.DataObject, assigned: bool) -> None:
        entry = self.taken.pop(data.draw(st.sampled_from(sorted(self.taken))))
        stands = entry.key in self.store and self.store[entry.key].mod_revision == entry.revision
        if assigned and stands:
            self.write(None, entry.key)
            self.window.assigned(entry)
        elif stands:
            self.given.discard((entry.key, entry.revision))
            self.window.put_back(entry)

    @rule(served=st.sets(st.sampled_from(TYPES)))
    def workers_change(self, served: set[str]) -> None:
        self.served = served
        self.window.eligibility_changed()

    @rule(owners=st.sets(st.integers(0, 2), min_size=1))
    def schedulers_change(self, owners: set[int]) -> None:
        self.owners = owners
        self.window.ownership_changed()

    # --- what must hold ---

    def wanted(self) -> Iterator[Kv]:
        """Own, eligible and ready, in the picture that the watch has drawn so far, and not in flight."""
        for stored in self.store.values():
            assert isinstance(stored.value, Marker)
            mine = int(stored.value.spec.id, 16) % 3 in self.owners
            flying = self.taken.get(stored.key)
            if (
                mine
                and stored.value.spec.type in self.served
                and not (flying and flying.revision == stored.mod_revision)
            ):
                yield stored

    @invariant()
    def nothing_up_to_the_cursor_is_missed(self) -> None:
        self.window.validate()
        if self.delivered < len(self.log) or self.window._paging_from is not None:
            return
        held = {(entry.key, entry.revision) for entry in self.window._entries.values()}
        for stored in self.wanted():
            if self.window._cursor is None or stored.key <= self.window._cursor:
                assert (stored.key, stored.mod_revision) in held, f"{stored.key} is missed"

    def teardown(self) -> None:
        """Everything is delivered: then everything that is wanted can be taken."""
        expected = {stored.key for stored in self.wanted()}
        got: set[str] = set()
        for _ in range(200):
            self.watch_delivers(len(self.log))
            asked = self.window.page_wanted()
            if asked is not None:
                self.pages.append(asked)
            idle = not self.pages
            for page in self.pages:
                self.window.page(self.read(page) if isinstance(page, LoadPage) else page)
            self.pages.clear()
            for kind in self.window.kinds():
                while self.window.head(kind) is not None:
                    entry = self.window.take(kind)
                    assert (entry.key, entry.revision) not in self.given, "the same marker was given twice"
                    self.given.add((entry.key, entry.revision))
                    if entry.key in self.store and self.store[entry.key].mod_revision == entry.revision:
                        got.add(entry.key)
                        self.write(None, entry.key)
            if idle and self.delivered == len(self.log):
                # Foreign entries fill the window: their owner takes them, which frees it for what lies behind.
                foreign = sorted(self.window._foreign)
                if not foreign:
                    break
                for key in foreign:
                    if key in self.store:
                        self.write(None, key)
        assert expected <= got | {entry.key for entry in self.taken.values()}, f"stuck: {sorted(expected - got)}"


class AloneModel(WindowModel):
    """A scheduler alone: all is its own, and its watch does not tell of deletions."""

    deletions = False

    def __init__(self) -> None:
        super().__init__()
        self.owners = {0, 1, 2}

    @rule()
    def schedulers_change(self) -> None:
        self.window.ownership_changed()


TestWindow: Any = WindowModel.TestCase
TestAlone: Any = AloneModel.TestCase
TestWindow.settings = settings(max_examples=250, stateful_step_count=50, deadline=None, derandomize=True)
TestAlone.settings = TestWindow.settings


# --- single stories, for whoever reads the module ---------------------------------------------------------------


@pytest.fixture
def window() -> Window:
    return Window("default", SIZE, lambda kind: kind[1] != "gpu", lambda _: True)


def test_what_nobody_serves_does_not_fill_the_window(window: Window) -> None:
    window.reset([kv(number, number + 2, "gpu") for number in range(SIZE)], 50, {}, more=True)
    assert len(window) == 0
    assert list(window._skipped) == [("default", "gpu")]
    asked = window.page_wanted()
    assert asked is not None
    assert asked.after == kv(SIZE - 1, 0).key


def test_a_class_that_gets_a_worker_is_paged_in_again() -> None:
    served: set[str] = {"echo"}
    window = Window("default", SIZE, lambda kind: kind[1] in served, lambda _: True)
    stored = [kv(number, number + 2, "gpu" if number < 2 else "echo") for number in range(SIZE)]
    window.reset(stored, 50, {}, more=False)
    assert window.page_wanted() is None
    served.add("gpu")
    window.eligibility_changed()
    asked = window.page_wanted()
    assert asked is not None
    assert asked.after < stored[0].key
    window.page(read({one.key: one for one in stored}, 51, asked))
    assert [window.take(("default", "gpu")).key for _ in range(2)] == [stored[0].key, stored[1].key]


def test_a_page_from_before_a_new_listing_is_dropped(window: Window) -> None:
    """It would move the cursor past what arrived in between."""
    stored = [kv(number, 2) for number in range(6)]
    window.reset(stored[:1], 10, {}, more=True)
    asked = window.page_wanted()
    assert asked is not None
    assert asked.after == stored[0].key
    stale = read({stored[1].key: stored[1]}, 15, asked)
    window.reset(stored[:1], 20, {}, more=True)
    window.change(Change(stored[5].key, stored[5].value, 21))  # beyond the cursor: left to a page
    assert window.page_wanted() == asked
    window.page(stale)
    assert window._cursor == asked.after, "the page of before the listing was believed"
    window.page(PageLoaded("default", asked.after, tuple(stored[1:]), more=False, revision=22))
    assert len(window) == 6


def test_what_changes_while_a_page_is_on_its_way_is_not_forgotten(window: Window) -> None:
    """The page was read before, and moves the cursor past it."""
    stored = [kv(number, 2) for number in range(4)]
    window.reset(stored[:1], 10, {}, more=True)
    asked = window.page_wanted()
    assert asked is not None
    window.change(Change(stored[3].key, stored[3].value, 12))
    window.change(Change(stored[1].key, None, 13, deleted=True))
    window.page(PageLoaded("default", asked.after, tuple(stored[1:3]), more=False, revision=11))
    assert sorted(window._entries) == [stored[0].key, stored[2].key, stored[3].key]


def test_what_was_assigned_is_forgotten_as_soon_as_nothing_can_show_it_again(window: Window) -> None:
    window.reset((), 1, {}, more=False)
    early, late = kv(1, 5), kv(2, 6)
    for one in (early, late):
        window.change(Change(one.key, one.value, one.mod_revision))
        window.assigned(window.take(("default", "echo")))
        assert not window._taken
    ahead = kv(3, 9)
    window.reset((ahead,), 8, {}, more=False)  # as a page that is ahead of the watch
    window.assigned(window.take(("default", "echo")))
    window.change(Change(ahead.key, ahead.value, 9))
    assert window.own == 0, "the late watch brings it back"


def test_what_was_taken_is_not_taken_again_from_a_page_or_a_late_watch(window: Window) -> None:
    stored = kv(1, 7)
    window.reset([stored], 7, {}, more=False)
    entry = window.take(("default", "echo"))
    window.change(Change(stored.key, stored.value, 7))
    assert len(window) == 0
    window.put_back(entry)
    assert len(window) == 1
    window.take(("default", "echo"))
    window.change(Change(stored.key, None, 8, deleted=True))
    window.change(Change(stored.key, stored.value, 9))  # the same task, back from a retry
    assert len(window) == 1


# --- queues side by side ----------------------------------------------------------------------------------------


def page(queue: str, *numbers: int, more: bool = False) -> QueuePage:
    specs = [TaskSpec(task_id(number), "echo", queue=queue) for number in numbers]
    return QueuePage(queue, tuple(Kv(keys.ready(queue, 5, s.id), Marker(s), 2) for s in specs), more)


def test_queues_take_turns() -> None:
    backlog = Backlog(SchedulerSettings(), lambda _: True)
    backlog.load((page("long", 1, 2, 3), page("short", 4)), 5, {})
    order = []
    while (choice := backlog.next(lambda _: "worker")) is not None:
        order.append(int(choice[0].marker.spec.id, 16))
    assert order == [1, 4, 2, 3]


def test_what_is_taken_is_left_out_of_a_listing_unless_it_is_new() -> None:
    backlog = Backlog(SchedulerSettings(), lambda _: True)
    listing = page("q", 1, 2)
    backlog.load((listing,), 5, {listing.kvs[0].key: 2, listing.kvs[1].key: 1})
    choice = backlog.next(lambda _: "worker")
    assert choice is not None
    assert choice[0].key == listing.kvs[1].key
    assert backlog.next(lambda _: "worker") is None


@pytest.mark.parametrize("dispatch", ["watch", "poll"])
def test_pages_are_fetched_in_both_modes(dispatch: str) -> None:
    settings_ = SchedulerSettings(dispatch="poll" if dispatch == "poll" else "watch", window=SIZE)
    backlog = Backlog(settings_, lambda _: False)
    listing = page("q", 1, 2, 3, 4, more=True)
    backlog.load((listing,), 5, {})
    until = keys.ready("q", 5, task_id(4 + 4))  # four ids held four tasks
    assert backlog.wants() == [LoadPage("q", listing.kvs[-1].key, SIZE, until)]
    assert backlog.wants() == []
    backlog.page(PageLoaded("q", listing.kvs[-1].key, (), more=False, revision=6, until=until))
    assert [page_.after for page_ in backlog.wants() if isinstance(page_, LoadPage)] == [until]
    backlog.page(PageLoaded("q", until, (), more=False, revision=6))
    assert backlog.wants() == []
