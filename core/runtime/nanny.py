"""The worker's small parent process: when the worker crashes, it revokes the lease at once and starts a new one.

So the tasks of a crashed worker are requeued within a second instead of after a lease TTL. The TTL remains for what a
nanny cannot see: a host that dies, a network that parts, a process that hangs.
"""

import logging
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from core.etcd.store import EtcdStore
from core.kv.requests import Revoke

log = logging.getLogger("tandem")

RESTART_FIRST_S = 0.1
RESTART_MAX_S = 5.0
HEALTHY_AFTER_S = 10.0
"""A worker that lived this long starts anew with the shortest pause."""
REVOKE_TIMEOUT_S = 2.0
USAGE_ERROR = 2
"""Exit code of a user's mistake: starting again would not mend it."""


class Nanny:
    """Runs `command(fd)` again and again until it ends by itself (exit code 0 or 2) or a signal asks for the end."""

    def __init__(self, command: Callable[[int], Sequence[str]], endpoints: str, namespace: str) -> None:
        self._command = command
        self._store = EtcdStore(endpoints, namespace, REVOKE_TIMEOUT_S)
        self._child: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()

    def run(self) -> int:
        """The worker's last exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        pause_s = RESTART_FIRST_S
        while True:
            started = time.monotonic()
            code, leases = self._live()
            if code in (0, USAGE_ERROR) or self._ending.is_set():
                break
            for lease in leases:
                self._store.call(Revoke(lease))
            log.warning("worker process ended with %s: lease revoked, starting another", _exit_text(code))
            if time.monotonic() - started > HEALTHY_AFTER_S:
                pause_s = RESTART_FIRST_S
            if self._ending.wait(pause_s):
                break
            pause_s = min(2 * pause_s, RESTART_MAX_S)
        self._store.close()
        return code

    def _live(self) -> tuple[int, list[int]]:
        """One life of the worker: its exit code, and the leases it told us of."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                # A session of its own: Ctrl-C in the terminal reaches the nanny alone, which passes it on as SIGTERM.
                self._child = subprocess.Popen(
                    self._command(theirs.fileno()), pass_fds=(theirs.fileno(),), start_new_session=True
                )
            if self._ending.is_set():  # the signal came before there was a child to tell
                self._child.terminate()
            told = b""
            while chunk := _receive(ours):
                told += chunk
            code = self._child.wait()
        return code, [int(lease) for lease in told.split()]

    def _on_signal(self, number: int, _frame: object) -> None:
        impatient = self._ending.is_set() and number == signal.SIGINT
        self._ending.set()
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGKILL if impatient else signal.SIGTERM)


def _receive(phone: socket.socket) -> bytes:
    try:
        return phone.recv(4096)
    except ConnectionResetError:
        return b""


def _exit_text(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
