"""What a window is made of: entries, and lines of their keys in order, one for each placement class."""

from collections import deque
from collections.abc import Container, Iterator
from heapq import heappop, heappush

import msgspec

from core.model import Marker


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A ready marker as it was written at `revision`."""

    key: str
    revision: int
    marker: Marker


class Line:
    """A priority queue for keys that come almost in order: then both ends cost a step instead of a sift.

    Keys are not taken out of the middle. `head` passes over those that are no longer held.
    """

    __slots__ = ("_run", "_strays", "kind")

    def __init__(self, kind: tuple[str, str]) -> None:
        self.kind = kind
        self._run: deque[str] = deque()  # what came in order
        self._strays: list[str] = []  # a heap of the rest

    def __iter__(self) -> Iterator[str]:
        yield from self._run
        yield from self._strays

    def add(self, key: str) -> None:
        if not self._run or key > self._run[-1]:
            self._run.append(key)
        else:
            heappush(self._strays, key)

    def head(self, held: Container[str]) -> str | None:
        """The smallest key that is held."""
        run, strays = self._run, self._strays
        while run and run[0] not in held:
            run.popleft()
        while strays and strays[0] not in held:
            heappop(strays)
        if strays and (not run or strays[0] < run[0]):
            return strays[0]
        return run[0] if run else None

    def pop(self, head: str) -> None:
        """Take out the key that `head` has just named."""
        if self._run and self._run[0] == head:
            self._run.popleft()
        else:
            heappop(self._strays)

    def clear(self) -> None:
        self._run.clear()
        self._strays.clear()
