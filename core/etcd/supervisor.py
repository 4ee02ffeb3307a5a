"""Holds the embedded etcd servers and outlives whoever started them, just long enough to clean up.

Run as a program by `core.etcd.embedded`, in its own session, so that a Ctrl-C meant for the parent does not reach etcd
first. It owns one temporary directory and its child processes. The end of its standard input means that the parent is
gone, however it went: then it kills the servers, removes the directory and exits. It imports the standard library only
and starts in some 30 ms.

Protocol: one JSON object a line in each direction, one answer for each request, with the request's `id`.

    {"base": folder}                        -> {"directory": path}          first request: where the data shall live
    {"start": name, "argv": [...], "log": file, "env": {...}} -> {"pid": n}
    {"signal": name, "number": n}           -> {"sent": bool}               answered when the process is gone (SIGKILL)
                                                                            or stands still (SIGSTOP)
    {"poll": name}                          -> {"exit": status or null}
    any that failed                         -> {"error": text}

If the supervisor itself is killed, Linux ends the servers with it (parent-death signal); only the directory remains,
and the parent removes that.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
REMOVE_ATTEMPTS = 5

_servers: dict[str, subprocess.Popen[bytes]] = {}


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    directory: Path | None = None
    try:
        for line in sys.stdin:
            request = json.loads(line)
            answer = _answer(request)
            if "directory" in answer:
                directory = Path(answer["directory"])
            os.write(1, json.dumps(answer | {"id": request["id"]}).encode() + b"\n")
    except (BrokenPipeError, KeyboardInterrupt):
        pass  # the parent is gone
    finally:
        _clean_up(directory)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        if "base" in request:
            return {"directory": tempfile.mkdtemp(prefix="tandem-etcd-", dir=request["base"])}
        if "start" in request:
            return {"pid": _start(request)}
        if "signal" in request:
            return {"sent": _signal(request["signal"], request["number"])}
        return {"exit": _servers[request["poll"]].poll()}
    except (OSError, KeyError) as error:
        return {"error": str(error)}


def _start(request: dict[str, Any]) -> int:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def die_with_me() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    with Path(request["log"]).open("ab") as log:
        server = subprocess.Popen(
            request["argv"],
            env=request["env"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_me,  # noqa: PLW1509 - this process has one thread
        )
    _servers[request["start"]] = server
    return server.pid


def _signal(name: str, number: int) -> bool:
    """Only this process reaps the servers, so that a signal never goes to a stranger with the same number."""
    server = _servers[name]
    if server.poll() is not None:
        return False
    server.send_signal(number)
    if number == signal.SIGKILL:
        server.wait()
    if number == signal.SIGSTOP and sys.platform == "linux":  # its threads go on until each has seen the signal
        os.waitid(os.P_PID, server.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return True


def _clean_up(directory: Path | None) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for server in _servers.values():
        server.kill()
    for server in _servers.values():
        server.wait()
    for _ in range(REMOVE_ATTEMPTS):  # someone may be writing there, a debugger or a backup
        if directory is not None and directory.exists():
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    with contextlib.suppress(OSError):
        os.chdir("/")  # do not keep a folder busy that others may want to remove or unmount
    main()
