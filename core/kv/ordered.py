"""Keys in key order, for range reads of the fake etcd.

Most keys of a busy queue are written and deleted without any range read in between. So what is added or removed is
noted in plain sets, and put in order only when somebody reads a range there. A bucket holds the keys that begin with
the same `BUCKET` characters: reading run/ does not make us sort task/.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

from sortedcontainers import SortedList

BUCKET = 4
_REBUILD = 8
"""Taking one key out of the list costs about what sorting in this many does."""


class _Bucket:
    __slots__ = ("_ordered", "fresh", "gone")

    def __init__(self) -> None:
        self.fresh: set[str] = set()  # to be put into the list
        self.gone: set[str] = set()  # to be taken out of it, before that
        self._ordered: SortedList[str] = SortedList()

    def settle(self) -> "SortedList[str]":
        """All keys, in order."""
        ordered, gone = self._ordered, self.gone
        if gone and _REBUILD * len(gone) >= len(ordered):
            self._ordered = ordered = SortedList(key for key in ordered if key not in gone)
        else:
            for key in gone:
                ordered.remove(key)
        gone.clear()
        if self.fresh:
            ordered.update(self.fresh)
            self.fresh.clear()
        return ordered

    def __iter__(self) -> Iterator[str]:
        yield from self.fresh
        yield from (key for key in self._ordered if key not in self.gone)


class OrderedKeys:
    """A set of keys that can be read in order. Adding a key twice, or removing an absent one, is a mistake."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: defaultdict[str, _Bucket] = defaultdict(_Bucket)

    def add(self, key: str) -> None:
        self._buckets[key[:BUCKET]].fresh.add(key)

    def remove(self, key: str) -> None:
        bucket = self._buckets[key[:BUCKET]]
        if key in bucket.fresh:
            bucket.fresh.remove(key)
        else:
            bucket.gone.add(key)

    def first(self, key: str, end: str, limit: int) -> tuple[list[str], int]:
        """The first `limit` keys (0: all) in [key, end), and the number of all keys there."""
        if key >= end:
            return [], 0
        low, high = key[:BUCKET], end[:BUCKET]
        names = sorted(name for name in self._buckets if low <= name <= high)
        if len(names) == 1:
            return _first(self._buckets[names[0]].settle(), key, end, limit)
        found = [one for name in names for one in self._buckets[name].settle().irange(key, end, (True, False))]
        return (found[:limit] if limit else found), len(found)

    def __iter__(self) -> Iterator[str]:
        for bucket in self._buckets.values():
            yield from bucket


def _first(ordered: "SortedList[str]", key: str, end: str, limit: int) -> tuple[list[str], int]:
    in_range: Iterable[str] = ordered.irange(key, end, inclusive=(True, False))
    if not limit:
        found = list(in_range)
        return found, len(found)
    found = list(islice(in_range, limit + 1))
    if len(found) <= limit:
        return found, len(found)
    return found[:limit], ordered.bisect_left(end) - ordered.bisect_left(key)
