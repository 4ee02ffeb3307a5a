"""A request inside the server."""

from core.kv.requests import EtcdRequest


class Entry:
    """`items`: operations of the request. `number` finds the open reply. `connection`: whose it is."""

    __slots__ = ("connection", "items", "number", "request")

    def __init__(self, number: int, request: EtcdRequest, items: int, connection: object) -> None:
        self.connection = connection
        self.number = number
        self.request = request
        self.items = items
