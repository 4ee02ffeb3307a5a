"""A request inside the server, and a batch of them in its log."""

from collections.abc import Sequence

from core.kv.requests import EtcdRequest
from sim.etcd.sizes import compares, sent_bytes, size


class Entry:
    """`items`: operations of the request; `compares` in it; `size_bytes`: of the payloads in it.

    `number` finds the open reply. `connection`: whose it is.
    """

    __slots__ = ("compares", "connection", "items", "number", "request", "size_bytes")

    def __init__(self, number: int, request: EtcdRequest, connection: object) -> None:
        self.connection = connection
        self.number = number
        self.request = request
        self.items = size(request)
        self.compares = compares(request)
        self.size_bytes = sent_bytes(request)


class Batch:
    """What the log writes at once, with all operations, compares and bytes in it."""

    __slots__ = ("compares", "count", "items", "size_bytes")

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.count = len(entries)
        self.items = sum([entry.items for entry in entries])
        self.compares = sum([entry.compares for entry in entries])
        self.size_bytes = sum([entry.size_bytes for entry in entries])
