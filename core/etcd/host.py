"""What the embedded server needs of this machine: free ports, a folder on a disk, a supervisor process."""

import contextlib
import http.client
import json
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import psutil

from core.etcd.binary import EtcdServerError

HEALTH_TIMEOUT_S = 2.0
CLOSE_TIMEOUT_S = 15.0
LOWEST_PORT = 15_000
PORT_TRIES = 2000


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on at the moment.

    They lie below the range from which the system takes the ports of outgoing connections: otherwise a client that
    reconnects while a server is down may occupy, or even connect to itself on, the port that the server needs back.
    """
    low, high = LOWEST_PORT, _first_ephemeral_port()
    ports: set[int] = set()
    for _ in range(PORT_TRIES):
        if len(ports) == count:
            return sorted(ports)
        wanted = low + secrets.randbelow(high - low) if high - low > 1000 else 0
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", wanted))
            ports.add(probe.getsockname()[1])
    raise EtcdServerError(f"found no {count} free ports on 127.0.0.1")


def _first_ephemeral_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 49_152  # IANA's range, which other systems use


def listens(pid: int, port: int) -> bool:
    """Whether this very process, and not another, listens on the port."""
    with contextlib.suppress(psutil.Error):
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in psutil.Process(pid).net_connections("tcp")
        )
    return False


def healthy(port: int) -> bool:
    """Whether an etcd on this port of 127.0.0.1 serves linearizable reads (a full quota does not matter here)."""
    return _asked(port, "GET", "/health?exclude=NOSPACE").get("health") == "true"


def leads(port: int) -> bool:
    """Whether the etcd on this port of 127.0.0.1 believes that it leads the others."""
    status = _asked(port, "POST", "/v3/maintenance/status")
    return "leader" in status and status["leader"] == status["header"]["member_id"]


def _asked(port: int, method: str, path: str) -> dict[str, Any]:
    """What etcd's JSON gateway answers; empty where it does not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HEALTH_TIMEOUT_S)
    try:
        connection.request(method, path, "{}" if method == "POST" else None)
        body = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    else:
        return body if isinstance(body, dict) else {}
    finally:
        connection.close()


def filesystem_of(path: Path) -> str:
    """The type of file system that holds `path`, e.g. `ext4`; `unknown` where the system does not tell."""
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    resolved = path.resolve()
    return next((mounts[folder] for folder in (resolved, *resolved.parents) if folder in mounts), "unknown")


def data_folder() -> Path:
    """Where temporary data goes: the usual place, unless that is memory, where a flush costs nothing."""
    usual, disk = Path(tempfile.gettempdir()), Path("/var/tmp")  # noqa: S108 - mkdtemp follows
    if filesystem_of(usual) == "tmpfs" and disk.is_dir() and filesystem_of(disk) != "tmpfs":
        return disk
    return usual


class Supervisor:
    """Our end of the supervisor process; see `core.etcd.supervisor` for the protocol. Safe from any thread."""

    def __init__(self, base: Path) -> None:
        """`base` is where the temporary folder is made.

        Raises EtcdServerError when that is impossible.
        """
        self._lock = threading.Lock()
        self._sequence = 0
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("supervisor.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        try:
            self.directory = Path(self.ask({"base": str(base.absolute())})["directory"])
        except BaseException:
            self._end()
            raise

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send one request and return its answer.

        Raises EtcdServerError when the supervisor is gone or could not do it.
        """
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._sequence += 1
            answer: dict[str, Any] = {}
            try:
                self._process.stdin.write(json.dumps(request | {"id": self._sequence}) + "\n")
                self._process.stdin.flush()
                while answer.get("id") != self._sequence:  # an interrupted call may have left its answer behind
                    answer = json.loads(self._process.stdout.readline())
            except (OSError, ValueError) as error:
                raise EtcdServerError("the process that holds the embedded etcd is gone") from error
        if "error" in answer:
            raise EtcdServerError(f"the embedded etcd: {answer['error']}")
        return answer

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        """End the servers and remove the folder. Calling it again does nothing."""
        self._end()
        shutil.rmtree(self.directory, ignore_errors=True)  # left only by a supervisor that was killed

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
