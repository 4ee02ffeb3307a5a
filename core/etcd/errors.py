"""What a failed call means: `Refused` (etcd definitely did not apply it) or `Unknown` (it may have)."""

import grpc

from core.kv.requests import Reason, Refused, Unknown


class EtcdError(Exception):
    """etcd cannot be used; the text is a sentence for the user."""


class EtcdUnreachable(EtcdError):  # noqa: N818  says what is, not what kind of class it is
    """Nothing that speaks etcd answers at the endpoints."""


class EtcdUnsupported(EtcdError):  # noqa: N818  as above
    """The server is too old."""


_REASONS_BY_TEXT = (
    ("too many operations in txn request", Reason.TOO_MANY_OPERATIONS),
    ("request is too large", Reason.TOO_LARGE),
    ("message larger than max", Reason.TOO_LARGE),  # grpc's own limit, 512 KiB above etcd's
    ("database space exceeded", Reason.NO_SPACE),
    ("requested lease not found", Reason.LEASE_NOT_FOUND),
    ("required revision has been compacted", Reason.COMPACTED),
    ("permission denied", Reason.DENIED),
    ("user name is empty", Reason.DENIED),
    ("authentication failed", Reason.DENIED),
    ("invalid auth token", Reason.DENIED),
)
"""The sentences of etcd's `rpctypes` package, unchanged from 3.4 to 3.6."""

_REASONS_BY_STATUS = {
    grpc.StatusCode.PERMISSION_DENIED: Reason.DENIED,
    grpc.StatusCode.UNAUTHENTICATED: Reason.DENIED,
    grpc.StatusCode.INVALID_ARGUMENT: Reason.INVALID,
    grpc.StatusCode.NOT_FOUND: Reason.INVALID,
    grpc.StatusCode.OUT_OF_RANGE: Reason.INVALID,  # a revision in the future
    grpc.StatusCode.FAILED_PRECONDITION: Reason.INVALID,
    grpc.StatusCode.UNIMPLEMENTED: Reason.INVALID,
}
"""Everything else (UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, INTERNAL, "too many requests" ...) may have been
applied, or may pass by itself; running the same guarded request again is right in both cases."""


def classify(error: grpc.RpcError, *, writes: bool) -> Refused | Unknown:
    """What `error` says about a request that `writes` (or only reads)."""
    if not isinstance(error, grpc.Call):  # what this client's own code raises on a closed channel
        return Unknown(str(error))
    status, detail = error.code(), error.details() or ""
    return classify_status(status, detail, writes=writes)


def classify_status(status: grpc.StatusCode, detail: str, *, writes: bool) -> Refused | Unknown:
    """The same, for a status and its text."""
    text = detail.lower()
    for words, reason in _REASONS_BY_TEXT:
        if words in text:
            if reason is Reason.TOO_LARGE and writes and "received message larger" in text and "grpc: " not in text:
                return Unknown(detail)  # it was the answer that did not fit, not the request
            return Refused(reason, detail)
    by_status = _REASONS_BY_STATUS.get(status)
    if by_status:
        return Refused(by_status, detail or status.name)
    return Unknown(f"{status.name}: {detail}" if detail else status.name)
