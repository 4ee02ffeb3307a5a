"""Real etcd servers for experiments, tests and `tandem up`: free ports, a temporary folder, nothing left behind.

The servers belong to a small supervisor process (`core.etcd.supervisor`) that ends them and removes their data when
this process closes it, exits, crashes or is killed. Data is flushed to disk as in production (fsync is on), so figures
measured here are honest as long as the folder is on a disk: a tmpfs is avoided where possible and `filesystem` says
what was used.
"""

import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from core.etcd import slow_flush
from core.etcd.binary import EtcdServerError, Server, find_server, server_environment
from core.etcd.host import Supervisor, data_folder, filesystem_of, free_ports, healthy, leads, listens

MAX_TXN_OPS = 4096
"""Operations in one transaction (etcd's own default: 128). 512 brought 1.5 times the throughput of 128 in
measurements; the rest is room for large batches."""

QUOTA_BYTES = 8 << 30
"""The largest quota that etcd recommends: a million tasks fit, and the alarm still guards the disk."""

COMPACTION_RETENTION = "1m"
"""History kept for watchers that reconnect. Without compaction a busy queue fills 2 GiB in a quarter of an hour."""

READY_TIMEOUT_S = 30.0
"""A server is ready in 0.2 to 0.5 s; a slow disk under load needs longer."""

POLL_S = 0.02
START_ATTEMPTS = 6
LOG_TAIL_BYTES = 2000


class PortTakenError(Exception):
    """Somebody else took a port between our choice and the server's start."""


@dataclass(slots=True)
class _Member:
    name: str
    client_port: int
    peer_port: int
    pid: int = 0


