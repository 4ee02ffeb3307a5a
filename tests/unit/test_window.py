"""The window against a model: whatever happens, nothing eligible is missed, and nothing is given twice."""

from collections.abc import Iterator
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.kv.requests import Change, Kv
from core.machine.line import Entry
from core.machine.messages import LoadPage, PageLoaded
from core.machine.window import Window
from core.model import Marker
from tests.unit.window_bench import SIZE, TYPES, kv, read, scattered


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
