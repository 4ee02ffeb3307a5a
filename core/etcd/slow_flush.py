"""Makes the disk of a program slow: every flush (fsync, fdatasync) waits first, as on a spinning disk or a busy one.

Run as a program, it takes a delay in seconds and a command, and becomes that command: same process, same id.

    python slow_flush.py 0.01 etcd --data-dir=...

The kernel holds a thread that flushes and tells a helper, which lets it go on with the real flush after the delay
(seccomp user notification, seccomp_unotify(2)). Neither privileges nor another disk are needed, and no file is touched.
Each flush waits by itself: two at once are both as late as one. The helper ends with the command. It needs Linux 5.5 or
newer on x86-64 or arm64. It imports the standard library only.
"""

import ctypes
import errno
import fcntl
import functools
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from subprocess import DEVNULL
from typing import Any

PR_SET_NO_NEW_PRIVS = 38
SECCOMP_SET_MODE_FILTER = 1
NEW_LISTENER, WAIT_KILLABLE = 1 << 3, 1 << 5
"""The second (Linux 5.19) keeps signals from starting a wait anew."""
ALLOW, NOTIFY = 0x7FFF0000, 0x7FC00000
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
"""Instructions of classic BPF (linux/bpf_common.h)."""
NUMBER_AT, ARCHITECTURE_AT = 0, 4
"""In struct seccomp_data."""
RECEIVE, SEND = 0xC0502100, 0xC0182101
"""ioctls: the next call that is held (struct seccomp_notif, 80 bytes), and what becomes of it."""
GO_ON = 1

CALLS = {"x86_64": (0xC000003E, 317, (74, 75)), "aarch64": (0xC00000B7, 277, (82, 83))}
"""By machine: the architecture's number, and the numbers of seccomp, and of fsync and fdatasync."""

TRIAL_TIMEOUT_S = 10.0
UNSUPPORTED = "flushes cannot be delayed here (it takes Linux 5.5 or newer, x86-64 or arm64, and seccomp)"


def command(delay_s: float, argv: list[str]) -> list[str]:
    """`argv`, with every flush `delay_s` seconds late."""
    return [sys.executable, "-I", "-S", __file__, str(delay_s), *argv]


@functools.cache
def supported() -> bool:
    """Whether flushes can be delayed here: it is tried, in some 0.1 s."""
    program = command(0.0, [sys.executable, "-I", "-S", "-c", ""])
    try:
        done = subprocess.run(program, check=False, stdout=DEVNULL, stderr=DEVNULL, timeout=TRIAL_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> None:
    delay_s, argv = sys.argv[1], sys.argv[2:]
    if delay_s == "--serve":
        _serve(float(argv[0]), int(argv[1]), int(argv[2]))
        return
    ours, its = socket.socketpair()
    with its:
        serve = [sys.executable, "-I", "-S", __file__, "--serve", delay_s, str(its.fileno()), str(os.getpid())]
        subprocess.Popen(serve, pass_fds=[its.fileno()])  # not waited for: it ends after us
    try:
        listener = _hold_flushes()
    except OSError as error:
        sys.exit(f"{UNSUPPORTED}: {error.strerror}")
    socket.send_fds(ours, [b"-"], [listener])
    os.close(listener)
    if not ours.recv(1):
        sys.exit("the helper that delays flushes did not start")
    ours.close()
    try:
        os.execv(argv[0], argv)  # noqa: S606 - the very point
    except OSError as error:
        sys.exit(f"cannot run {argv[0]}: {error.strerror}")


def _hold_flushes() -> int:
    """From now on the kernel holds each flush of this process and its children; the descriptor that tells of them."""
    if sys.platform != "linux" or platform.machine() not in CALLS:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    architecture, seccomp, flushes = CALLS[platform.machine()]
    steps = [
        (LOAD_WORD, 0, 0, ARCHITECTURE_AT),
        (JUMP_IF_EQUAL, 0, 3, architecture),
        (LOAD_WORD, 0, 0, NUMBER_AT),
        *((JUMP_IF_EQUAL, len(flushes) - place, 0, number) for place, number in enumerate(flushes)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, NOTIFY),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for flags in (NEW_LISTENER | WAIT_KILLABLE, NEW_LISTENER):
        listener = int(libc.syscall(seccomp, SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(program)))
        if listener >= 0:
            return listener
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


# --- the helper ---


def _serve(delay_s: float, line: int, whose: int) -> None:
    """Let each flush go on when its time has come, until the process `whose` is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=line) as theirs:
        _, listeners, _, _ = socket.recv_fds(theirs, 1, 1)
        if listeners:
            theirs.send(b"-")
    waiting: deque[tuple[float, int]] = deque()
    while listeners and os.getppid() == whose:
        left_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 1.0
        if select.select(listeners, [], [], left_s)[0] and (held := _call(RECEIVE, bytearray(80), listeners[0])):
            waiting.append((time.monotonic() + delay_s, struct.unpack_from("=Q", held)[0]))
        while waiting and waiting[0][0] <= time.monotonic():
            _call(SEND, bytearray(struct.pack("=QqiI", waiting.popleft()[1], 0, 0, GO_ON)), listeners[0])


def _call(request: int, message: bytearray, listener: int) -> Any:
    """The message as the kernel leaves it; None where the thread in question is gone."""
    try:
        fcntl.ioctl(listener, request, message, True)  # noqa: FBT003 - its only form
    except FileNotFoundError:
        return None
    return message


if __name__ == "__main__":
    main()
