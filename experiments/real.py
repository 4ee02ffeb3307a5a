"""The real world: real processes around a real etcd, on this machine."""

import contextlib
import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import psutil

from core.etcd.binary import EtcdServerError
from core.etcd.channel import parse_endpoints
from core.etcd.embedded import EmbeddedEtcd
from core.etcd.errors import EtcdUnreachable, EtcdUnsupported
from core.etcd.store import EtcdStore
from core.kv.requests import Delete, Put, Txn
from core.model import SchedulerRecord
from experiments import aftermath, environment, etcd_metrics, expected, faults, load, trace
from experiments.child import Child
from experiments.components import Components, child_environment
from experiments.sampling import Sampler
from experiments.schema import Scenario
from experiments.workload import BASE_MS, Workload
from experiments.world import ExperimentError, Measured, Tell, join

HEAD_START_S = 0.1
"""Between the order to start and second 0: the message to the load generator takes less."""
READY_TIMEOUT_S = 60.0
EXIT_TIMEOUT_S = 15.0
"""The load generator has nothing left to do but to disconnect."""
PROBE_PUTS = 100
"""Puts timed before a run, one after the other: what one write costs on this disk at this moment."""


class RealWorld:
    """Runs repetitions on one etcd, each in a namespace of its own, with processes of its own."""

    def __init__(self, one: Scenario, endpoints: str | None = None) -> None:
        self._stack = contextlib.ExitStack()
        self._given = endpoints
        self._etcd: EmbeddedEtcd | None = None
        self._topology = one.topology
        self._endpoints = ""
        faults.check(one, own_etcd=endpoints is None)

    def __enter__(self) -> Self:
        if self._given is None:
            try:
                self._etcd = self._stack.enter_context(self._embedded())
            except EtcdServerError as error:
                raise ExperimentError(str(error)) from error
            self._endpoints = ",".join(self._etcd.endpoints)
        else:
            self._endpoints = self._given
        return self

    def _embedded(self) -> EmbeddedEtcd:
        topology = self._topology
        return EmbeddedEtcd(members=topology.etcd_members, flush_delay_s=topology.etcd_flush_delay_s)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def run(self, one: Scenario, workload: Workload, tell: Tell) -> Measured:
        """One repetition. Raises ExperimentError."""
        namespace = f"/tandem-bench/{secrets.token_hex(8)}/"
        with contextlib.ExitStack() as stack:
            try:
                store = EtcdStore(self._endpoints, namespace)
                stack.callback(store.close)
                server = store.check()
            except (ValueError, EtcdUnreachable, EtcdUnsupported) as error:
                raise ExperimentError(str(error)) from error
            put_s = probe(store)
            tell("starting the processes")
            components = stack.enter_context(Components(one.topology, self._endpoints, namespace, one.settings))
            components.start_all()
            generator = stack.enter_context(
                LoadProcess(one, workload, self._endpoints, namespace, components.trace_dir)
            )
            components.wait_registered()
            generator.wait_ready()
            measured = self._measure(one, workload, components, generator, store, tell)
            if self._given is not None:
                components.close()
                aftermath.erase(store)
        about = {"version": server.version, "members": len(server.members), "put_p50_ms": round(put_s * 1000, 3)}
        measured.environment["etcd"] = about | self._about_etcd()
        return measured

    def _measure(
        self,
        one: Scenario,
        workload: Workload,
        components: Components,
        generator: "LoadProcess",
        store: EtcdStore,
        tell: Tell,
    ) -> Measured:
        saboteur = faults.Saboteur(one.faults, components, self._etcd)
        sampler = Sampler(lambda: self._census(components, generator))
        before = environment.machine_load(time.monotonic())
        own_before = _own_cpu_s()
        urls = self._metrics_urls()
        etcd_before = etcd_metrics.read_all(urls)
        start = time.monotonic() + HEAD_START_S
        sampler.start(start)
        saboteur.start(start)
        generator.start(start)
        untouched = set(components.names) - {fault.target for fault in one.faults}
        unfinished = generator.wait(tell, lambda: components.check_alive(untouched))
        resources = sampler.finish()
        members = etcd_metrics.between(etcd_before, etcd_metrics.read_all(urls))
        after = environment.machine_load(time.monotonic())
        own_s = sampler.own_cpu_s() + _own_cpu_s() - own_before
        generator.close()
        saboteur.finish()
        tell("collecting")
        components.drain()
        after_run = aftermath.inspect(store)
        spools = trace.Spools()
        spools.read(components.trace_dir)
        rows, counts = join(workload, spools, after_run, start)
        facts = {
            **environment.disturbance(before, after, own_s),
            "faults": saboteur.made,
            "unfinished": unfinished,
            "misplaced": after_run.misplaced,
        }
        wrong = unfinished or counts.lost or after_run.misplaced
        logs = {name: components.log(name) for name in components.names} if wrong else {}
        return Measured(rows, resources, counts, facts, logs, members)

    def _census(self, components: Components, generator: "LoadProcess") -> Iterator[tuple[str, list[psutil.Process]]]:
        yield load.NAME, _process(generator.pid)
        for name in components.names:
            yield name, components.processes(name)
        if self._etcd is not None:
            for member in range(1, self._etcd.members + 1):
                yield f"etcd-{member}", _process(self._etcd.pid(member))

    def _metrics_urls(self) -> dict[str, str]:
        """Where the members' figures may be read: on the port of the clients, unless a cluster keeps them elsewhere."""
        if self._etcd is None:
            return {str(one): f"http://{one}/metrics" for one in parse_endpoints(self._endpoints)}
        return {f"etcd-{number}": self._etcd.metrics_url(number) for number in range(1, self._etcd.members + 1)}

    def _about_etcd(self) -> dict[str, Any]:
        if self._etcd is None:
            return {"origin": "a running cluster (--etcd-endpoints)", "durable": None, "warning": None}
        server = self._etcd.server
        return {
            "origin": str(server.origin),
            "durable": server.durable,
            "warning": server.warning,
            "max_txn_ops": self._etcd.max_txn_ops,
            "filesystem": self._etcd.filesystem,
        }


