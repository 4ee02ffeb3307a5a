"""Hand-written bytes against the protobuf library; foreign bytes; endpoints; the meaning of errors."""

from typing import Any

import grpc
import pytest
from etcd3.etcdrpc import kv_pb2, rpc_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from core.etcd.channel import Endpoint, parse_endpoints, target
from core.etcd.errors import classify_status
from core.etcd.wire import Wire, decode_value
from core.kv import codec
from core.kv.requests import Compare, CompareField, CompareOp, Delete, Get, Put, Reason, Refused, Txn, TxnDone, Unknown
from core.model import Garbage, Marker, TaskSpec

PREFIX = "/t\u00e4ndem/"
WIRE = Wire(PREFIX)

KEYS = st.text(max_size=300)
NUMBERS = st.integers(min_value=0, max_value=2**63 - 1)
VALUES = st.integers(min_value=0, max_value=40_000).map(
    lambda size: Marker(TaskSpec("a" * 32, "echo", payload=Raw(b'"' + b"x" * size + b'"')))
)
GETS = st.builds(Get, KEYS, st.none() | KEYS, NUMBERS, NUMBERS, st.booleans(), st.booleans())
COMPARES = st.builds(Compare, KEYS, st.sampled_from(CompareField), st.sampled_from(CompareOp), NUMBERS)
WRITES = st.builds(Put, KEYS, VALUES, NUMBERS) | st.builds(Delete, KEYS)


def key(text: str) -> bytes:
    return (PREFIX + text).encode()


def library_compare(compare: Compare) -> Any:
    results = {CompareOp.EQUAL: rpc_pb2.Compare.EQUAL, CompareOp.GREATER: rpc_pb2.Compare.GREATER}
    targets = {
        CompareField.VERSION: rpc_pb2.Compare.VERSION,
        CompareField.CREATE_REVISION: rpc_pb2.Compare.CREATE,
        CompareField.MOD_REVISION: rpc_pb2.Compare.MOD,
    }
    message = rpc_pb2.Compare(result=results[compare.op], target=targets[compare.field], key=key(compare.key))
    setattr(message, compare.field.value, compare.value)
    return message


def library_op(op: Put | Delete | Get) -> Any:
    match op:
        case Put(name, value, lease):
            return rpc_pb2.RequestOp(
                request_put=rpc_pb2.PutRequest(key=key(name), value=codec.encode(value), lease=lease)
            )
        case Delete(name):
            return rpc_pb2.RequestOp(request_delete_range=rpc_pb2.DeleteRangeRequest(key=key(name)))
        case Get(name, end, limit, revision, keys_only, count_only):
            request = rpc_pb2.RangeRequest(
                key=key(name),
                range_end=b"" if end is None else key(end),
                limit=limit,
                revision=revision,
                keys_only=keys_only,
                count_only=count_only,
            )
            return rpc_pb2.RequestOp(request_range=request)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    compares=st.lists(COMPARES, max_size=6).map(tuple),
    then=st.lists(WRITES | GETS, max_size=6).map(tuple),
    orelse=st.lists(GETS, max_size=4).map(tuple),
)
def test_the_bytes_are_those_of_the_library(
    compares: tuple[Compare, ...], then: tuple[Put | Delete | Get, ...], orelse: tuple[Get, ...]
) -> None:
    ours = rpc_pb2.TxnRequest.FromString(WIRE.txn(Txn(compares, then, orelse)))
    assert ours == rpc_pb2.TxnRequest(
        compare=[library_compare(compare) for compare in compares],
        success=[library_op(op) for op in then],
        failure=[library_op(op) for op in orelse],
    )


def test_answers_are_read_where_the_transaction_asked_for_them() -> None:
    kv = kv_pb2.KeyValue(key=key("b"), value=b"no record", mod_revision=7, create_revision=5, version=2, lease=3)
    answer = rpc_pb2.TxnResponse(
        header=rpc_pb2.ResponseHeader(revision=8),
        succeeded=True,
        responses=[
            rpc_pb2.ResponseOp(response_put=rpc_pb2.PutResponse()),
            rpc_pb2.ResponseOp(response_range=rpc_pb2.RangeResponse(kvs=[kv], count=1)),
        ],
    )
    done = WIRE.txn_done(Txn((), (Delete("a"), Get("b"))), answer)
    assert isinstance(done, TxnDone)
    assert (done.succeeded, done.revision) == (True, 8)
    (found,) = done.found[0].kvs
    assert (found.key, found.mod_revision, found.create_revision, found.version, found.lease) == ("b", 7, 5, 2, 3)
    assert isinstance(found.value, Garbage)


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"ready/\xc3\x28", "r\u00e9".encode()])
def test_foreign_keys_survive_the_round_trip(raw: bytes) -> None:
    event = kv_pb2.Event(type=kv_pb2.Event.DELETE, kv=kv_pb2.KeyValue(key=key("") + raw, mod_revision=1))
    assert WIRE.key(WIRE.changes([event])[0].key) == key("") + raw


