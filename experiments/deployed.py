"""The real world on schedulers and workers that somebody else started, such as `docker-compose up`.

The harness submits and observes, in the namespace and the queue that the deployed workers serve. What only the other
processes' spools know does not exist here: the stages between the acknowledgement of the submit and the arrival of the
outcome, CPU and memory, and how often a handler ran are null. Throughput, enqueue and total time are measured as ever.
"""

import dataclasses
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from core.etcd.errors import EtcdUnreachable, EtcdUnsupported
from core.etcd.store import EtcdStore, ServerInfo
from core.inspect import Overview, overview
from core.runtime.calls import perform
from experiments import aftermath, environment, trace, workload
from experiments.components import config_of
from experiments.metrics import RESOURCE_COLUMNS
from experiments.real import HEAD_START_S, LoadProcess, probe
from experiments.schema import Scenario, Topology
from experiments.world import ExperimentError, Measured, Tell, join

LOOK_TIMEOUT_S = 10.0


class DeployedWorld:
    """Runs repetitions on the system that serves `namespace` at `endpoints`, and removes its tasks afterwards."""

    def __init__(self, one: Scenario, endpoints: str, namespace: str) -> None:
        """Raises ExperimentError for a scenario that asks of the processes what only their owner can do."""
        self._endpoints, self._namespace = endpoints, namespace
        _check(one)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing is ours but the tasks, and those each repetition removes."""

    def run(self, one: Scenario, load: workload.Workload, tell: Tell) -> Measured:
        """One repetition. Raises ExperimentError."""
        base_ms = int(time.time() * 1000)  # ids of now: those of an earlier run with this seed are taken
        load = workload.draw(one, load.repetition, base_ms=base_ms)
        with ExitStack() as stack:
            try:
                store = EtcdStore(self._endpoints, self._namespace)
                stack.callback(store.close)
                server = store.check()
                found = perform(store.send, overview(), LOOK_TIMEOUT_S)
            except (ValueError, EtcdUnreachable, EtcdUnsupported) as error:
                raise ExperimentError(str(error)) from error
            _fits(one, server, found, f"{self._endpoints} ({self._namespace})")
            put_s = probe(store)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tandem-bench-")))
            stack.callback(aftermath.erase, store, frozenset(load.ids))
            generator = stack.enter_context(
                LoadProcess(one, load, self._endpoints, self._namespace, folder, base_ms=base_ms)
            )
            generator.wait_ready()
            measured = _measure(load, generator, store, folder, tell)
        about = {"version": server.version, "members": len(server.members), "put_p50_ms": round(put_s * 1000, 3)}
        measured.environment["etcd"] = about | {"origin": "of a deployed system", "durable": None, "warning": None}
        measured.environment["deployed"] = {
            "schedulers": len(found.schedulers),
            "workers": len(found.workers),
            "worker_hosts": len({worker.host for worker in found.workers}),
            "slots": sum(worker.slots for worker in found.workers),
        }
        return measured


def _measure(load: workload.Workload, generator: LoadProcess, store: EtcdStore, folder: Path, tell: Tell) -> Measured:
    before = environment.machine_load(time.monotonic())
    start = time.monotonic() + HEAD_START_S
    generator.start(start)
    unfinished = generator.wait(tell, lambda: None)
    after = environment.machine_load(time.monotonic())
    generator.close()
    tell("collecting")
    after_run = aftermath.inspect(store, frozenset(load.ids))
    spools = trace.Spools()
    spools.read(folder)
    rows, counts = join(load, spools, after_run, start)
    rows["committed"] = np.nan  # known to the workers; the moment it was observed must not stand for it
    facts: dict[str, Any] = {
        **environment.disturbance(before, after, 0.0),
        "foreign_cores": None,
        "stolen_cores": None,
        "disturbed": None,
        "disturbance": "not known: the deployed processes cannot be told from others",
        "unfinished": unfinished,
        "misplaced": after_run.misplaced,
    }
    resources = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _RESOURCE_TYPES.items()})
    return Measured(rows, resources, dataclasses.replace(counts, executed_twice=None), facts)


_RESOURCE_TYPES = {name: "str" if name == "component" else "float64" for name in RESOURCE_COLUMNS}


def _check(one: Scenario) -> None:
    if one.faults:
        raise ExperimentError(
            f"scenario {one.name} breaks processes, and deployed ones are not ours to break: leave out --deployed"
        )
    if one.topology.etcd_flush_delay_s:
        raise ExperimentError(
            f"scenario {one.name} slows etcd's disk (topology.etcd_flush_delay_s), and a deployed one keeps its own: "
            "leave out --deployed"
        )
    asked, usual = config_of(one.topology, one.settings), config_of(Topology(slots=one.topology.slots))
    if (asked.scheduler, asked.worker) != (usual.scheduler, usual.worker):
        raise ExperimentError(
            f"scenario {one.name} changes settings of schedulers or workers (dispatch, intervals, lease_ttl_s, "
            "settings), and deployed ones keep their own: leave out --deployed"
        )


def _fits(one: Scenario, server: ServerInfo, found: Overview, where: str) -> None:
    """Raises ExperimentError where something else runs than the scenario describes, or somebody uses it."""
    topology = one.topology
    workers = [worker for worker in found.workers if not worker.draining]
    slots = sorted({worker.slots for worker in workers})
    wanted = (topology.schedulers, topology.workers, [topology.slots], topology.etcd_members)
    have = (len(found.schedulers), len(workers), slots, max(len(server.members), 1))
    if have != wanted:
        raise ExperimentError(
            f"scenario {one.name} is about {_told(*wanted)}; at {where} there are {_told(*have)}: "
            "scale what is deployed, or change the scenario's topology"
        )
    busy = sum(found.ready.values()) + found.later + found.running
    if busy:
        raise ExperimentError(f"{_number(busy, 'unfinished task')} at {where}: measure when nobody else uses it")


def _told(schedulers: int, workers: int, slots: list[int], members: int) -> str:
    size = "/".join(map(str, slots)) or "0"
    return (
        f"{_number(schedulers, 'scheduler')}, {_number(workers, 'worker')} of {size} slots and "
        f"{_number(members, 'etcd member')}"
    )


def _number(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
