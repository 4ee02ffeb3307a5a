"""The worker's small parent process: when the worker crashes, it revokes the lease at once and starts a new one.

So the tasks of a crashed worker are requeued within a second instead of after a lease TTL. The TTL remains for what a
nanny cannot see: a host that dies, a network that parts, a process that hangs.

It stays small and starts the worker at once: the etcd client is imported when a worker has crashed (0.3 s).
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from core.runtime.process import hold_leash

log = logging.getLogger("tandem")

RESTART_FIRST_S = 0.1
RESTART_MAX_S = 5.0
HEALTHY_AFTER_S = 10.0
"""A worker that lived this long starts anew with the shortest pause."""
REVOKE_TIMEOUT_S = 2.0
REVOKE_RETRY_S = 0.1
REVOKE_LIMIT_S = 10.0
"""While etcd elects a leader or starts again, a worker could not register either. After this, the lease may run out."""
USAGE_ERROR = 2
"""Exit code of a user's mistake: starting again would not mend it."""
UNREACHABLE = 3
"""Exit code where no etcd answers: at the very start most likely a mistake, too; later it may come back."""


class Nanny:
    """Runs `command(fd)` again and again until it ends by itself or a signal asks for the end.

    Exit codes that end it: 0, 2 and, as long as no worker has ever registered, 3.
    """

    def __init__(
        self, command: Callable[[int], Sequence[str]], endpoints: str, namespace: str, leash: int | None = None
    ) -> None:
        self._command = command
        self._leash = leash
        self._endpoints, self._namespace = endpoints, namespace
        self._child: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()

    def run(self) -> int:
        """The worker's last exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        hold_leash(self._leash, lambda: os.kill(os.getpid(), signal.SIGTERM))
        pause_s = RESTART_FIRST_S
        registered = False
        while True:
            started = time.monotonic()
            code, leases = self._live()
            registered = registered or bool(leases)
            if code in (0, USAGE_ERROR) or (code == UNREACHABLE and not registered):
                break
            revoked = self.revoke(leases)  # also of a worker that was killed while it drained
            if self._ending.is_set():
                break
            lease = "" if not leases else "lease revoked, " if revoked else "etcd does not answer, its lease runs out, "
            log.warning("worker process ended with %s: %sstarting another", exit_text(code), lease)
            if time.monotonic() - started > HEALTHY_AFTER_S:
                pause_s = RESTART_FIRST_S
            if self._ending.wait(pause_s):
                break
            pause_s = min(2 * pause_s, RESTART_MAX_S)
        return 0 if self._ending.is_set() and code == -signal.SIGTERM else code  # ended before it could listen

    def revoke(self, leases: Sequence[int]) -> bool:
        """Give up these leases of the worker that died; whether etcd did it. Takes an import and a connection."""
        if not leases:
            return True
        from core.etcd.store import EtcdStore  # noqa: PLC0415
        from core.kv.requests import Revoke, Unknown  # noqa: PLC0415

        store = EtcdStore(self._endpoints, self._namespace, REVOKE_TIMEOUT_S)
        until = time.monotonic() + REVOKE_LIMIT_S
        left = list(leases)
        while left := [lease for lease in left if isinstance(store.call(Revoke(lease)), Unknown)]:
            if self._ending.wait(REVOKE_RETRY_S) or time.monotonic() > until:
                break
        store.close()
        return not left

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
            code = self._child.wait()
            # Read only now: what a worker has to say fits the socket's buffer. Waiting for the end of the line
            # instead would wait for everybody who inherited it, such as a program that a handler left running.
            return code, _leases(ours)

    def _on_signal(self, number: int, _frame: object) -> None:
        impatient = self._ending.is_set() and number == signal.SIGINT
        self._ending.set()
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGKILL if impatient else signal.SIGTERM)


def _leases(phone: socket.socket) -> list[int]:
    phone.setblocking(False)  # noqa: FBT003  takes no keywords
    told = b""
    with contextlib.suppress(BlockingIOError, ConnectionResetError):
        while chunk := phone.recv(4096):
            told += chunk
    return [int(line) for line in told.split(b"\n")[:-1]]


def exit_text(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
