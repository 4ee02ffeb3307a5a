"""The processes of the system: each life of a scheduler or a worker, and what brings a worker back (its nanny)."""

from collections.abc import Callable
from typing import Any

import msgspec

from core.machine.messages import Drain, Execute, Message, Registered, Trace
from core.machine.replay import Recording, build, header, header_line, step_line
from core.model import SchedulerRecord, WorkerRecord
from core.kv.requests import Revoke
from sim.config import SimConfig
from sim.driver import Costs, Driver, Watchers
from sim.etcd import EtcdStation
from sim.executor import Executor
from sim.host import Host, Process
from sim.kernel import Kernel, call_in
from sim.link import Link
from sim.streams import Streams

HANDLERS = ("cpu", "echo", "fail", "sleep")
"""What every worker has."""


class Surroundings:
    """What all components of a run share."""

    def __init__(self, kernel: Kernel, config: SimConfig) -> None:
        self.kernel = kernel
        self.config = config
        self.values = config.values
        self.streams = Streams(config.seed)
        self.host = Host(kernel, config.values.cores)
        self.etcd = EtcdStation(
            kernel, self.host, config.values, self.streams["etcd/fsync"], self.streams["etcd/kill"]
        )
        specs, service_s = config.load.specs, config.load.service_s
        self.service_s = {spec.id: float(service_s[index]) for index, spec in enumerate(specs)}
        self.spool: list[tuple[str, str, Any]] = []
        self.reports: list[tuple[float, str, str, str]] = []
        self.recordings: dict[str, list[bytes]] = {}
        self.cpu_s: dict[str, float] = {}  # of lives that are over
        self.wall_base = config.start_wall_at

    def tasks_per_txn(self) -> int:
        """As the real components fit their batches to the server's limit (`core.scheduler.tasks_per_txn`)."""
        return max(1, (self.values.max_operations - 8) // 3)

    def watchers(self, name: str, life: int, recording: Recording) -> Watchers:
        def trace(command: Trace) -> None:
            self.spool.append((name, command.kind, command.rows))

        def report(level: str, text: str) -> None:
            self.reports.append((self.kernel.now, name, level, text))

        step = None
        if name in self.config.record:
            lines = self.recordings[name if life == 1 else f"{name}#{life}"] = [header_line(recording)]

            def step(event: Message, now: Any, commands: Any) -> None:
                lines.append(step_line(event, now, commands))

        check = (lambda machine: machine.validate()) if self.config.check else None
        return Watchers(trace, report, step, check)


class Component:
    """A named scheduler or worker. At most one life at a time; `fault`s act on the life that is."""

    def __init__(self, surroundings: Surroundings, name: str, *, worker: bool) -> None:
        self._around = surroundings
        self.name = name
        self._worker = worker
        self.lives = 0
        self.process: Process | None = None
        self.link: Link | None = None
        self.driver: Driver | None = None
        self._leases: list[int] = []
        self._starting = 0  # a start that was overtaken by a kill comes to nothing

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.alive

    def start(self, delay_s: float | None = None) -> None:
        """Start a process. It takes its time: as long as `..._start_s` says, or `delay_s`."""
        values = self._around.values
        if delay_s is None:
            delay_s = values.worker_start_s if self._worker else values.scheduler_start_s
        self._starting += 1
        call_in(self._around.kernel, delay_s, self._live, self._starting)

    def _live(self, starting: int) -> None:
        if starting != self._starting or self.running:
            return
        around = self._around
        self.lives += 1
        self._leases = []
        recording = self._recording()
        process = self.process = Process(around.host, self.name)
        values = around.values
        effects: dict[type[Message], Callable[[Any], None]] = {}
        if self._worker:
            costs = Costs(values.worker_event_s, values.worker_item_s)
            executor = Executor(around.kernel, process, values, around.service_s, lambda result: driver.put(result))
            effects[Execute] = lambda command: executor.run(command.jobs)
            effects[Registered] = lambda event: self._leases.append(event.lease)
        else:
            costs = Costs(values.scheduler_event_s, values.scheduler_item_s)
        driver = self.driver = Driver(
            around.kernel,
            build(recording),
            process,
            values,
            costs,
            effects,
            around.watchers(self.name, self.lives, recording),
            around.wall_base,
            lambda code: self._over(),
        )
        stream = around.streams[f"network/{self.name}"]
        self.link = Link(around.kernel, around.etcd, process, values, stream, driver.put)
        driver.start(self.link)

    def _recording(self) -> Recording:
        config = self._around.config
        fits = self._around.tasks_per_txn()
        pid = 1000 + self.lives
        if self._worker:
            settings = msgspec.structs.replace(config.worker, max_batch=min(config.worker.max_batch, fits))
            record = WorkerRecord(self.name, settings.slots, tuple(settings.queues), HANDLERS, "host-1", pid)
            seed = int(self._around.streams[f"rng/{self.name}"].random() * (1 << 53))
            return header("worker", settings, record, seed=seed, trace=config.trace)
        fitted = msgspec.structs.replace(config.scheduler, max_batch=min(config.scheduler.max_batch, fits))
        wall = self._around.wall_base + self._around.kernel.now
        return header("scheduler", fitted, SchedulerRecord(self.name, "host-1", pid, wall), trace=config.trace)

    # --- faults and the end ---

    def drain(self) -> None:
        """SIGTERM."""
        self._starting += 1
        if self.running and self.driver is not None:
            self.driver.put(Drain())

    def kill(self) -> None:
        """SIGKILL, with nobody there to start it again."""
        self._starting += 1
        self._over()

    def kill_worker(self) -> None:
        """SIGKILL of the worker process: its nanny revokes the lease and starts another."""
        if not self.running:
            return
        leases = list(self._leases)
        self.kill()
        call_in(self._around.kernel, self._around.values.nanny_notice_s, self._nanny, leases)

    def _nanny(self, leases: list[int]) -> None:
        for lease in leases:
            self._around.etcd.request(Revoke(lease), lambda _: None)
        self.start(self._around.values.nanny_restart_s + self._around.values.worker_start_s)

    def _over(self) -> None:
        if self.process is not None and self.process.alive:
            self.process.kill()
            done = self._around.cpu_s
            done[self.name] = done.get(self.name, 0.0) + self.process.cpu_s
        if self.link is not None:
            self.link.close()
            self.link = None

    def stop(self) -> None:
        """SIGSTOP."""
        if self.running and self.process is not None:
            self.process.stop()

    def resume(self) -> None:
        """SIGCONT."""
        if self.running and self.process is not None:
            self.process.resume()

    def cut(self) -> None:
        """A partition from etcd begins."""
        if self.link is not None:
            self.link.cut()

    def mend(self) -> None:
        """The partition ends."""
        if self.link is not None:
            self.link.mend()

    def cpu_s(self) -> float:
        """CPU seconds of all lives."""
        now = self.process.cpu_s if self.running and self.process is not None else 0.0
        return self._around.cpu_s.get(self.name, 0.0) + now
