"""How large requests and answers are, as far as they cost time."""

from core.kv.requests import EtcdRequest, Found, Get, Grant, Response, Revoke, Txn, TxnDone


def writes(request: EtcdRequest) -> bool:
    """Whether the request passes through the log."""
    if isinstance(request, Txn):
        then = request.then
        # Whoever writes writes first, as a rule; the rest is looked at where that does not hold.
        return bool(then) and (not isinstance(then[0], Get) or not all(isinstance(op, Get) for op in then))
    return isinstance(request, Grant | Revoke)


def size(request: EtcdRequest) -> int:
    """Operations of a request, compares and the else-branch not counted."""
    return len(request.then) if isinstance(request, Txn) else 1


def answered(answer: Response) -> int:
    """Keys in an answer."""
    if isinstance(answer, TxnDone):
        return sum([len(found.kvs) for found in answer.found]) if answer.found else 0
    return len(answer.kvs) if isinstance(answer, Found) else 0
