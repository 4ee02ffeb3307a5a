"""Who watches a key: finds the watchers of a change without asking each of them.

A thousand workers each watch their own run/{worker}/. So watches of one key, and of everything under a prefix that
ends in a slash, are looked up; only other ranges are compared one by one.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from core.kv.requests import Change

_REMEMBERED_FOLDERS = 20_000
"""later/{due}/ makes a new folder for each due time: what is remembered about folders must not grow without limit."""


class Range(NamedTuple):
    """The keys in [key, end)."""

    key: str
    end: str

    @classmethod
    def of(cls, key: str) -> "Range":
        """One key."""
        return cls(key, key + "\0")

    @property
    def is_folder(self) -> bool:
        return self.key.endswith("/") and self.end == self.key[:-1] + "0"

    @property
    def is_key(self) -> bool:
        return self.end == self.key + "\0"


class _Feed:
    __slots__ = ("pending", "range", "start", "watcher")

    def __init__(self, watcher: int, range_: Range, start: int, pending: list[Change]) -> None:
        self.watcher = watcher
        self.range = range_
        self.start = start
        self.pending = pending


class _Interest:
    """Feeds by what they watch."""

    __slots__ = ("_by_folder", "_elsewhere", "_folders", "_keys")

    def __init__(self) -> None:
        self._keys: dict[str, list[_Feed]] = {}
        self._folders: dict[str, list[_Feed]] = {}
        self._elsewhere: list[_Feed] = []
        # A key's folder -> the feeds of all folders around it. Empty while single keys or other ranges are watched.
        self._by_folder: dict[str, list[_Feed]] = {}

    def add(self, feed: _Feed) -> None:
        self._by_folder.clear()
        if feed.range.is_folder:
            self._folders.setdefault(feed.range.key, []).append(feed)
        elif feed.range.is_key:
            self._keys.setdefault(feed.range.key, []).append(feed)
        else:
            self._elsewhere.append(feed)

    def remove(self, feed: _Feed) -> None:
        self._by_folder.clear()
        if feed in self._elsewhere:
            self._elsewhere.remove(feed)
            return
        places = self._folders if feed.range.is_folder else self._keys
        places[feed.range.key].remove(feed)
        if not places[feed.range.key]:
            del places[feed.range.key]

    def of(self, key: str) -> Sequence[_Feed]:
        """Who watches a key."""
        folder = key[: key.rfind("/") + 1]
        known = self._by_folder.get(folder)
        return self._look_up(key, folder) if known is None else known

    def _look_up(self, key: str, folder: str) -> list[_Feed]:
        found = self._around(folder)
        if self._keys or self._elsewhere:
            others = [feed for feed in self._elsewhere if feed.range.key <= key < feed.range.end]
            return [*found, *self._keys.get(key, ()), *others]
        if len(self._by_folder) >= _REMEMBERED_FOLDERS:
            self._by_folder.clear()
        self._by_folder[folder] = found
        return found

    def _around(self, folder: str) -> list[_Feed]:
        found: list[_Feed] = []
        slash = folder.find("/") + 1
        while slash:
            found += self._folders.get(folder[:slash], ())
            slash = folder.find("/", slash) + 1
        return found


class Feeds:
    """The open watches and what each has not been given yet."""

    def __init__(self, on_change: Callable[[int], None] | None) -> None:
        self._on_change = on_change
        self._feeds: dict[int, _Feed] = {}
        self._last = 0
        self._puts = _Interest()
        self._deletes = _Interest()
        self.puts_of = self._puts.of
        self.deletes_of = self._deletes.of

    def open(self, range_: Range, start: int, missed: list[Change], *, puts: bool, deletes: bool) -> int:
        """A new watcher that has `missed` waiting and takes changes from revision `start` on."""
        self._last += 1
        feed = self._feeds[self._last] = _Feed(self._last, range_, start, missed)
        if puts:
            self._puts.add(feed)
        if deletes:
            self._deletes.add(feed)
        if missed and self._on_change:
            self._on_change(feed.watcher)
        return feed.watcher

    def close(self, watcher: int) -> None:
        """Forget a watcher. One that is closed already stays closed."""
        feed = self._feeds.pop(watcher, None)
        if feed is None:
            return
        for interest in (self._puts, self._deletes):
            if feed in interest.of(feed.range.key):
                interest.remove(feed)

    def deliver(self, feeds: Sequence[_Feed], change: Change) -> None:
        """Give `change` to these feeds, as `puts_of` or `deletes_of` found them."""
        for feed in feeds:
            if change.mod_revision >= feed.start:
                if not feed.pending and self._on_change:
                    self._on_change(feed.watcher)
                feed.pending.append(change)

    def drain(self, watcher: int) -> tuple[Change, ...]:
        """What the watcher has not been given. Raises KeyError where it is closed."""
        feed = self._feeds[watcher]
        pending, feed.pending = feed.pending, []
        return tuple(pending)
