"""How large requests and answers are, as far as they cost time."""

from core.kv.requests import EtcdRequest, Get, Grant, Response, Revoke, Txn


def writes(request: EtcdRequest) -> bool:
    """Whether the request passes through the log."""
    if isinstance(request, Txn):
        return any(not isinstance(op, Get) for op in request.then)
    return isinstance(request, Grant | Revoke)


def size(request: EtcdRequest) -> int:
    """Operations of a request, compares and the else-branch not counted."""
    return len(request.then) if isinstance(request, Txn) else 1


def answered(answer: Response) -> int:
    """Keys in an answer."""
    kvs = getattr(answer, "kvs", None)
    if kvs is not None:
        return len(kvs)
    return sum(len(found.kvs) for found in getattr(answer, "found", ()))
