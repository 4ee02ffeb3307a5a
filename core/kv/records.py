"""What stands in the fake etcd: keys, their values, and which of them lie on a shelf.

A run of a million tasks leaves two million records that nobody asks for again. A shelf keeps such records in less room
than objects take; whoever asks for one after all gets it back, and notices nothing.
"""

from collections.abc import Iterator
from typing import Protocol

from core.kv.ordered import OrderedKeys
from core.kv.requests import Kv


class Shelf(Protocol):
    """Gives back exactly what it took."""

    prefixes: tuple[str, ...]
    """What it takes begins with one of these."""

    def take(self, kv: Kv) -> bool:
        """Keep this record; False where it is not of a kind that the shelf can keep."""
        ...

    def give_back(self, key: str) -> Kv | None:
        """The record, which is then no longer on the shelf; None where it is not there."""
        ...

    def within(self, key: str, end: str) -> list[str]:
        """The keys on the shelf in [key, end)."""
        ...

    def each(self, prefix: str) -> Iterator[Kv]:
        """The records on the shelf whose key begins with `prefix`. They stay there."""
        ...


class Records:
    """`data` holds everything but what is on the shelf: ask `find` where a key is not in it.

    Only keys that begin with one of `shelved` can be there.
    """

    __slots__ = ("_keys", "_shelf", "data", "shelved")

    def __init__(self, shelf: Shelf | None) -> None:
        self.data: dict[str, Kv] = {}
        self.shelved = shelf.prefixes if shelf is not None else ()
        self._keys = OrderedKeys()
        self._shelf = shelf

    def find(self, key: str) -> Kv | None:
        """The record of a key, from the shelf too."""
        kv = self.data.get(key)
        if kv is None and self._shelf is not None and key.startswith(self.shelved):
            kv = self._shelf.give_back(key)
            if kv is not None:
                self.create(kv)
        return kv

    def create(self, kv: Kv) -> None:
        """A key that did not exist."""
        self.data[kv.key] = kv
        self._keys.add(kv.key)

    def remove(self, key: str) -> None:
        """A key that is in `data`."""
        del self.data[key]
        self._keys.remove(key)

    def first(self, key: str, end: str, limit: int) -> tuple[list[str], int]:
        """The first `limit` keys (0: all) in [key, end), and the number of all keys there."""
        for one in self._shelf.within(key, end) if self._shelf is not None else ():
            self.find(one)
        return self._keys.first(key, end, limit)

    def put_away(self, key: str) -> None:
        """Nobody will ask for this key, as far as is known."""
        kv = self.data.get(key)
        if kv is not None and self._shelf is not None and self._shelf.take(kv):
            self.remove(key)

    def each(self, prefix: str) -> Iterator[Kv]:
        """All records whose key begins with `prefix`, in no particular order."""
        yield from [kv for key, kv in self.data.items() if key.startswith(prefix)]
        if self._shelf is not None:
            yield from self._shelf.each(prefix)

    def validate(self) -> None:
        assert sorted(self._keys) == sorted(self.data), "the index holds other keys than the data"
        for key, kv in self.data.items():
            assert kv.key == key
            assert kv.version >= 1
            assert (kv.version == 1) == (kv.create_revision == kv.mod_revision), "version disagrees with the revisions"
