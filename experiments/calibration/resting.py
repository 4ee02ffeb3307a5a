"""What processes use while nothing happens: ticks, keepalives, garbage collection, the nanny.

A small system of the real components rests for some seconds; what the model of it uses meanwhile (its keepalives) is
taken off, so that nothing counts twice.
"""

import os
import secrets
import statistics
import time
from dataclasses import dataclass

import msgspec

from core.client import Client
from core.etcd.embedded import EmbeddedEtcd
from core.model import TaskSpec
from experiments.calibration.book import Book
from experiments.calibration.clock import cpu_s
from experiments.components import Components
from experiments.schema import Topology
from sim.config import Load, SimConfig
from sim.parameters import Values
from sim.run import simulate

WORKERS = 2
SETTLE_S = 1.5
"""Imports and first pages are over."""


@dataclass(frozen=True, slots=True)
class Rest:
    """CPU seconds a second, by kind of component."""

    seconds: float
    used: dict[str, float]


def watch(etcd: EmbeddedEtcd, *, quick: bool) -> Rest:
    """Let a small system rest. Raises ExperimentError where the components do not start."""
    seconds = 2.0 if quick else 8.0
    namespace = f"/calibrate/{secrets.token_hex(4)}/"
    endpoints = ",".join(etcd.endpoints)
    with (
        Components(Topology(workers=WORKERS), endpoints, namespace) as components,
        Client(endpoints, namespace=namespace),
    ):
        components.start_all()
        components.wait_registered()
        time.sleep(SETTLE_S)
        pids = {name: [one.pid for one in components.processes(name)] for name in components.names}
        pids |= {"etcd": [etcd.pid()], "client": [os.getpid()]}
        before = {name: sum(map(cpu_s, those)) for name, those in pids.items()}
        time.sleep(seconds)
        used = {name: (sum(map(cpu_s, those)) - before[name]) / seconds for name, those in pids.items()}
    workers = statistics.mean(used[name] for name in used if name.startswith("worker"))
    return Rest(
        seconds,
        {"scheduler": used["scheduler-1"], "worker": workers, "client": used["client"], "etcd": used["etcd"]},
    )


def conclude(book: Book, rest: Rest) -> None:
    """Fill in `..._idle_cpu`."""
    modelled = _modelled(book)
    for kind, used in rest.used.items():
        off = f"{modelled[kind]:.2g} for keepalives"
        source = f"a system of {WORKERS} workers at rest for {rest.seconds:g} s, less {off}"
        book.put(f"{kind}_idle_cpu", max(0.0, used - modelled[kind]), "s/s", source)


def _modelled(book: Book) -> dict[str, float]:
    """CPU seconds a second that the model of that system uses, by the parameters found so far."""
    known = {name: one.value for name, one in book.found.items() if name in Values.__struct_fields__}
    values = msgspec.convert(known, Values, strict=False)
    seconds = 20.0
    load = Load([TaskSpec("0" * 32, "echo")], [0.0], [seconds])  # a task at the end: the model runs until then
    config = SimConfig(load, workers=WORKERS, values=values)
    samples = simulate(config).samples
    last = {one.component: one.cpu_s for one in samples}
    first = {one.component: one.cpu_s for one in reversed(samples)}
    rates = {name: (last[name] - first[name]) / seconds for name in last}
    return {
        "scheduler": rates["scheduler-1"],
        "worker": rates["worker-1"],
        "client": rates["client-1"],
        "etcd": rates["etcd-1"],
    }