def probe(store: EtcdStore) -> float:
    """The median time of one put, in seconds."""
    times = []
    for _ in range(PROBE_PUTS):
        before = time.perf_counter()
        store.call(Txn((), (Put("probe", SchedulerRecord("probe")),)))
        times.append(time.perf_counter() - before)
    store.call(Txn((), (Delete("probe"),)))
    return statistics.median(times)


class LoadProcess:
    """The load generator's process, ended on exit."""

    def __init__(
        self,
        one: Scenario,
        workload: Workload,
        endpoints: str,
        namespace: str,
        trace_dir: Path,
        base_ms: int = BASE_MS,
    ) -> None:
        job = load.Job(
            scenario=one,
            repetition=workload.repetition,
            endpoints=endpoints,
            namespace=namespace,
            trace_dir=str(trace_dir),
            quiet_s=expected.quiet_s(one, workload),
            base_ms=base_ms,
        )
        self._silence_s = 2 * job.quiet_s
        self._tasks = len(workload)
        self._child = Child(
            "the load generator",
            "experiments.load",
            msgspec.json.encode(job).decode(),
            environment=child_environment(),
            patience_s=0.0,
        )
        self.pid = self._child.pid

    def wait_ready(self) -> None:
        """Raises ExperimentError where it does not connect."""
        self._child.hear(READY_TIMEOUT_S)

    def start(self, second_zero: float) -> None:
        self._child.say({"start": second_zero})

    def wait(self, tell: Tell, check: Callable[[], None]) -> int:
        """Until it is done; the number of tasks that did not end in time. Calls `check` now and then.

        Raises ExperimentError where it fails or hangs, and what `check` raises.
        """
        while "unfinished" not in (said := self._child.hear(self._silence_s)):
            check()
            ended = int(said["submitted"]) - int(said["pending"])
            tell(f"{ended:,} of {self._tasks:,} tasks done")
        return int(said["unfinished"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._child.__exit__(kind, error, at)

    def close(self) -> None:
        """Let it disconnect; its spool is complete then. Calling it again does nothing."""
        self._child.wait(EXIT_TIMEOUT_S)


def _process(pid: int) -> list[psutil.Process]:
    try:
        return [psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return []


def _own_cpu_s() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)
