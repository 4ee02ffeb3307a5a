"""Notices writes that etcd has lost, long before their deadline.

When the leader of several etcd members dies, the members left go on sending it what they are asked to write, until
they have elected another: for 1 to 2 s. Such a write is in nobody's log, and nobody says so: etcd answers "request
timed out" after 7 s (3.4: its request timeout, 5 s and two election timeouts).

All writes pass one log in order. So when one has been open for a while, a barrier is written after it: a transaction
that changes nothing, since its condition never holds, but passes the log like any other. Once a barrier is answered,
what was sent well before it and is still open is not in the log. Its call is cancelled, which answers `Unknown`; that
is never wrong to say, also where the order was not quite kept on the way. On a slow disk the barriers wait as the
writes do, and nothing is cancelled.
"""

import itertools
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

PATIENCE_S = 0.5
"""What has been open for so long is looked into; and so long before a barrier it must have been sent to count as lost:
the ways through the members differ by milliseconds."""

CHECK_INTERVAL_S = 0.1
"""How often open writes are looked at, and how often another barrier is sent: that of a moment without a leader is
lost as well."""

Barrier = Callable[[Callable[[], None]], None]
"""Sends a barrier, and calls what it was given when, and only when, etcd has carried it out."""


class LostWrites:
    """Watches the writes of one connection. Its thread begins with the first of them."""

    def __init__(self, barrier: Barrier) -> None:
        self._barrier = barrier
        self._lock = threading.Lock()
        self._open: dict[Any, float] = {}  # call -> when it was sent; the oldest first
        self._passed = 0.0  # when the newest barrier that was carried out was sent
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, call: Any) -> None:
        """`call` (a future of grpc) has just been sent."""
        with self._lock:
            self._open[call] = time.monotonic()
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name="tandem-lost-writes", daemon=True)
                self._thread.start()
        call.add_done_callback(self._done)

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _done(self, call: Any) -> None:
        with self._lock:
            self._open.pop(call, None)

    def _run(self) -> None:
        passed = 0.0
        while not self._closed.wait(CHECK_INTERVAL_S):
            for call in self._sent_before(passed - PATIENCE_S):
                call.cancel()
            with self._lock:
                passed = self._passed  # looked at an interval later: answers may be on their way
            now = time.monotonic()
            if self._sent_before(now - PATIENCE_S):
                self._barrier(partial(self._carried_out, now))

    def _sent_before(self, moment: float) -> list[Any]:
        """The open calls that were sent before it."""
        with self._lock:
            early = [call for call, _ in itertools.takewhile(lambda item: item[1] < moment, self._open.items())]
            for call in early:
                if call.done():  # a Ctrl-C came before it could be told
                    self._open.pop(call)
        return [call for call in early if not call.done()]

    def _carried_out(self, sent: float) -> None:
        with self._lock:
            self._passed = max(self._passed, sent)
