"""A request inside the server."""

from core.kv.requests import EtcdRequest


class Entry:
    """`items`: operations of the request. `number` finds the open reply; 0 where nobody waits."""

    __slots__ = ("items", "number", "request")

    def __init__(self, number: int, request: EtcdRequest, items: int) -> None:
        self.number = number
        self.request = request
        self.items = items
