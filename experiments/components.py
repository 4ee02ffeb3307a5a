"""The real system's processes on this machine: started, found, signalled, ended, whatever happens to us.

A supervisor process holds them (as it holds the embedded etcd) and kills them when this process goes away. A worker
is two processes: the nanny, which is started here, and its child, which runs the tasks.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from signal import SIGKILL, SIGSTOP, SIGTERM, Signals
from types import TracebackType
from typing import Self

import msgspec
import psutil

from core.etcd.host import Supervisor, data_folder
from core.etcd.store import EtcdStore
from core.kv import keys
from core.kv.requests import Found, Get
from core.model import SchedulerRecord, WorkerRecord
from core.settings import Config, SchedulerSettings, WorkerSettings
from experiments.overrides import Overrides
from experiments.schema import Topology
from experiments.world import ExperimentError

ROOT = Path(__file__).parents[1]
REGISTER_TIMEOUT_S, REGISTER_EACH_S = 60.0, 6.0
"""At least, and for each component on one core: a start takes 1 to 2 s of it, where it is busy several times that."""
MOST_NAMED = 3
DRAIN_TIMEOUT_S = 5.0
"""Idle components end within a few ms of SIGTERM."""
POLL_S = 0.02
LOG_TAIL_CHARS = 500


def config_of(topology: Topology, settings: Overrides | None = None) -> Config:
    """The components' settings that a topology asks for, with a scenario's own changes."""
    fixed = Config(
        scheduler=SchedulerSettings(
            dispatch=topology.dispatch,
            poll_interval_s=topology.scheduler_poll_interval_s,
            ticker=topology.ticker,
            lease_ttl_s=topology.lease_ttl_s,
        ),
        worker=WorkerSettings(
            slots=topology.slots,
            dispatch=topology.dispatch,
            poll_interval_s=topology.worker_poll_interval_s,
            ticker=topology.ticker,
            lease_ttl_s=topology.lease_ttl_s,
        ),
    )
    return fixed if settings is None else settings.apply(fixed)


def child_environment() -> dict[str, str]:
    """Ours, for a process that runs in another folder: it finds our packages, and what the user has in this folder."""
    path = os.pathsep.join(filter(None, [str(ROOT), str(Path.cwd()), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path}


def _unregistered(missing: set[str], wanted: set[str], limit_s: float) -> str:
    named = ", ".join(sorted(missing)[:MOST_NAMED]) + (", ..." if len(missing) > MOST_NAMED else "")
    return (
        f"{len(missing)} of {len(wanted)} components ({named}) did not register within {limit_s:.0f} s: their "
        f"interpreters start slowly on these {psutil.cpu_count()} cores; try fewer workers, or again on a quiet machine"
    )


class Components:
    """Schedulers and workers of one repetition, in one namespace. All are ended on exit."""

    def __init__(self, topology: Topology, endpoints: str, namespace: str, settings: Overrides | None = None) -> None:
        self._store = EtcdStore(endpoints, namespace)
        self._supervisor = Supervisor(data_folder())
        self.directory = self._supervisor.directory
        self.trace_dir = self.directory / "trace"
        self.trace_dir.mkdir()
        config = self.directory / "config.toml"
        config.write_bytes(msgspec.toml.encode(config_of(topology, settings)))
        self._common = ("--etcd-endpoints", endpoints, "--namespace", namespace)
        self._config = ("--config", str(config), "--trace-dir", str(self.trace_dir))
        self._pids: dict[str, int] = {}
        self._kept: set[str] = set()
        self.names = [f"scheduler-{number + 1}" for number in range(topology.schedulers)]
        self.names += [f"worker-{number + 1}" for number in range(topology.workers)]

    # --- life

    def start_all(self) -> None:
        """Start everything."""
        for name in self.names:
            self.start(name)

    def wait_registered(self, names: Iterable[str] | None = None) -> None:
        """Return when all of these (default: all) are registered.

        Raises ExperimentError when one ends or does not register in time.
        """
        limit_s = max(REGISTER_TIMEOUT_S, REGISTER_EACH_S * len(self.names) / (psutil.cpu_count() or 1))
        deadline = time.monotonic() + limit_s
        wanted = set(self.names if names is None else names)
        while missing := wanted - self.registered():
            self.check_alive(sorted(missing))
            if time.monotonic() > deadline:
                raise ExperimentError(_unregistered(missing, wanted, limit_s))
            time.sleep(POLL_S)

    def start(self, name: str) -> None:
        """Start a component (again)."""
        kind = name.partition("-")[0]
        argv = [sys.executable, "-m", "core.cli", kind, "--name", name, *self._common, *self._config]
        request = {"start": name, "argv": argv, "log": str(self.directory / f"{name}.log"), "env": child_environment()}
        self._pids[name] = self._supervisor.ask(request)["pid"]

    def start_again(self, name: str) -> None:
        """Start a component that was ended, and from then on whenever it fails, as an init system would.

        A scheduler that finds no etcd says so and ends: starting it again is the business of what runs it.
        """
        self._kept.add(name)
        self.start(name)

    def keep(self) -> None:
        """Start those again that were started again and have failed since."""
        for name in sorted(self._kept):
            if self._supervisor.ask({"poll": name})["exit"]:
                self.start(name)

    def drain(self) -> None:
        """Ask all to end, and wait a moment: what they learned last reaches their spools."""
        for name in self._pids:
            self._supervisor.ask({"signal": name, "number": int(SIGTERM)})
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while time.monotonic() < deadline:
            if all(self._supervisor.ask({"poll": name})["exit"] is not None for name in self._pids):
                return
            time.sleep(POLL_S)

    def close(self) -> None:
        """End everything now and remove the temporary folder. Calling it again does nothing."""
        leftover = [process for name in self._pids for process in self.processes(name)]
        self._supervisor.close()
        for process in leftover:  # a worker outlives its nanny until it has drained
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what there is

    def processes(self, name: str) -> list[psutil.Process]:
        """The live processes of a component: for a worker the nanny and its child, in this order."""
        try:
            parent = psutil.Process(self._pids[name])
            return [parent, *parent.children(recursive=True)]
        except (psutil.NoSuchProcess, KeyError):
            return []

    def check_alive(self, names: Iterable[str]) -> None:
        """Raises ExperimentError where one of these components has ended."""
        for name in names:
            status = self._supervisor.ask({"poll": name})["exit"]
            if status is not None:
                raise ExperimentError(f"{name} ended with status {status}: {self.log_tail(name)}")

    def log(self, name: str) -> str:
        """What a component wrote."""
        try:
            return (self.directory / f"{name}.log").read_text(errors="replace")
        except OSError:
            return ""

    def log_tail(self, name: str) -> str:
        """The last words of a component."""
        return self.log(name)[-LOG_TAIL_CHARS:].strip() or "it wrote nothing"

    def registered(self) -> set[str]:
        """The names of those that are known to etcd."""
        return {record.name for prefix in (keys.WORKER, keys.SCHEDULER) for record in self._records(prefix)}

    def _records(self, prefix: str) -> Iterator[WorkerRecord | SchedulerRecord]:
        found = self._store.call(Get(prefix, keys.prefix_end(prefix)))
        if isinstance(found, Found):
            for kv in found.kvs:
                if isinstance(kv.value, WorkerRecord | SchedulerRecord):
                    yield kv.value

    # --- faults

    def signal(self, name: str, number: Signals) -> None:
        """Send a signal to the process that was started here: a scheduler, or a worker's nanny."""
        self._supervisor.ask({"signal": name, "number": int(number)})

    def signal_worker(self, name: str, number: Signals) -> None:
        """Send a signal to a worker's own process, not to its nanny."""
        for process in self.processes(name)[1:]:
            process.send_signal(number)

    def kill_host(self, name: str) -> None:
        """Worker and nanny at once. The nanny is stopped first, or it would revoke the worker's lease."""
        self.signal(name, SIGSTOP)
        self.signal_worker(name, SIGKILL)
        self.signal(name, SIGKILL)
