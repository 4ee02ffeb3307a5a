"""How large requests, answers and watch messages are, as far as they cost time.

Items (operations, keys, changes) cost what they cost with the few hundred bytes that a record has of itself. What is
counted in bytes comes on top: the payload of a task, the result of one.
"""

from collections.abc import Iterable

from core.kv.requests import Change, EtcdRequest, Found, Get, Grant, Kv, Put, Response, Revoke, Txn, TxnDone
from core.model import AnyRecord, Marker, Outcome, TaskRecord


def writes(request: EtcdRequest) -> bool:
    """Whether the request passes through the log."""
    if isinstance(request, Txn):
        then = request.then
        # Whoever writes writes first, as a rule; the rest is looked at where that does not hold.
        return bool(then) and (not isinstance(then[0], Get) or not all(isinstance(op, Get) for op in then))
    return isinstance(request, Grant | Revoke)


def size(request: EtcdRequest) -> int:
    """Operations of a request; compares are counted apart, the else-branch not at all."""
    return len(request.then) if isinstance(request, Txn) else 1


def compares(request: EtcdRequest) -> int:
    """Compares of a request: each looks its key up."""
    return len(request.compares) if isinstance(request, Txn) else 0


def answered(answer: Response) -> int:
    """Keys in an answer."""
    if isinstance(answer, TxnDone):
        return sum([len(found.kvs) for found in answer.found]) if answer.found else 0
    return len(answer.kvs) if isinstance(answer, Found) else 0


def load_of(value: AnyRecord | None) -> int:
    """Bytes of the payload or the result in a record."""
    kind = type(value)
    if kind is Marker or kind is TaskRecord:
        return len(value.spec.payload)  # type: ignore[union-attr]
    return len(value.result) if isinstance(value, Outcome) else 0


def sent_bytes(request: EtcdRequest) -> int:
    """Bytes of payloads and results in a request."""
    if isinstance(request, Txn):
        return sum([load_of(op.value) for op in request.then if type(op) is Put])
    return 0


def answered_bytes(answer: Response) -> int:
    """Bytes of payloads and results in an answer."""
    if isinstance(answer, TxnDone):
        return sum([told_bytes(found.kvs) for found in answer.found]) if answer.found else 0
    return told_bytes(answer.kvs) if isinstance(answer, Found) else 0


def told_bytes(kvs: Iterable[Kv | Change]) -> int:
    """Bytes of payloads and results in a watch message, or among the keys of an answer."""
    return sum([load_of(one.value) for one in kvs])