@pytest.mark.parametrize("raw", [b"", b"\x00\xff", b"[" * 100_000, b'{"kind":"marker"}', b"null", b'"\xed\xa0\x80"'])
def test_foreign_values_are_garbage(raw: bytes) -> None:
    assert isinstance(decode_value(raw), Garbage)


# --- endpoints ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:2379", [("localhost", 2379)]),
        ("etcd", [("etcd", 2379)]),
        (" http://a:1/, b-2.example:65535,a:1", [("a", 1), ("b-2.example", 65535)]),
        ("[::1]:2379,127.0.0.1:80", [("::1", 2379), ("127.0.0.1", 80)]),
    ],
)
def test_endpoints(text: str, expected: list[tuple[str, int]]) -> None:
    assert list(parse_endpoints(text)) == [Endpoint(*each) for each in expected]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "no etcd endpoint"),
        (" , ", "no etcd endpoint"),
        ("host:", "not a port"),
        ("host:0", "not a port"),
        ("host:65536", "not a port"),
        ("host:\u0663", "not a port"),
        ("host:http", "not a port"),
        (":2379", "not a host"),
        ("a b:1", "not a host"),
        ("[1.2.3.4]:1", "not a host"),
        ("a..b:1", "not a host"),
        ("::1:2379", "brackets"),
        ("https://a:1", "TLS"),
    ],
)
def test_nonsense_endpoints_are_named(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_endpoints(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("etcd:1", "dns:///etcd:1"),
        ("10.0.0.1:1", "ipv4:10.0.0.1:1"),
        ("10.0.0.1:1,10.0.0.2:2", "ipv4:10.0.0.1:1,10.0.0.2:2"),
        ("[::1]:1", "ipv6:[::1]:1"),
        ("[::1]:1,10.0.0.1:2", "ipv6:[::1]:1,[::ffff:10.0.0.1]:2"),
        ("no-such-host.invalid:1,10.0.0.1:2", "ipv4:10.0.0.1:2"),
        ("no-such-host.invalid:1,other.invalid:2", "dns:///no-such-host.invalid:1"),
    ],
)
def test_grpc_targets(text: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no such host")

    monkeypatch.setattr("socket.getaddrinfo", fail)
    assert target(parse_endpoints(text)) == expected


# --- errors ------------------------------------------------------------------------------------------------------

STATUS = grpc.StatusCode


@pytest.mark.parametrize(
    ("status", "detail", "reason"),
    [
        (STATUS.INVALID_ARGUMENT, "etcdserver: too many operations in txn request", Reason.TOO_MANY_OPERATIONS),
        (STATUS.INVALID_ARGUMENT, "etcdserver: request is too large", Reason.TOO_LARGE),
        (STATUS.RESOURCE_EXHAUSTED, "grpc: received message larger than max (3 vs. 2)", Reason.TOO_LARGE),
        (STATUS.RESOURCE_EXHAUSTED, "trying to send message larger than max (3 vs. 2)", Reason.TOO_LARGE),
        (STATUS.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded", Reason.NO_SPACE),
        (STATUS.NOT_FOUND, "etcdserver: requested lease not found", Reason.LEASE_NOT_FOUND),
        (STATUS.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted", Reason.COMPACTED),
        (STATUS.OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision", Reason.INVALID),
        (STATUS.INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request", Reason.INVALID),
        (STATUS.PERMISSION_DENIED, "etcdserver: permission denied", Reason.DENIED),
        (STATUS.INVALID_ARGUMENT, "etcdserver: user name is empty", Reason.DENIED),
        (STATUS.UNAUTHENTICATED, "etcdserver: invalid auth token", Reason.DENIED),
    ],
)
def test_refusals(status: grpc.StatusCode, detail: str, reason: Reason) -> None:
    assert classify_status(status, detail, writes=True) == Refused(reason, detail)


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (STATUS.UNAVAILABLE, "etcdserver: leader changed"),
        (STATUS.UNAVAILABLE, "etcdserver: request timed out"),
        (STATUS.DEADLINE_EXCEEDED, "Deadline Exceeded"),
        (STATUS.CANCELLED, "Channel closed!"),
        (STATUS.RESOURCE_EXHAUSTED, "etcdserver: too many requests"),
        (STATUS.INTERNAL, "stream reset"),
        (STATUS.UNKNOWN, ""),
    ],
)
def test_doubts(status: grpc.StatusCode, detail: str) -> None:
    assert isinstance(classify_status(status, detail, writes=True), Unknown)


def test_an_answer_too_large_leaves_a_write_in_doubt_but_not_a_read() -> None:
    detail = "CLIENT: Received message larger than max (5 vs. 4)"
    assert isinstance(classify_status(STATUS.RESOURCE_EXHAUSTED, detail, writes=True), Unknown)
    assert classify_status(STATUS.RESOURCE_EXHAUSTED, detail, writes=False) == Refused(Reason.TOO_LARGE, detail)
