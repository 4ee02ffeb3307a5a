"""What a driver (`sim.driver`) works with: costs, watchers, procedures under way, how much a message carries."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from core.kv.requests import EtcdRequest, Response
from core.machine import messages as m
from core.machine.api import Machine
from core.machine.messages import Message, Now
from core.procedure.base import Procedure
from sim.etcd.sizes import compares, sent_bytes, size
from sim.parameters import Values


class Costs(NamedTuple):
    """CPU seconds of one decision: `event_s` + `item_s` for each item that came in or went out."""

    event_s: float
    item_s: float


class Watchers(NamedTuple):
    """Who is told what: each may be None. `step` sees every (event, now, commands), `check` runs after it."""

    trace: Callable[[m.Trace], None] | None = None
    report: Callable[[str, str], None] | None = None
    step: Callable[[Message, Now, Sequence[Message]], None] | None = None
    check: Callable[[Machine], None] | None = None


class Step:
    """A procedure that waits for an answer, which then stands in `answer`. `put` brings it back to its driver."""

    __slots__ = ("_put", "answer", "procedure")

    def __init__(self, procedure: Procedure, put: Callable[["Step"], None]) -> None:
        self.procedure = procedure
        self.answer: Response | None = None
        self._put = put

    def reply(self, answer: Response) -> None:
        self.answer = answer
        self._put(self)


Item: TypeAlias = Message | Step
"""What a driver does one after the other: handle an event, advance a procedure."""


_BATCH_FIELDS = frozenset(
    {
        "changes",
        "results",
        "items",
        "endings",
        "specs",
        "jobs",
        "kvs",
        "ids",
        "outcomes",
        "runs",
        "assigned",
        "committed",
        "accepted",
        "keys",
        "ready",
    }
)
_FIELDS: dict[type[Message], tuple[Callable[[Message], Sequence[object]], ...]] = {}


def items_of(message: Message) -> int:
    """The size of the batch that a message carries; what goes into a trace costs the machine next to nothing."""
    fields = _FIELDS.get(type(message))
    if fields is None:
        kind = type(message)
        fields = _FIELDS[kind] = tuple(attrgetter(name) for name in kind.__struct_fields__ if name in _BATCH_FIELDS)
    items = 0
    for field in fields:
        items += len(field(message))
    return items


def built_s(values: Values, request: EtcdRequest) -> float:
    """CPU time to build a request and to send it."""
    cost_s = values.send_s + values.send_item_s * size(request) + values.send_compare_s * compares(request)
    return cost_s + values.send_byte_s * sent_bytes(request)
