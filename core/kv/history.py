"""The changes of the fake etcd: for watches that start in the past, and for reads of old revisions."""

from collections import deque
from collections.abc import Iterator, Mapping

import msgspec

from core.kv.feeds import Range
from core.kv.requests import Change, Kv

LENGTH = 100_000
"""Changes kept for watches that start in the past and for reads of old revisions; older ones count as compacted."""


class Written(msgspec.Struct, frozen=True, gc=False):
    """One change: `after` is None for a deletion, `before` for a creation."""

    revision: int
    key: str
    after: Kv | None
    before: Kv | None


class History:
    """The last `length` changes, a revision whole or not at all; older ones count as compacted."""

    __slots__ = ("_length", "_written", "append", "floor")

    def __init__(self, length: int) -> None:
        self._length = length
        self._written: deque[Written] = deque()
        self.append = self._written.append
        self.floor = 0
        """The oldest revision that can still be read or watched from."""

    def __iter__(self) -> Iterator[Written]:
        return iter(self._written)

    def trim(self, newest: int) -> None:
        """Forget what is too much, except changes of the `newest` revision."""
        written = self._written
        while len(written) > self._length and written[0].revision < newest:
            self.compact(written[0].revision + 1)

    def compact(self, revision: int) -> None:
        """Forget what lies before `revision`."""
        self.floor = max(self.floor, revision)
        written = self._written
        while written and written[0].revision < self.floor:
            written.popleft()

    def since(self, revision: int, where: Range, *, puts: bool, deletes: bool) -> list[Change]:
        """Changes of keys in a range, from `revision` on."""
        found: list[Change] = []
        for written in reversed(self._written):
            if written.revision < revision:
                break
            if where.key <= written.key < where.end and (deletes if written.after is None else puts):
                found.append(_change(written))
        found.reverse()
        return found

    def past(self, at: int, where: Range, present: Mapping[str, Kv | None]) -> list[Kv]:
        """A range as it stood at revision `at`: the present, with everything since then undone. In key order."""
        kvs = dict(present)
        for written in reversed(self._written):
            if written.revision <= at:
                break
            if where.key <= written.key < where.end:
                kvs[written.key] = written.before
        return [kv for _, kv in sorted(kvs.items()) if kv is not None]

    def validate(self) -> None:
        revisions = [written.revision for written in self._written]
        assert revisions == sorted(revisions), "the history is out of order"
        assert not revisions or self.floor <= revisions[0], "the history reaches below its floor"


def _change(written: Written) -> Change:
    if written.after is None:
        return Change(written.key, None, written.revision, deleted=True)
    return Change(written.key, written.after.value, written.revision, version=written.after.version)