class EmbeddedEtcd:
    """One server, or a cluster of `members`, started on entry and gone on exit.

    Members are numbered from 1: member 1 is `etcd-1`. `directory` is where the temporary folder is made; `flags` are
    passed on to etcd as they are, e.g. `["--election-timeout=300", "--heartbeat-interval=30"]`. With `flush_delay_s`
    every flush to disk takes so many seconds longer (`core.etcd.slow_flush`). All methods may be called from any
    thread.

    Raises EtcdServerError, with a sentence for the user, when no server is found or it does not start.
    """

    def __init__(
        self,
        *,
        members: int = 1,
        server: Server | None = None,
        directory: Path | None = None,
        max_txn_ops: int = MAX_TXN_OPS,
        flags: Sequence[str] = (),
        flush_delay_s: float = 0.0,
    ) -> None:
        if members < 1:
            raise ValueError(f"a cluster has at least one member, not {members}")
        self.server = server or find_server()
        self.max_txn_ops = max_txn_ops
        self._flags = tuple(flags)
        self._flush_delay_s = flush_delay_s
        self._count = members
        self._members: list[_Member] = []
        self._supervisor = Supervisor(directory or data_folder())
        try:
            self._start_all()
        except BaseException:
            self.close()
            raise

    # --- what it is

    @property
    def endpoints(self) -> tuple[str, ...]:
        """`host:port` of each member, as `--etcd-endpoints` takes them."""
        return tuple(f"127.0.0.1:{member.client_port}" for member in self._members)

    @property
    def client_urls(self) -> tuple[str, ...]:
        return tuple(f"http://{endpoint}" for endpoint in self.endpoints)

    @property
    def members(self) -> int:
        return self._count

    @property
    def directory(self) -> Path:
        """The temporary folder with the data and the log of each member."""
        return self._supervisor.directory

    @property
    def filesystem(self) -> str:
        """The type of file system that holds the data, e.g. `ext4`; `unknown` where the system does not tell."""
        return filesystem_of(self.directory)

    def metrics_url(self, member: int = 1) -> str:
        """Where etcd's Prometheus figures are read."""
        return f"http://127.0.0.1:{self._member(member).client_port}/metrics"

    def pid(self, member: int = 1) -> int:
        """The process of a member, also of one that has been killed (until it is restarted)."""
        return self._member(member).pid

    def running(self, member: int = 1) -> bool:
        """Whether the member's process exists (a stopped one does)."""
        return self._supervisor.ask({"poll": self._member(member).name})["exit"] is None

    def log_tail(self, member: int = 1) -> str:
        """The last lines that the member wrote (errors only)."""
        try:
            return self._log(self._member(member)).read_text(errors="replace")[-LOG_TAIL_BYTES:].strip()
        except OSError:
            return ""

    def leader(self) -> int | None:
        """The member that leads the others; None while they elect one, or where no majority runs."""
        return next((number for number, member in enumerate(self._members, 1) if leads(member.client_port)), None)

    # --- faults

    def kill(self, member: int = 1) -> None:
        """SIGKILL, as a crash; returns when the process is gone. Nothing happens to a dead member."""
        self._signal(member, signal.SIGKILL)

    def stop(self, member: int = 1) -> None:
        """SIGSTOP, as a hang; returns when the member stands still. Its connections stay open."""
        self._signal(member, signal.SIGSTOP)

    def resume(self, member: int = 1) -> None:
        """SIGCONT: undoes `stop`."""
        self._signal(member, signal.SIGCONT)

    def restart(self, member: int = 1, *, wait: bool = True) -> None:
        """Start a member again on its data and ports, killing it first if it runs.

        With `wait`, returns when it serves linearizable reads (it cannot while a majority is missing).
        Raises EtcdServerError when it does not come up.
        """
        self.kill(member)
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            self._spawn(self._member(member))
            if not wait:
                return
            try:
                self._wait_ready(self._member(member), deadline)
            except PortTakenError as error:  # a connection of another program, soon over
                if time.monotonic() > deadline:
                    raise EtcdServerError(f"etcd-{member} cannot have its port back: {error}") from error
                time.sleep(POLL_S)
            else:
                return

    # --- life

    def close(self) -> None:
        """End the servers and remove their data. Calling it again does nothing."""
        self._supervisor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_all(self) -> None:
        """Choose ports and start; choose others when somebody was faster."""
        for attempt in range(1, START_ATTEMPTS + 1):
            ports = free_ports(2 * self._count)
            self._members = [
                _Member(f"etcd-{number + 1}", ports[2 * number], ports[2 * number + 1]) for number in range(self._count)
            ]
            deadline = time.monotonic() + READY_TIMEOUT_S
            try:
                for member in self._members:
                    self._spawn(member)
                for member in self._members:
                    self._wait_ready(member, deadline)
            except PortTakenError as error:
                if attempt == START_ATTEMPTS:
                    raise EtcdServerError(f"found no free ports for etcd: {error}") from error
                for number in range(1, self._count + 1):
                    self.kill(number)
                    shutil.rmtree(self._data(self._member(number)), ignore_errors=True)
            else:
                return

    def _spawn(self, member: _Member) -> None:
        argv = [str(self.server.path), *self._arguments(member)]
        if self._flush_delay_s:
            argv = slow_flush.command(self._flush_delay_s, argv)
        request = {"start": member.name, "argv": argv, "log": str(self._log(member)), "env": server_environment()}
        member.pid = self._supervisor.ask(request)["pid"]

    def _arguments(self, member: _Member) -> list[str]:
        client, peer = f"http://127.0.0.1:{member.client_port}", f"http://127.0.0.1:{member.peer_port}"
        cluster = ",".join(f"{each.name}=http://127.0.0.1:{each.peer_port}" for each in self._members)
        return [
            f"--name={member.name}",
            f"--data-dir={self._data(member)}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={cluster}",
            f"--initial-cluster-token={self.directory.name}",
            f"--quota-backend-bytes={QUOTA_BYTES}",
            "--auto-compaction-mode=periodic",
            f"--auto-compaction-retention={COMPACTION_RETENTION}",
            f"--max-txn-ops={self.max_txn_ops}",
            "--logger=zap",
            "--log-outputs=stderr",
            "--log-level=error",
            *self._flags,
        ]

    def _wait_ready(self, member: _Member, deadline: float) -> None:
        """Until the member answers a linearizable read, on a port that is really its own."""
        while True:
            status = self._supervisor.ask({"poll": member.name})["exit"]
            if status is not None:
                tail = self.log_tail(int(member.name.removeprefix("etcd-")))
                if "address already in use" in tail:
                    raise PortTakenError(tail.splitlines()[-1])
                raise EtcdServerError(
                    f"{self.server} ended at once with status {status}. It wrote: {tail or 'nothing'}"
                )
            if healthy(member.client_port) and listens(member.pid, member.client_port):
                return
            if time.monotonic() > deadline:
                tail = self.log_tail(int(member.name.removeprefix("etcd-")))
                raise EtcdServerError(
                    f"{self.server} was not ready within {READY_TIMEOUT_S:.0f} s. It wrote: {tail or 'nothing'}"
                )
            time.sleep(POLL_S)

    def _signal(self, member: int, number: signal.Signals) -> None:
        self._supervisor.ask({"signal": self._member(member).name, "number": int(number)})

    def _member(self, number: int) -> _Member:
        if not 1 <= number <= len(self._members):
            raise ValueError(f"there is no etcd-{number}: members are numbered from 1 to {len(self._members)}")
        return self._members[number - 1]

    def _data(self, member: _Member) -> Path:
        return self.directory / member.name

    def _log(self, member: _Member) -> Path:
        return self.directory / f"{member.name}.log"
