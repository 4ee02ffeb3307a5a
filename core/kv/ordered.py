"""Keys in key order, for range reads of the fake etcd.

Most keys of a busy queue are written and deleted without any range read in between. So new keys of a bucket stay in
a plain set ("fresh") until somebody reads a range there, and only then are put in order. A bucket is the part of a key
up to its first slash: reading run/ does not make us sort task/.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from sortedcontainers import SortedList


class _Bucket:
    __slots__ = ("fresh", "ordered")

    def __init__(self) -> None:
        self.fresh: set[str] = set()
        self.ordered: SortedList[str] = SortedList()

    def settle(self) -> "SortedList[str]":
        if self.fresh:
            self.ordered.update(self.fresh)
            self.fresh.clear()
        return self.ordered


class OrderedKeys:
    """A set of keys that can be read in order. Adding a key twice, or removing an absent one, is a mistake."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    def add(self, key: str) -> None:
        name = key[: key.find("/") + 1]
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket()
        bucket.fresh.add(key)

    def remove(self, key: str) -> None:
        bucket = self._buckets[key[: key.find("/") + 1]]
        if key in bucket.fresh:
            bucket.fresh.remove(key)
        else:
            bucket.ordered.remove(key)

    def first(self, key: str, end: str, limit: int) -> tuple[list[str], int]:
        """The first `limit` keys (0: all) in [key, end), and the number of all keys there."""
        if key >= end:
            return [], 0
        name = key[: key.find("/") + 1]
        if name and end <= name[:-1] + "0":  # "0" follows "/": the whole range lies in one bucket
            bucket = self._buckets.get(name)
            if bucket is None:
                return [], 0
            return _first(bucket.settle(), key, end, limit)
        found = sorted(self._across(key, end))
        return (found[:limit] if limit else found), len(found)

    def _across(self, key: str, end: str) -> Iterator[str]:
        for bucket in self._buckets.values():
            yield from bucket.settle().irange(key, end, inclusive=(True, False))

    def __iter__(self) -> Iterator[str]:
        for bucket in self._buckets.values():
            yield from bucket.fresh
            yield from bucket.ordered


def _first(ordered: "SortedList[str]", key: str, end: str, limit: int) -> tuple[list[str], int]:
    in_range: Iterable[str] = ordered.irange(key, end, inclusive=(True, False))
    if not limit:
        found = list(in_range)
        return found, len(found)
    found = list(islice(in_range, limit + 1))
    if len(found) <= limit:
        return found, len(found)
    return found[:limit], ordered.bisect_left(end) - ordered.bisect_left(key)
