"""`core.kv.requests` to etcd's protobuf bytes, and etcd's answers back.

A transaction of 256 tasks has some 770 parts. Building them as protobuf objects costs 2 us each, writing the bytes
directly 0.5 us; at 10,000 tasks/s that is a tenth of a core. So transactions are written here by hand, and the unit
tests compare every byte with what the protobuf library makes. Everything else goes through the library.

The wire format in short: a message is a row of fields; a field is a tag (number * 8 + type) and, for keys, values and
nested messages, a length and the bytes. Numbers and lengths are varints: 7 bits a byte, lowest first. Fields that are
0 or empty may be left out.
"""

from collections.abc import Sequence
from typing import Any

from etcd3.etcdrpc import kv_pb2, rpc_pb2

from core.kv import codec
from core.kv.requests import Change, Compare, CompareField, CompareOp, Delete, Found, Get, Kv, Put, Txn, TxnDone
from core.model import AnyRecord, Garbage

# Tags, from etcd's rpc.proto.
_TXN_COMPARE, _TXN_SUCCESS, _TXN_FAILURE = b"\x0a", b"\x12", b"\x1a"
_OP_RANGE, _OP_PUT, _OP_DELETE = b"\x0a", b"\x12", b"\x1a"
_KEY = b"\x0a"  # field 1 of PutRequest, DeleteRangeRequest and RangeRequest
_RANGE_END = b"\x12"  # field 2 of RangeRequest
_PUT_VALUE, _PUT_LEASE = b"\x12", b"\x18"
_COMPARE_KEY = b"\x1a"
_COMPARE_GREATER = b"\x08\x01"  # field result; EQUAL is 0 and left out
_COMPARE_FIELDS: dict[CompareField, tuple[bytes, bytes]] = {
    # field target (VERSION is 0 and left out), and the tag of the field of target_union
    CompareField.VERSION: (b"", b"\x20"),
    CompareField.CREATE_REVISION: (b"\x10\x01", b"\x28"),
    CompareField.MOD_REVISION: (b"\x10\x02", b"\x30"),
}


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_SHORT = tuple(_varint(number) for number in range(16_384))


def _size(number: int) -> bytes:
    return _SHORT[number] if number < len(_SHORT) else _varint(number)


def key_bytes(text: str) -> bytes:
    """Keys that were not UTF-8 when we read them become the same bytes again."""
    return text.encode("utf-8", "surrogateescape")


def varint_field(number: int, value: int) -> bytes:
    """One numeric field, for messages of which the generated stubs do not know every field."""
    return _varint(number << 3) + _varint(value)


class Wire:
    """Encoder and decoder for one namespace: its prefix is put before every key, and taken off again."""

    def __init__(self, namespace: str) -> None:
        self._prefix = key_bytes(namespace)
        self._skip = len(self._prefix)

    # --- requests ------------------------------------------------------------------------------------------------

    def txn(self, txn: Txn) -> bytes:
        """The bytes of a TxnRequest."""
        parts: list[bytes] = []
        self._compares(txn.compares, parts)
        self._ops(_TXN_SUCCESS, txn.then, parts)
        self._ops(_TXN_FAILURE, txn.orelse, parts)
        return b"".join(parts)

    def _compares(self, compares: Sequence[Compare], parts: list[bytes]) -> None:
        prefix, sizes, limit = self._prefix, _SHORT, len(_SHORT)
        last_field, last_value = None, -1
        tail = target = b""
        for compare in compares:
            # Compares of one transaction tend to ask the same of many keys.
            if compare.field is not last_field or compare.value != last_value:
                last_field, last_value = compare.field, compare.value
                target, tag = _COMPARE_FIELDS[last_field]
                tail = tag + _varint(last_value)
            key = prefix + compare.key.encode("utf-8", "surrogateescape")
            size = len(key)
            head = target if compare.op is CompareOp.EQUAL else _COMPARE_GREATER + target
            body = head + _COMPARE_KEY + (sizes[size] if size < limit else _varint(size)) + key + tail
            parts += (_TXN_COMPARE, _size(len(body)), body)

    def _ops(self, branch: bytes, ops: Sequence[Put | Delete | Get], parts: list[bytes]) -> None:
        prefix, encode, size = self._prefix, codec.encode, _size
        for op in ops:
            kind = type(op)
            if kind is Get:
                body = self.get(op).SerializeToString()  # type: ignore[arg-type]
                tag = _OP_RANGE
            else:
                key = prefix + op.key.encode("utf-8", "surrogateescape")
                if kind is Put:
                    value = encode(op.value)  # type: ignore[union-attr]
                    body = _KEY + size(len(key)) + key + _PUT_VALUE + size(len(value)) + value
                    if op.lease:  # type: ignore[union-attr]
                        body += _PUT_LEASE + _varint(op.lease)  # type: ignore[union-attr]
                    tag = _OP_PUT
                else:
                    body = _KEY + size(len(key)) + key
                    tag = _OP_DELETE
            head = tag + size(len(body))
            parts += (branch, size(len(head) + len(body)), head, body)

    def get(self, get: Get, limit: int | None = None, revision: int | None = None) -> Any:
        """A RangeRequest; `limit` and `revision` replace the request's own."""
        return rpc_pb2.RangeRequest(
            key=self.key(get.key),
            range_end=b"" if get.end is None else self.key(get.end),
            limit=get.limit if limit is None else limit,
            revision=get.revision if revision is None else revision,
            keys_only=get.keys_only,
            count_only=get.count_only,
        )

    def key(self, text: str) -> bytes:
        return self._prefix + key_bytes(text)

    # --- answers -------------------------------------------------------------------------------------------------

    def found(self, get: Get, answer: Any) -> Found:
        """A RangeResponse to `get`."""
        raw = answer.kvs
        kvs = tuple([self._kv(kv, get.keys_only) for kv in raw]) if raw else ()
        return Found(kvs, answer.header.revision, answer.more, answer.count)

    def _kv(self, kv: Any, keys_only: bool) -> Kv:  # noqa: FBT001
        value = None if keys_only else decode_value(kv.value)
        return Kv(self._text(kv.key), value, kv.mod_revision, kv.create_revision, kv.version, kv.lease)

    def _text(self, key: bytes) -> str:
        return key[self._skip :].decode("utf-8", "surrogateescape")

    def txn_done(self, txn: Txn, answer: Any) -> TxnDone:
        """A TxnResponse to `txn`."""
        succeeded = answer.succeeded
        branch = txn.then if succeeded else txn.orelse
        found = [self.found(op, answer.responses[at].response_range) for at, op in enumerate(branch) if type(op) is Get]
        return TxnDone(succeeded, answer.header.revision, tuple(found))

    def change(self, event: Any) -> Change:
        """A mvccpb.Event."""
        kv = event.kv
        if event.type == kv_pb2.Event.DELETE:
            return Change(self._text(kv.key), None, kv.mod_revision, deleted=True)
        return Change(self._text(kv.key), decode_value(kv.value), kv.mod_revision, version=kv.version)


def decode_value(raw: bytes) -> AnyRecord:
    """The record in `raw`; whatever is wrong with foreign bytes makes it `Garbage`."""
    try:
        return codec.decode(raw)
    except (ValueError, RecursionError) as error:  # absurdly deep JSON
        return Garbage(f"{error} ({len(raw)} bytes)")
