"""Keeping leases alive: one thread for all leases of a process.

Every lease is renewed each third of its TTL, by a call of its own with a deadline: a server that hangs costs one
deadline and the next round starts from scratch; there is no stream that can quietly die. etcd answers the first request
of its stream of renewals and ends when no second one comes, so to us it is a call like any other. The thread that makes
it waits for the answer itself (grpc's blocking call): in a process whose handlers burn CPU time in twenty threads, each
thread that must be woken on the way waits for the interpreter's lock, and leases were lost that way.
A lease counts as good until `time sent + TTL`, never from the time of the answer.

Locks: `_lock` guards the leases and is held while events are handed to a sink, so that nothing arrives about a lease
after `drop` has returned. Sinks must not block; they may call back.
"""

import logging
import threading
import time
from collections.abc import Callable

import grpc
from etcd3.etcdrpc import rpc_pb2

from core.etcd.errors import classify
from core.etcd.store import EtcdStore
from core.machine.messages import LeaseLost, LeaseRenewed, Message

log = logging.getLogger("tandem")

RENEWALS_PER_TTL = 3
RETRY_S = 0.1
"""Pause after a failed round. Short against every TTL (2 s or more), long against a round trip."""

SAID_AFTER = 2
"""Failed rounds in a row until it is said: a server that changes its leader, or a process that was stopped for a
moment, fails one."""

Sink = Callable[[Message], None]


class _Lease:
    __slots__ = ("due", "sink", "ttl_s")

    def __init__(self, ttl_s: float, due: float, sink: Sink) -> None:
        self.ttl_s = ttl_s
        self.due = due
        self.sink = sink


class KeepAlive:
    """Renews leases until they are dropped or lost.

    Gives `LeaseRenewed` and `LeaseLost` to each lease's own sink, on its own thread. While etcd does not answer it goes
    on asking, also beyond the TTL: only etcd knows whether the lease is gone.
    """

    def __init__(self, store: EtcdStore) -> None:
        self._ask = store.channel.unary_unary(
            "/etcdserverpb.Lease/LeaseKeepAlive",
            request_serializer=rpc_pb2.LeaseKeepAliveRequest.SerializeToString,
            response_deserializer=rpc_pb2.LeaseKeepAliveResponse.FromString,
        )
        self._timeout_s = store.timeout_s
        self._leases: dict[int, _Lease] = {}
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._closed = False
        self._thread: threading.Thread | None = None
        self._failed = 0  # rounds in a row
        self._failing_since = 0.0

    def add(self, lease: int, ttl_s: float, sink: Sink) -> None:
        """Keep `lease` alive from now on; the first renewal is sent at once."""
        with self._changed:
            self._leases[lease] = _Lease(ttl_s, time.monotonic(), sink)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="tandem-keepalive", daemon=True)
                self._thread.start()
            self._changed.notify()

    def drop(self, lease: int) -> None:
        """Stop renewing `lease`; nothing is heard about it once this returns. Dropping twice does nothing.

        A renewal that is on its way may still reach etcd: revoke the lease to end it at once.
        """
        with self._changed:
            self._leases.pop(lease, None)

    def close(self) -> None:
        """Stop renewing all leases, and the thread; a renewal under way is waited for, at most a third of a TTL."""
        with self._changed:
            self._closed = True
            self._leases.clear()
            thread = self._thread
            self._changed.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._timeout_s)

    def _run(self) -> None:
        while due := self._wait_for_due():
            for lease, held in due.items():
                sent, trouble = time.monotonic(), ""
                try:
                    self._renew(lease, held, sent)
                except grpc.RpcError as error:
                    trouble = classify(error, writes=False).detail or "it did not say why"
                    held.due = time.monotonic() + RETRY_S
                except ValueError:  # the channel is closed, and the store with it
                    return
                if not self._closed:
                    self._say(trouble, sent)

    def _say(self, trouble: str, sent: float) -> None:
        """Once that etcd is away, and once that it is back."""
        if trouble:
            self._failed += 1
            if self._failed == 1:
                self._failing_since = sent
            if self._failed == SAID_AFTER:
                log.warning("etcd does not answer (%s); trying again until it does", trouble)
            return
        if self._failed >= SAID_AFTER:
            log.warning("etcd answers again, after %.1f s", time.monotonic() - self._failing_since)
        self._failed = 0

    def _wait_for_due(self) -> dict[int, _Lease]:
        """The leases to renew now; empty when closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                due = {lease: held for lease, held in self._leases.items() if held.due <= now}
                if due:
                    return due
                next_due = min((held.due for held in self._leases.values()), default=None)
                self._changed.wait(None if next_due is None else next_due - now)
            return {}

    def _renew(self, lease: int, held: _Lease, sent: float) -> None:
        """Raises grpc.RpcError."""
        if self._leases.get(lease) is not held:  # dropped since it was due
            return
        answer = self._ask(
            rpc_pb2.LeaseKeepAliveRequest(ID=lease), timeout=min(self._timeout_s, held.ttl_s / RENEWALS_PER_TTL)
        )
        with self._lock:
            if self._leases.get(lease) is held:
                self._take(lease, held, float(answer.TTL), sent)

    def _take(self, lease: int, held: _Lease, ttl_s: float, sent: float) -> None:
        if ttl_s <= 0:
            del self._leases[lease]
            held.sink(LeaseLost(lease))
        else:
            held.due = sent + ttl_s / RENEWALS_PER_TTL
            held.sink(LeaseRenewed(lease, sent + ttl_s))
