"""How fast the model is, on one core: CPU time of whole runs, beside a plain SimPy model of the same size.

Each run has a process of its own, so that its memory is its own.
"""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from experiments import workload
from experiments.schema import Scenario
from experiments.simulated import SimulatedWorld
from sim import parameters
from sim.run import simulate
from tests.bench.figures import Ledger
from tests.bench.idiomatic import IdiomaticModel

BURST, ROUNDS = 10_000, 5
WORKERS, SLOTS = 1_000, 10
MILLION = 1_000_000
HOSTS_CORES = 2 * WORKERS
"""A thousand workers have hosts of their own: the model finds a core whenever it looks for one."""

pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True)
class Run:
    """`tasks` at once. `cores`: of the modelled hosts; None: as the profile was measured on."""

    tasks: int
    workers: int
    slots: int
    service_s: float
    cores: int | None = None


@dataclass(frozen=True)
class Cost:
    cpu_s: float
    peak_mb: float
    """Of the whole process: interpreter, libraries, load, run and result."""


def tandem(run: Run) -> Cost:
    """One repetition of the model: decision code and the station of etcd included, the load drawn before."""
    document = {
        "name": "speed",
        "topology": {"workers": run.workers, "slots": run.slots},
        "workload": {
            "count": run.tasks,
            "arrivals": {"process": "burst"},
            "service": {"distribution": "constant", "value_s": run.service_s},
        },
    }
    one = msgspec.convert(document, Scenario)
    values = parameters.load(parameters.REFERENCE).values()
    if run.cores is not None:
        values = msgspec.structs.replace(values, cores=run.cores)
    config = SimulatedWorld(one, values=values).config(one, workload.draw(one, 0))
    began = time.process_time()
    result = simulate(config)
    cpu_s = time.process_time() - began
    assert result.unfinished == 0
    return _cost(cpu_s)


def idiomatic(run: Run) -> Cost:
    """The same size as a process per task."""
    began = time.process_time()
    model = IdiomaticModel(run.tasks, run.workers, run.slots, run.service_s)
    model.run()
    cpu_s = time.process_time() - began
    assert model.ended == run.tasks
    return _cost(cpu_s)


def _cost(cpu_s: float) -> Cost:
    return Cost(cpu_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def in_own_process(model: Callable[[Run], Cost], run: Run) -> Cost:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(model, run).result()


@pytest.mark.parametrize(("service_s", "row"), [(0.0, "model_burst"), (1.0, "model_burst_1s")])
def test_burst_of_10000_on_the_model(benchmark: Any, ledger: Ledger, service_s: float, row: str) -> None:
    """On 3 x 10, as in the experiments; the plain model in turn with it."""
    run = Run(BURST, 3, 10, service_s)
    plain: list[float] = []

    def in_turn() -> float:
        plain.append(in_own_process(idiomatic, run).cpu_s)
        return in_own_process(tandem, run).cpu_s

    found = [in_turn() for _ in range(ROUNDS - 1)]
    found.append(benchmark.pedantic(in_turn, rounds=1))
    ledger.figure(row, found)
    ledger.figure(f"{row}_plain", [mine / other for mine, other in zip(found, plain, strict=True)])
    ledger.ratio(f"{row}_over_plain", statistics.median(found) / statistics.median(plain))


def test_many_tasks_on_a_thousand_workers(benchmark: Any, ledger: Ledger) -> None:
    """Tasks of 1 s on 1,000 x 10, whose hosts have cores enough. Half the size as well: is it linear?"""
    size = ledger.model_tasks
    whole = Run(size, WORKERS, SLOTS, 1.0, HOSTS_CORES)
    half = Run(size // 2, WORKERS, SLOTS, 1.0, HOSTS_CORES)
    plain = in_own_process(idiomatic, whole)
    smaller = in_own_process(tandem, half)
    found = benchmark.pedantic(in_own_process, (tandem, whole), rounds=1)
    ledger.figure("model_many", [found.cpu_s])
    ledger.figure("model_million", [found.cpu_s * MILLION / size])
    ledger.figure("model_many_plain", [found.cpu_s / plain.cpu_s])
    ledger.figure("model_growth", [found.cpu_s / smaller.cpu_s])
    ledger.figure("model_memory", [found.peak_mb])
    ledger.ratio("model_many_over_plain", found.cpu_s / plain.cpu_s)
