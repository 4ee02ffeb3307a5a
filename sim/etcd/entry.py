"""A request inside the server."""

from core.kv.requests import EtcdRequest


class Entry:
    """`items`: operations of the request; `size_bytes`: of the payloads in it.

    `number` finds the open reply. `connection`: whose it is.
    """

    __slots__ = ("connection", "items", "number", "request", "size_bytes")

    def __init__(self, number: int, request: EtcdRequest, items: int, size_bytes: int, connection: object) -> None:
        self.connection = connection
        self.number = number
        self.request = request
        self.items = items
        self.size_bytes = size_bytes
