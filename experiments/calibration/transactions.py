"""The transactions that are measured: puts, with and without payloads and compares."""

from functools import cache
from typing import NamedTuple

from msgspec import Raw

from core.kv.requests import Put, Txn, present
from core.model import Marker, TaskSpec

KEYS, LARGE_KEYS = 4096, 512
"""Written again and again: the server's memory must not grow, or its garbage collector is what is measured."""
ID = "0" * 32


class Kind(NamedTuple):
    """What a transaction is made of."""

    batch: int
    payload_bytes: int = 0
    compared: bool = False
    """Each key is looked up before it is written: it must be there."""


@cache
def puts_of(kind: Kind) -> tuple[Txn, ...]:
    """Transactions that write each key once."""
    keys = LARGE_KEYS if kind.payload_bytes else KEYS
    return tuple(_puts(kind, first, keys) for first in range(0, keys, kind.batch))


def _puts(kind: Kind, first: int, keys: int) -> Txn:
    payload = Raw(b'"%s"' % (b"x" * kind.payload_bytes))
    spec = TaskSpec(ID, "echo", payload=payload) if kind.payload_bytes else TaskSpec(ID, "echo")
    names = [f"task/{(first + number) % keys:032x}" for number in range(kind.batch)]
    return Txn(tuple(map(present, names)) if kind.compared else (), tuple(Put(name, Marker(spec)) for name in names))
