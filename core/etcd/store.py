"""etcd's key-value and lease calls, with the vocabulary of `core.kv.requests`.

Every call has a deadline, and every failure comes back as a value: `Refused` or `Unknown`. Replies arrive on threads
of the grpc library; what is done there must be short (put the reply into an inbox).
"""

import math
import queue
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
from etcd3.etcdrpc import rpc_pb2, rpc_pb2_grpc

from core.etcd.channel import open_channel, parse_endpoints
from core.etcd.errors import EtcdUnreachable, EtcdUnsupported, classify
from core.etcd.interrupts import uninterrupted
from core.etcd.lost import LostWrites
from core.etcd.pages import Pages
from core.etcd.wire import Wire
from core.kv.requests import (
    Compare,
    CompareField,
    CompareOp,
    Delete,
    EtcdRequest,
    Get,
    Grant,
    Granted,
    Reason,
    Refused,
    Response,
    Revoke,
    Revoked,
    Txn,
    TxnDone,
    Unknown,
)

DEFAULT_NAMESPACE = "/tandem/"
DEFAULT_TIMEOUT_S = 5.0
OLDEST_VERSION = (3, 4)
MOST_OPERATIONS = 4096
"""Nobody gains from larger transactions: 512 operations a transaction were as fast as any number above."""

NEVER = Compare("", CompareField.MOD_REVISION, CompareOp.EQUAL, 1 << 62)
"""A condition that no key meets."""

BARRIER = Txn((NEVER,), (Delete("barrier"),))
BARRIER_TIMEOUT_S = 2.0

Reply = Callable[[Response], None]


class ServerInfo(NamedTuple):
    """What `EtcdStore.check` found. `alarms` are etcd's names, such as NOSPACE."""

    version: str
    cluster_id: int
    revision: int
    members: tuple[str, ...]
    database_bytes: int
    alarms: tuple[str, ...]


