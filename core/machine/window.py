"""The part of ready/ that a scheduler holds in memory.

Invariant: every ready key up to the cursor that is *eligible* (some live worker serves its queue and type) is held,
or is being assigned, or was taken. Keys beyond the cursor are paged in from etcd in key order when the window runs
low. Whatever arrives behind the cursor (a retry, a skewed id) comes in by the watch; whatever becomes eligible later
moves the cursor back. So memory is bounded by the window, not by the backlog, and what cannot run blocks nothing.

While a page is on its way, changes are kept and applied again after it, because the page may be older than they are.
A page that is older than what we knew when we asked for it was asked for by somebody we no longer are (a listing came
in between), and is dropped. A listing, a page and the watch may all show again what was taken a moment ago: what is
taken is remembered until its deletion is seen.
There is one window for each queue, so that a long queue cannot push the others out of memory.
"""

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from core.kv import keys
from core.kv.requests import Change, Kv
from core.model import Marker


class Entry(NamedTuple):
    key: str
    revision: int
    marker: Marker

    @property
    def kind(self) -> tuple[str, str]:
        """The placement class: queue and handler type."""
        return (self.marker.spec.queue, self.marker.spec.type)


class Window:
    """Ready entries of one queue, smallest key first.

    `eligible(kind)` says whether a live worker serves the class; `mine(id)` whether this scheduler owns the task.
    """

    def __init__(
        self, queue: str, size: int, eligible: Callable[[tuple[str, str]], bool], mine: Callable[[str], bool]
    ) -> None:
        self.queue = queue
        self.size = size
        self._eligible = eligible
        self._is_mine = mine
        self._entries: dict[str, Entry] = {}  # everything held
        self._foreign: dict[str, None] = {}  # held, but another scheduler's
        self._heaps: dict[tuple[str, str], list[str]] = {}  # own keys by class; keys no longer held are skipped
        self._skipped: dict[tuple[str, str], str] = {}  # class -> smallest key left in etcd because nobody serves it
        self._cursor: str | None = keys.ready_queue(queue)  # None: everything is held
        self._paging_from: str | None = None
        self._late: list[Change] = []
        self._known = 0  # the newest revision that we have seen something of
        self._asked = 0  # what it was when the page under way was asked for
        self._taken: dict[str, int] = {}  # key -> revision at which it was taken

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def own(self) -> int:
        """Entries that this scheduler may assign."""
        return len(self._entries) - len(self._foreign)

    @property
    def skipped(self) -> Iterable[tuple[str, str]]:
        """Classes with waiting tasks that no live worker serves."""
        return self._skipped

    # --- coming in ---

    def change(self, change: Change) -> None:
        """A watch event on one of this queue's ready keys."""
        if self._paging_from is not None:
            self._late.append(change)
        self._known = max(self._known, change.mod_revision)
        if change.deleted:
            if self._taken.get(change.key, change.mod_revision) < change.mod_revision:
                del self._taken[change.key]
            entry = self._entries.get(change.key)
            if entry is not None and entry.revision < change.mod_revision:
                self._drop(change.key)
        elif isinstance(change.value, Marker) and (self._cursor is None or change.key <= self._cursor):
            self._add(Entry(change.key, change.mod_revision, change.value))

    def put_back(self, entry: Entry) -> None:
        """An entry that was taken but not assigned after all."""
        if self._taken.get(entry.key) == entry.revision:
            del self._taken[entry.key]
        if self._cursor is None or entry.key <= self._cursor:
            self._add(entry)

    def page_wanted(self) -> str | None:
        """The key to page after, if a page should be fetched now; the caller then must deliver it to `page`."""
        if self._paging_from is not None or self._cursor is None or len(self._entries) >= self.size // 2:
            return None
        self._paging_from = self._cursor
        self._asked = self._known
        return self._cursor

    def page(self, after: str, kvs: Iterable[Kv], revision: int, *, more: bool) -> None:
        """The page after `after`, in key order, at most `size` of them.

        It is of no use if the cursor has moved since it was asked for.
        """
        if after != self._paging_from or revision < self._asked:
            return
        if after == self._cursor:
            last = after
            for kv in kvs:
                last = kv.key
                if isinstance(kv.value, Marker):
                    self._add(Entry(kv.key, kv.mod_revision, kv.value))
            self._cursor = last if more else None
        self._paging_from = None
        late, self._late = self._late, []
        for change in late:
            self.change(change)

    def reset(self, kvs: Iterable[Kv], revision: int, taken: dict[str, int], *, more: bool) -> None:
        """Forget everything; `kvs` are the first ready keys of the queue, but for what is `taken` (key -> revision)."""
        self._entries.clear()
        self._foreign.clear()
        self._heaps.clear()
        self._skipped.clear()
        self._late.clear()
        self._taken = taken
        self._known = self._asked = revision
        self._cursor = self._paging_from = keys.ready_queue(self.queue)
        self.page(self._cursor, kvs, revision, more=more)

    def _add(self, entry: Entry) -> None:
        if self._taken and self._taken.get(entry.key, -1) >= entry.revision:
            return
        kind = entry.kind
        if not self._eligible(kind):
            least = self._skipped.get(kind)
            if least is None or entry.key < least:
                self._skipped[kind] = entry.key
            return
        held = self._entries.get(entry.key)
        if held is not None and held.revision >= entry.revision:
            return
        self._entries[entry.key] = entry
        if held is None:
            if self._is_mine(entry.marker.spec.id):
                heappush(self._heaps.setdefault(kind, []), entry.key)
            else:
                self._foreign[entry.key] = None
            if len(self._entries) > 2 * self.size:
                self._shrink()

    def _drop(self, key: str) -> None:
        del self._entries[key]
        self._foreign.pop(key, None)

    def _shrink(self) -> None:
        """Keep the first `size` entries; the cursor moves back to the last of them."""
        ordered = sorted(self._entries)
        self._cursor = ordered[self.size - 1]
        for key in ordered[self.size :]:
            self._drop(key)
        self._rebuild()

    def _rebuild(self) -> None:
        self._heaps.clear()
        self._foreign.clear()
        for key, entry in self._entries.items():
            if self._is_mine(entry.marker.spec.id):
                self._heaps.setdefault(entry.kind, []).append(key)
            else:
                self._foreign[key] = None
        for heap in self._heaps.values():
            heapify(heap)

    # --- going out ---

    def head(self, kind: tuple[str, str]) -> str | None:
        """The smallest own key of a class."""
        heap = self._heaps.get(kind)
        while heap:
            if heap[0] in self._entries:
                return heap[0]
            heappop(heap)
        if heap is not None:
            del self._heaps[kind]
        return None

    def kinds(self) -> list[tuple[str, str]]:
        """Classes with own entries, in a fixed order."""
        return sorted(self._heaps)

    def take(self, kind: tuple[str, str]) -> Entry:
        """Remove and return the head of a class, which must exist."""
        entry = self._entries.pop(heappop(self._heaps[kind]))
        self._taken[entry.key] = entry.revision
        return entry

    # --- changes of the cluster ---

    def ownership_changed(self) -> None:
        """The live schedulers, or what is stolen, have changed: share the entries out again."""
        self._rebuild()

    def eligibility_changed(self) -> None:
        """The live workers have changed: page skipped classes in again, let go of what nobody serves now."""
        served = [key for kind, key in self._skipped.items() if self._eligible(kind)]
        for kind in [kind for kind in self._skipped if self._eligible(kind)]:
            del self._skipped[kind]
        for entry in [entry for entry in self._entries.values() if not self._eligible(entry.kind)]:
            self._drop(entry.key)
            self._skipped[entry.kind] = min(entry.key, self._skipped.get(entry.kind, entry.key))
        if served:
            self._move_back(min(served))

    def _move_back(self, key: str) -> None:
        """Page again from just before `key` on."""
        before = key[:-1]  # sorts before the key and after every key that is smaller and not a prefix of it
        if self._cursor is None or before < self._cursor:
            self._cursor = before
            for held in [held for held in self._entries if held > before]:
                self._drop(held)
            self._rebuild()

    def foreign(self) -> Iterator[str]:
        """Ids of held tasks that other schedulers own."""
        return (self._entries[key].marker.spec.id for key in self._foreign)

    def validate(self) -> None:
        """Check the invariants of this module."""
        assert len(self._entries) <= 2 * self.size, "more held than the window allows"
        own = {key for heap in self._heaps.values() for key in heap if key in self._entries}
        assert own | set(self._foreign) == set(self._entries), "an entry is neither ours nor another's"
        assert not own & set(self._foreign), "an entry is ours and another's"
        for key in self._entries:
            assert self._cursor is None or key <= self._cursor, "an entry beyond the cursor"
