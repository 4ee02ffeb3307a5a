"""The processes of the system: each life of a scheduler or a worker, and what brings a worker back (its nanny)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from core.kv.requests import Response, Revoke, Unknown
from core.machine.messages import Drain, Execute, Message, Registered, Result, Trace
from core.machine.replay import Recording, build, header, header_line, step_line
from core.model import SchedulerRecord, WorkerRecord
from sim.config import SimConfig
from sim.driver import Driver
from sim.etcd.station import LOG_LENGTH, EtcdStation
from sim.executor import Executor
from sim.host import Host
from sim.kernel import Kernel, call_in
from sim.link import Link
from sim.neighbours import Neighbours
from sim.process import Process
from sim.shelf import OutcomeShelf
from sim.stamps import Stamps
from sim.steps import Costs, Watchers
from sim.streams import Streams
from sim.tasks import Tasks

IMPORT_PIECE_S = 0.005
"""An interpreter that starts is computing all the time; it shares its core."""
CALM_LOG_LENGTH = 200_000
"""Changes that etcd keeps where nothing breaks: nobody then lags by more than moments."""
REVOKE_RETRY_S, REVOKE_LIMIT_S = 0.1, 10.0
"""As the real nanny (`core.runtime.nanny`)."""
HANDLERS = ("cpu", "echo", "fail", "sleep")
"""What every worker has."""


class Surroundings:
    """What all components of a run share."""

    def __init__(self, kernel: Kernel, config: SimConfig) -> None:
        self.kernel = kernel
        self.config = config
        self.values = config.values
        self.streams = Streams(config.seed)
        self.host = Host(kernel, config.values.cores, config.values.balance_s)
        self.neighbours = Neighbours(kernel, self.host, config.values, self.streams["neighbours"])
        self.tasks = Tasks(config.load)
        self.etcd = EtcdStation(
            kernel,
            self.host,
            config.values,
            self.streams["etcd/fsync"],
            self.streams["etcd/kill"],
            config.refinement,
            shelf=OutcomeShelf(self.tasks),
            log_length=LOG_LENGTH if config.faults else CALM_LOG_LENGTH,
        )
        self.spool = Stamps(self.tasks.numbers)
        self.reports: list[tuple[float, str, str, str]] = []
        self.recordings: dict[str, list[bytes]] = {}
        self.wall_base = config.start_wall_at

    def tasks_per_txn(self) -> int:
        """As the real components fit their batches to the server's limit (`core.scheduler.tasks_per_txn`)."""
        return max(1, (self.values.max_operations - 8) // 3)

    def watchers(self, name: str, life: int, recording: Recording) -> Watchers:
        def trace(command: Trace) -> None:
            self.spool.add(name, command.kind, command.rows)

        def report(level: str, text: str) -> None:
            self.reports.append((self.kernel.now, name, level, text))

        step = None
        if name in self.config.record:
            lines = self.recordings[name if life == 1 else f"{name}#{life}"] = [header_line(recording)]

            def step(event: Message, now: Any, commands: Any) -> None:
                lines.append(step_line(event, now, commands))

        check = (lambda machine: machine.validate()) if self.config.check else None
        return Watchers(trace, report, step, check)


class _Life:
    """One process of a component. `over` when it has ended, by itself or by force."""

    def __init__(self, around: Surroundings, name: str, number: int, *, worker: bool) -> None:
        self._around = around
        self._name = name
        self.leases: list[int] = []
        self.draining = False
        recording = _recording(around, name, number, worker=worker)
        values = around.values
        self.process = Process(around.host, name, values)
        effects: dict[type[Message], Callable[[Any], None]] = {}
        costs = Costs(values.scheduler_event_s, values.scheduler_item_s)
        if worker:
            costs = Costs(values.worker_event_s, values.worker_item_s)
            sleeps = around.streams[f"sleeps/{name}"]
            executor = Executor(around.kernel, self.process, values, around.tasks, sleeps, self._result)
            effects[Execute] = lambda command: executor.run(command.jobs)
            effects[Registered] = lambda event: self.leases.append(event.lease)
        self.driver = Driver(
            around.kernel,
            build(recording),
            self.process,
            values,
            costs,
            effects,
            around.watchers(name, number, recording),
            around.wall_base,
            lambda _: self.end(),
        )
        stream = around.streams[f"network/{name}"]
        self.link = Link(around.kernel, around.etcd, self.process, values, stream, self.driver.put)
        self.driver.start(self.link)

    def _result(self, result: Result) -> None:
        self.driver.put(result)

    @property
    def over(self) -> bool:
        return not self.process.alive

    def end(self) -> None:
        """The process is gone."""
        if self.process.alive:
            self.process.kill()
            self.link.close()

    def drain(self) -> None:
        self.draining = True
        if not self.over:
            self.driver.put(Drain())


def _recording(around: Surroundings, name: str, number: int, *, worker: bool) -> Recording:
    config, fits, pid = around.config, around.tasks_per_txn(), 1000 + number
    if worker:
        settings = msgspec.structs.replace(config.worker, max_batch=min(config.worker.max_batch, fits))
        record = WorkerRecord(name, settings.slots, tuple(settings.queues), HANDLERS, "host-1", pid)
        seed = around.streams[f"rng/{name}"].integer(1 << 53)
        return header("worker", settings, record, seed=seed, trace=config.trace)
    fitted = msgspec.structs.replace(config.scheduler, max_batch=min(config.scheduler.max_batch, fits))
    wall_at = around.wall_base + around.kernel.now
    return header("scheduler", fitted, SchedulerRecord(name, "host-1", pid, wall_at), trace=config.trace)


class Component:
    """A named scheduler or worker: its lives, one after the other. A drained life may overlap with the next."""

    def __init__(self, surroundings: Surroundings, name: str, *, worker: bool) -> None:
        self._around = surroundings
        self.name = name
        self._worker = worker
        self._lives: list[_Life] = []
        self._starts_cpu_s = 0.0
        self._starting = 0  # a start that was overtaken by a kill comes to nothing

    @property
    def running(self) -> bool:
        """Whether some process of it is alive."""
        return any(not life.over for life in self._lives)

    @property
    def _latest(self) -> _Life | None:
        return self._lives[-1] if self._lives and not self._lives[-1].over else None

    def start(self, delay_s: float | None = None) -> None:
        """Start it: after `delay_s` at once or, without it, by `..._start_s` of CPU time, a nanny's first."""
        self._starting += 1
        if delay_s is None:
            self._launch(self._around.values.nanny_start_s if self._worker else 0.0)
        else:
            call_in(self._around.kernel, delay_s, self._live, self._starting)

    def _launch(self, before_s: float = 0.0) -> None:
        """A process starts, `before_s` of CPU time after now."""
        values = self._around.values
        start_s = before_s + (values.worker_start_s if self._worker else values.scheduler_start_s)
        self._compute(Process(self._around.host, self.name, values), start_s, self._live, self._starting)

    def _compute(self, process: Process, left_s: float, done: Callable[..., None], *arguments: Any) -> None:
        """`done(*arguments)` after so much CPU time, in pieces, so that others get their turn on the core."""
        if left_s <= 0.0:
            done(*arguments)
            return
        piece_s = min(left_s, IMPORT_PIECE_S)
        self._starts_cpu_s += piece_s
        process.run_own(piece_s, self._compute, process, left_s - piece_s, done, *arguments)

    def _restart(self, starting: int) -> None:
        if starting == self._starting:
            self._launch()

    def _live(self, starting: int) -> None:
        latest = self._latest
        if starting == self._starting and (latest is None or latest.draining):
            self._lives.append(_Life(self._around, self.name, len(self._lives) + 1, worker=self._worker))

    # --- faults and the end ---

    def drain(self) -> None:
        """SIGTERM."""
        self._starting += 1
        for life in self._lives:
            life.drain()

    def kill(self) -> None:
        """SIGKILL, with nobody there to start it again."""
        self._starting += 1
        for life in self._lives:
            life.end()

    def kill_worker(self) -> None:
        """SIGKILL of the worker process: its nanny revokes the lease and starts another, unless it is to end."""
        life = self._latest
        if life is None:
            return
        life.end()
        nanny = Process(self._around.host, self.name, self._around.values)
        self._compute(nanny, self._around.values.nanny_revoke_s, self._nanny, life)

    def _nanny(self, life: _Life) -> None:
        self._revoke(life, list(life.leases), self._around.kernel.now + REVOKE_LIMIT_S)

    def _revoke(self, life: _Life, leases: list[int], until: float) -> None:
        """One lease after the other, each until etcd has done it or it is too late."""
        if leases:
            self._around.etcd.request(Revoke(leases[0]), partial(self._revoked, life, leases, until))
        elif not life.draining:
            self._starting += 1
            call_in(self._around.kernel, self._around.values.nanny_restart_s, self._restart, self._starting)

    def _revoked(self, life: _Life, leases: list[int], until: float, answer: Response) -> None:
        kernel = self._around.kernel
        if isinstance(answer, Unknown) and kernel.now < until:
            call_in(kernel, REVOKE_RETRY_S, self._revoke, life, leases, until)
        else:
            self._revoke(life, leases[1:], until)

    def stop(self) -> None:
        """SIGSTOP."""
        for life in self._lives:
            life.process.stop()

    def resume(self) -> None:
        """SIGCONT."""
        for life in self._lives:
            life.process.resume()

    def cut(self) -> None:
        """A partition from etcd begins."""
        for life in self._lives:
            life.link.cut()

    def mend(self) -> None:
        """The partition ends."""
        for life in self._lives:
            life.link.mend()

    def cpu_s(self) -> float:
        """CPU seconds of all lives, with what they do of their own accord."""
        values = self._around.values
        idle_cpu = values.worker_idle_cpu if self._worker else values.scheduler_idle_cpu
        own_s = idle_cpu * self._around.kernel.now + self._starts_cpu_s
        return own_s + sum(life.process.cpu_s for life in self._lives)
