"""Keeping leases alive: one thread for all leases of a process.

Every lease is renewed each third of its TTL. The leases due at one moment share a short stream with a deadline, so a
server that hangs costs one deadline and the next round starts from scratch: there is no stream that can quietly die.
A lease counts as good until `time sent + TTL`, never from the time of the answer.

Locks: `_lock` guards the leases and is held while events are handed to a sink, so that nothing arrives about a lease
after `drop` has returned. Sinks must not block; they may call back.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
from etcd3.etcdrpc import rpc_pb2, rpc_pb2_grpc

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
        self._stub = rpc_pb2_grpc.LeaseStub(store.channel)
        self._timeout_s = store.timeout_s
        self._leases: dict[int, _Lease] = {}
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._closed = False
        self._call: Any = None
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
        """Stop renewing all leases, and the thread."""
        with self._changed:
            self._closed = True
            self._leases.clear()
            call, thread = self._call, self._thread
            self._changed.notify()
        if call is not None:
            call.cancel()
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._timeout_s)

    def _run(self) -> None:
        while due := self._wait_for_due():
            sent = time.monotonic()
            try:
                trouble = "" if self._renew(due, sent) else "it ended the stream of renewals"
            except grpc.RpcError as error:
                trouble = classify(error, writes=False).detail or "it did not say why"
            except ValueError:  # the channel is closed, and the store with it
                return
            if trouble:
                self._postpone(due)
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

    def _renew(self, due: dict[int, _Lease], sent: float) -> bool:
        """One round; whether every lease was answered. Raises grpc.RpcError."""
        patience_s = min(self._timeout_s, *(held.ttl_s / RENEWALS_PER_TTL for held in due.values()))
        requests = [rpc_pb2.LeaseKeepAliveRequest(ID=lease) for lease in due]
        call = self._stub.LeaseKeepAlive(iter(requests), timeout=patience_s)
        with self._lock:
            self._call = call
            if self._closed:
                call.cancel()
        answers = 0
        for answer in call:
            answers += 1
            with self._lock:
                held = self._leases.get(answer.ID)
                if held is not None and held is due.get(answer.ID):
                    self._take(answer.ID, held, float(answer.TTL), sent)
        return answers == len(due)

    def _take(self, lease: int, held: _Lease, ttl_s: float, sent: float) -> None:
        if ttl_s <= 0:
            del self._leases[lease]
            held.sink(LeaseLost(lease))
        else:
            held.due = sent + ttl_s / RENEWALS_PER_TTL
            held.sink(LeaseRenewed(lease, sent + ttl_s))

    def _postpone(self, due: dict[int, _Lease]) -> None:
        """After a failed round: a pause for the leases that were not answered."""
        with self._lock:
            now = time.monotonic()
            for held in due.values():
                held.due = max(held.due, now + RETRY_S)