class EtcdStore:
    """One etcd (cluster), seen through a namespace. Safe to use from many threads.

    Every key of ours starts with the namespace and a slash. Connects when first used.
    Raises ValueError where `endpoints` is not `host:port,...`.
    """

    def __init__(
        self, endpoints: str, namespace: str = DEFAULT_NAMESPACE, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        self.endpoints = endpoints
        self.namespace = namespace if namespace.endswith("/") else namespace + "/"
        self.timeout_s = timeout_s
        self.wire = Wire(self.namespace)
        self.channel = open_channel(parse_endpoints(endpoints))
        self._range = rpc_pb2_grpc.KVStub(self.channel).Range
        self._txn = self.channel.unary_unary(
            "/etcdserverpb.KV/Txn",
            request_serializer=None,  # the wire module makes the bytes
            response_deserializer=rpc_pb2.TxnResponse.FromString,
        )
        leases = rpc_pb2_grpc.LeaseStub(self.channel)
        self._grant, self._revoke = leases.LeaseGrant, leases.LeaseRevoke
        self._lost_writes = LostWrites(self._barrier)
        self._max_operations: int | None = None

    # --- requests ------------------------------------------------------------------------------------------------

    def send(self, request: EtcdRequest, reply: Reply, timeout_s: float | None = None) -> None:
        """Send `request`; `reply` is called once, with the answer, on a thread of grpc. Never raises."""
        patience_s = self.timeout_s if timeout_s is None else timeout_s
        match request:
            case Txn():
                writes = any(type(op) is not Get for op in request.then)
                self._start(
                    self._txn,
                    lambda: self.wire.txn(request),
                    lambda answer: self.wire.txn_done(request, answer),
                    reply,
                    patience_s,
                    writes=writes,
                )
            case Get():
                Pages(self._page, request, reply, patience_s).ask()
            case Grant(ttl_s):
                self._start(
                    self._grant,
                    lambda: rpc_pb2.LeaseGrantRequest(TTL=math.ceil(ttl_s)),
                    lambda answer: Granted(answer.ID, float(answer.TTL)),
                    reply,
                    patience_s,
                )
            case Revoke(lease):
                self._start(
                    self._revoke,
                    lambda: rpc_pb2.LeaseRevokeRequest(ID=lease),
                    lambda _: Revoked(),
                    lambda answer: reply(_revoked(answer)),
                    patience_s,
                )

    def call(self, request: EtcdRequest, timeout_s: float | None = None) -> Response:
        """Send `request` and wait for its answer. Never raises."""
        box: queue.SimpleQueue[Response] = queue.SimpleQueue()
        with uninterrupted():
            self.send(request, box.put, timeout_s)
        return box.get()  # grpc answers every call by its deadline

    def _page(self, request: Get, reply: Reply, timeout_s: float) -> None:
        self._start(
            self._range,
            lambda: self.wire.get(request),
            lambda answer: self.wire.found(request, answer),
            reply,
            timeout_s,
            writes=False,
        )

    def _start(
        self,
        method: Any,
        encode: Callable[[], Any],
        decode: Callable[[Any], Response],
        reply: Reply,
        timeout_s: float,
        *,
        writes: bool = True,
    ) -> None:
        try:
            message = encode()
        except Exception as error:  # noqa: BLE001  a request that cannot be written was certainly not applied
            reply(Refused(Reason.INVALID, f"cannot be encoded: {error!r}"))
            return
        try:
            future = method.future(message, timeout=timeout_s)
        except ValueError as error:  # the channel is closed
            reply(Unknown(str(error)))
            return
        future.add_done_callback(lambda done: reply(_answer(done, decode, writes=writes)))
        if writes:
            self._lost_writes.watch(future)

    def _barrier(self, carried_out: Callable[[], None]) -> None:
        """Write a transaction that changes nothing (`core.etcd.lost`)."""
        try:
            future = self._txn.future(self.wire.txn(BARRIER), timeout=BARRIER_TIMEOUT_S)
        except ValueError:  # the channel is closed
            return
        future.add_done_callback(lambda done: carried_out() if done.code() is grpc.StatusCode.OK else None)

    # --- the server ----------------------------------------------------------------------------------------------

    def check(self) -> ServerInfo:
        """What answers at the endpoints.

        Raises EtcdUnreachable where nothing usable does, EtcdUnsupported where it is too old.
        """
        maintenance = rpc_pb2_grpc.MaintenanceStub(self.channel)
        try:
            status = self._status(maintenance)
        except grpc.RpcError as error:
            raise self._unreachable(error.details()) from None
        except ValueError as error:  # the channel is closed
            raise self._unreachable(str(error)) from None
        if _version(status.version) < OLDEST_VERSION:
            raise EtcdUnsupported(f"etcd {status.version} at {self.endpoints} is too old: Tandem needs 3.4 or newer")
        return ServerInfo(
            version=status.version,
            cluster_id=status.header.cluster_id,
            revision=status.header.revision,
            members=self._members(),
            database_bytes=status.dbSize,
            alarms=self._alarms(maintenance),
        )

    def _status(self, maintenance: Any) -> Any:
        """Fails at once where nothing listens. What listens and is slow to say hello (a busy machine) is waited for."""
        try:
            return maintenance.Status(rpc_pb2.StatusRequest(), timeout=self.timeout_s)
        except grpc.RpcError as error:
            if "timed out" not in (error.details() or ""):
                raise
        return maintenance.Status(rpc_pb2.StatusRequest(), timeout=self.timeout_s, wait_for_ready=True)

    def _members(self) -> tuple[str, ...]:
        try:
            answer = rpc_pb2_grpc.ClusterStub(self.channel).MemberList(
                rpc_pb2.MemberListRequest(), timeout=self.timeout_s
            )
        except grpc.RpcError:  # only root may ask, where authentication is on
            return ()
        return tuple(sorted(member.name for member in answer.members))

    def _alarms(self, maintenance: Any) -> tuple[str, ...]:
        try:
            answer = maintenance.Alarm(rpc_pb2.AlarmRequest(), timeout=self.timeout_s)  # action GET
        except grpc.RpcError:  # as above
            return ()
        return tuple(sorted({rpc_pb2.AlarmType.Name(alarm.alarm) for alarm in answer.alarms}))

    def learn_max_operations(self) -> int:
        """The server's --max-txn-ops (at most 4096), found with transactions that change nothing; asked once.

        Raises EtcdUnreachable where the server does not answer.
        """
        if self._max_operations is None:
            if self._allows(MOST_OPERATIONS):
                self._max_operations = MOST_OPERATIONS
            else:
                allowed, refused = 0, MOST_OPERATIONS
                while refused - allowed > 1:
                    middle = (allowed + refused) // 2
                    if self._allows(middle):
                        allowed = middle
                    else:
                        refused = middle
                self._max_operations = allowed
        return self._max_operations

    def _allows(self, operations: int) -> bool:
        # etcd stops at the first compare that fails, so even 4096 of them cost it nothing.
        match self.call(Txn((NEVER,) * operations, ())):
            case TxnDone():
                return True
            case Refused(Reason.TOO_MANY_OPERATIONS | Reason.TOO_LARGE):
                return False
            case Refused(detail=detail) | Unknown(detail):
                raise self._unreachable(detail)
            case other:
                raise AssertionError(other)

    def _unreachable(self, detail: str | None) -> EtcdUnreachable:
        return EtcdUnreachable(
            f"no etcd answers at {self.endpoints} ({detail or 'no reason given'}): "
            "start one, or name a running one with --etcd-endpoints host:port"
        )

    def close(self) -> None:
        """Close the connection; calls in flight are answered with `Unknown`."""
        self._lost_writes.close()
        self.channel.close()


def _answer(done: Any, decode: Callable[[Any], Response], *, writes: bool) -> Response:
    """The answer in a finished call. Never raises: an exception here would be lost in grpc, and the reply with it."""
    try:
        return decode(done.result())
    except grpc.RpcError as error:
        return classify(error, writes=writes)
    except grpc.FutureCancelledError:
        return Unknown("given up: the connection was closed, or etcd has lost the request")
    except Exception as error:  # noqa: BLE001  an answer that nobody understands: the request was carried out, perhaps
        return Unknown(f"the answer cannot be understood: {error!r}")


def _revoked(answer: Response) -> Response:
    gone = isinstance(answer, Refused) and answer.reason is Reason.LEASE_NOT_FOUND
    return Revoked() if gone else answer


def _version(text: str) -> tuple[int, int]:
    parts = text.split(".")
    try:
        return int(parts[0]), int(parts[1])
    except (ValueError, IndexError):
        return (0, 0)
