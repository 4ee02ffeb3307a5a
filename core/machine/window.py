"""The part of ready/ that a scheduler holds in memory.

Invariant: every ready key up to the cursor that is *eligible* (some live worker serves its queue and type) is held,
or is being assigned, or was taken. Keys beyond the cursor are paged in from etcd in key order when the window runs
low. Whatever arrives behind the cursor (a retry, a skewed id) comes in by the watch; whatever becomes eligible later
moves the cursor back. So memory is bounded by the window, not by the backlog, and what cannot run blocks nothing.

A page looks up to a key that lies about a window ahead (`core.machine.reach`). If its limit did not cut it, the cursor
moves to that key, and only a page up to the end of the queue ends the paging.

While a page is on its way, changes are kept and applied again after it, because the page may be older than they are.
A page that is older than what we knew when we asked for it was asked for by somebody we no longer are (a listing came
in between), and is dropped. A listing, a page and the watch may all show again what was taken a moment ago: what is
taken is remembered until its deletion is seen, or until it is assigned and nothing on its way can show it any more.
There is one window for each queue, so that a long queue cannot push the others out of memory.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from core.kv import keys
from core.kv.requests import Change, Kv
from core.machine.line import Entry, Line
from core.machine.messages import LoadPage, PageLoaded
from core.machine.reach import Reach
from core.model import Marker

Kind = tuple[str, str]
T = TypeVar("T")


class Window:
    """Ready entries of one queue, smallest key first.

    `eligible(kind)` says whether a live worker serves the class; `mine(id)` whether this scheduler owns the task.
    """

    def __init__(self, queue: str, size: int, eligible: Callable[[Kind], bool], mine: Callable[[str], bool]) -> None:
        self.queue = queue
        self.size = size
        self._eligible = eligible
        self._is_mine = mine
        self._entries: dict[str, Entry] = {}  # everything held
        self._foreign: dict[str, None] = {}  # held, but another scheduler's
        self._lines: dict[str, Line] = {}  # own keys, by handler type; only of what is eligible
        self._skipped: dict[Kind, str] = {}  # class -> smallest key left in etcd because nobody serves it
        self._cursor: str | None = keys.ready_queue(queue)  # None: everything is held
        self._reach = Reach(queue, size)
        self._paging_from: str | None = None
        self._late: list[Change] = []
        self._known = 0  # the newest revision that we have seen something of
        self._asked = 0  # what it was when the page under way was asked for
        self._taken: dict[str, int] = {}  # key -> revision at which it was taken
        self._assigned: list[Entry] = []  # of the taken

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def own(self) -> int:
        """Entries that this scheduler may assign."""
        return len(self._entries) - len(self._foreign)

    def resize(self, size: int) -> None:
        """Hold about this many from now on."""
        self.size = self._reach.limit = size
        if len(self._entries) > 2 * size:
            self._shrink()

    # --- coming in ---

    def change(self, change: Change) -> None:
        """A watch event on one of this queue's ready keys."""
        if self._paging_from is not None:
            self._late.append(change)
        key, revision = change.key, change.mod_revision
        if revision > self._known:  # noqa: PLR1730  max() would be a tenth of the cost of a change
            self._known = revision
        if change.deleted:
            if self._taken.get(key, revision) < revision:
                del self._taken[key]
            entry = self._entries.get(key)
            if entry is not None and entry.revision < revision:
                self._drop(key)
        elif self._cursor is None or key <= self._cursor:
            marker = change.value
            if type(marker) is Marker:
                self._add(key, revision, marker)

    def put_back(self, entry: Entry) -> None:
        """An entry that was taken but not assigned after all."""
        self._forget(entry)
        if self._cursor is None or entry.key <= self._cursor:
            self._add(entry.key, entry.revision, entry.marker)

    def assigned(self, entry: Entry) -> None:
        """What was taken is gone from ready/."""
        if self._paging_from is None and entry.revision <= self._known:
            self._forget(entry)
        else:  # a page or the watch, which is behind the page that it came with, may show it again
            self._assigned.append(entry)

    def _forget(self, entry: Entry) -> None:
        if self._taken.get(entry.key) == entry.revision:
            del self._taken[entry.key]

    def page_wanted(self) -> LoadPage | None:
        """The page that should be fetched now, if any; the caller then must deliver it to `page`."""
        if self._paging_from is not None or self._cursor is None or 2 * len(self._entries) >= self.size:
            return None
        self._paging_from = self._cursor
        self._asked = self._known
        return LoadPage(self.queue, self._cursor, self.size, self._reach.until(self._cursor))

    def page(self, page: PageLoaded) -> None:
        """The answer to a `LoadPage`. It is of no use if the cursor has moved since that was asked for."""
        if page.after != self._paging_from or page.revision < self._asked:
            return
        if page.after == self._cursor:
            self._take_in(page.kvs, page.until, cut=page.more)
        self._paging_from = None
        late, self._late = self._late, []
        for change in late:
            self.change(change)
        gone, self._assigned = self._assigned, []
        for entry in gone:
            self.assigned(entry)

    def reset(self, kvs: Sequence[Kv], revision: int, taken: dict[str, int], *, more: bool) -> None:
        """Forget everything; `kvs` are the first ready keys of the queue, but for what is `taken` (key -> revision)."""
        self._entries.clear()
        self._foreign.clear()
        self._lines.clear()
        self._skipped.clear()
        self._late.clear()
        self._assigned.clear()
        self._taken = taken
        self._known = self._asked = revision
        self._paging_from = None
        self._cursor = keys.ready_queue(self.queue)
        self._take_in(kvs, "", cut=more)

    def _take_in(self, kvs: Sequence[Kv], until: str, *, cut: bool) -> None:
        """What lies behind the cursor up to `until` ("": the end of the queue), or as much of it as the limit let."""
        self._reach.read(kvs, until, cut=cut)
        if not cut:
            self._cursor = until or None
        elif kvs:
            self._cursor = kvs[-1].key
        for kv in kvs:
            # Not all of it has room where much came behind the cursor while the page was on its way.
            if type(kv.value) is Marker and (self._cursor is None or kv.key <= self._cursor):
                self._add(kv.key, kv.mod_revision, kv.value)

    def _add(self, key: str, revision: int, marker: Marker) -> None:
        if self._taken and self._taken.get(key, -1) >= revision:
            return
        spec = marker.spec
        line = self._lines.get(spec.type) or self._line(spec.type)
        if line is None:
            self._skip(key, spec.type)
            return
        held = self._entries.get(key)
        if held is not None and held.revision >= revision:
            return
        self._entries[key] = Entry(key, revision, marker)
        if held is None:
            if self._is_mine(spec.id):
                line.add(key)
            else:
                self._foreign[key] = None
            if len(self._entries) > 2 * self.size:
                self._shrink()

    def _line(self, type_: str) -> Line | None:
        """A new line; None where nobody serves the class."""
        kind = (self.queue, type_)
        if not self._eligible(kind):
            return None
        line = self._lines[type_] = Line(kind)
        return line

    def _skip(self, key: str, type_: str) -> None:
        kind = (self.queue, type_)
        least = self._skipped.get(kind)
        if least is None or key < least:
            self._skipped[kind] = key

    def _drop(self, key: str) -> None:
        del self._entries[key]
        self._foreign.pop(key, None)

    def _shrink(self) -> None:
        """Keep the first `size` entries; the cursor moves back to the last of them."""
        ordered = sorted(self._entries)
        self._cursor = ordered[self.size - 1]
        for key in ordered[self.size :]:
            self._drop(key)
        self._share_out()

    def _share_out(self) -> None:
        """Sort the entries into ours, by class, and the others'."""
        self._foreign.clear()
        for line in self._lines.values():
            line.clear()
        for key in sorted(self._entries):
            spec = self._entries[key].marker.spec
            if self._is_mine(spec.id):
                self._lines[spec.type].add(key)
            else:
                self._foreign[key] = None

    # --- going out ---

    def head(self, kind: Kind) -> str | None:
        """The smallest own key of a class."""
        line = self._lines.get(kind[1])
        return None if line is None else line.head(self._entries)

    def kinds(self) -> list[Kind]:
        """Classes with own entries, in a fixed order."""
        return sorted(line.kind for line in self._lines.values() if line.head(self._entries) is not None)

    def take(self, kind: Kind) -> Entry:
        """Remove and return the head of a class, which must exist."""
        line = self._lines[kind[1]]
        head = line.head(self._entries)
        assert head is not None, f"nothing to take of {kind}"
        return self._remove(line, head)

    def first(self, pick: Callable[[Kind], T | None]) -> tuple[Entry, T] | None:
        """Take the smallest own key for whose class `pick` has a place, and that place."""
        entries = self._entries
        lines: Collection[Line] = self._lines.values()
        if len(lines) > 1:
            lines = sorted(lines, key=lambda line: line.head(entries) or "")
        for line in lines:
            head = line.head(entries)
            if head is not None:
                place = pick(line.kind)
                if place is not None:
                    return self._remove(line, head), place
        return None

    def _remove(self, line: Line, head: str) -> Entry:
        line.pop(head)
        entry = self._entries.pop(head)
        self._taken[head] = entry.revision
        return entry

    # --- changes of the cluster ---

    def ownership_changed(self) -> None:
        """The live schedulers, or what is stolen, have changed: share the entries out again."""
        self._share_out()

    def eligibility_changed(self) -> None:
        """The live workers have changed: page skipped classes in again, let go of what nobody serves now."""
        again = [key for kind, key in self._skipped.items() if self._eligible(kind)]
        for kind in [kind for kind in self._skipped if self._eligible(kind)]:
            del self._skipped[kind]
        ended = {type_ for type_, line in self._lines.items() if not self._eligible(line.kind)}
        if ended:
            for key in [key for key, entry in self._entries.items() if entry.marker.spec.type in ended]:
                self._skip(key, self._entries[key].marker.spec.type)
                self._drop(key)
            for type_ in ended:
                del self._lines[type_]
        if again:
            self._move_back(min(again))

    def _move_back(self, key: str) -> None:
        """Page again from just before `key` on."""
        before = key[:-1]  # sorts before the key and after every key that is smaller and not a prefix of it
        if self._cursor is None or before < self._cursor:
            self._cursor = before
            for held in [held for held in self._entries if held > before]:
                self._drop(held)
            self._share_out()

    def validate(self) -> None:
        """Check the invariants of this module."""
        assert len(self._entries) <= 2 * self.size, "more held than the window allows"
        own = {key for line in self._lines.values() for key in line if key in self._entries}
        assert own | set(self._foreign) == set(self._entries), "an entry is neither ours nor another's"
        assert not own & set(self._foreign), "an entry is ours and another's"
        for key in self._entries:
            assert self._cursor is None or key <= self._cursor, "an entry beyond the cursor"
