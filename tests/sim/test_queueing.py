"""The whole system against queueing theory: client, scheduler, etcd and workers at no cost are one queue before slots.

Replications are independent and seeded; the closed form must lie in the 99 % interval of their means.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from core.kv.memory import MemoryKv
from core.kv.requests import Delete, EtcdRequest, Put, Response, Txn, TxnDone
from core.settings import SchedulerSettings, WorkerSettings
from sim.config import SimConfig, SimResult
from sim.run import simulate
from tests.sim import closed_forms
from tests.sim.model import FREE, assert_within, load, moments, poisson

REPLICATIONS = 8
TASKS = 1200
WARM_UP = 200
RATE_PER_SLOT = 0.7
LOGNORMAL = stats.lognorm(s=0.8, scale=np.exp(-0.32))
"""Of mean 1; standard deviation 0.95."""


@dataclass(frozen=True)
class Run:
    """Seconds from the start of the load, a number for each task, in the order of arrival."""

    arrived: NDArray[np.float64]
    service: NDArray[np.float64]
    submitted: NDArray[np.float64]
    started: NDArray[np.float64]
    finished: NDArray[np.float64]
    observed: NDArray[np.float64]

    @property
    def waits(self) -> NDArray[np.float64]:
        return self.started - self.arrived


def draw(law: str, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    match law:
        case "M":
            return rng.exponential(1.0, TASKS)
        case "G":
            return np.asarray(LOGNORMAL.rvs(TASKS, random_state=rng))
        case _:
            return np.ones(TASKS)


@cache
def run(law: str, workers: int, slots: int, seed: int) -> Run:
    """Without a buffer, which would bind tasks to a worker before it is free."""
    service = draw(law, seed)
    arrivals = poisson(2000 + seed, TASKS, RATE_PER_SLOT * workers * slots)
    result = simulate(
        SimConfig(
            load(service, arrivals),
            workers=workers,
            scheduler=SchedulerSettings(max_buffer=0, reconcile_interval_s=1000.0, lease_ttl_s=3000.0),
            worker=WorkerSettings(slots=slots, lease_ttl_s=3000.0),
            values=FREE,
            limit_s=1e6,
            sample_interval_s=1000.0,
        )
    )
    assert result.unfinished == 0
    columns = [("submitted", 0), ("executed", 0), ("executed", 1), ("observed", 0)]
    return Run(np.array(arrivals), service, *(column(result, kind, number) for kind, number in columns))


def column(result: SimResult, kind: str, number: int) -> NDArray[np.float64]:
    found = moments(result, kind, number)
    assert len(found) == TASKS
    return np.array([found[task_id] for task_id in sorted(found)])


def expected_wait_s(law: str, servers: int) -> float:
    rate = RATE_PER_SLOT * servers
    match law:
        case "M":
            return closed_forms.mmc_wait_s(servers, rate, 1.0)
        case "G":
            return closed_forms.mg1_wait_s(rate, 1.0, LOGNORMAL.std())
        case _:
            return closed_forms.mdc_wait_s(servers, rate, 1.0)


@pytest.mark.parametrize(
    ("law", "workers", "slots"),
    [("M", 1, 1), ("M", 2, 2), ("G", 1, 1), ("D", 2, 2)],
    ids=["M/M/1", "M/M/4", "M/G/1", "M/D/4"],
)
def test_mean_wait(law: str, workers: int, slots: int) -> None:
    means = [float(np.mean(run(law, workers, slots, seed).waits[WARM_UP:])) for seed in range(REPLICATIONS)]
    assert_within(means, expected_wait_s(law, workers * slots), 0.5)


@pytest.mark.parametrize("law", ["M", "G"])
def test_each_wait_before_one_slot_is_lindleys(law: str) -> None:
    """To the last task: nothing is served out of turn, and no moment is lost between two tasks."""
    one = run(law, 1, 1, 0)
    assert one.waits == pytest.approx(closed_forms.lindley_waits_s(one.arrived, one.service), abs=1e-6)


@pytest.mark.parametrize("law", ["M", "D"])
def test_each_wait_before_four_slots_is_that_of_one_queue(law: str) -> None:
    one = run(law, 2, 2, 0)
    assert one.waits == pytest.approx(closed_forms.one_queue_waits_s(4, one.arrived, one.service), abs=1e-6)


# --- Little's law ---


@pytest.fixture
def stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], float]]:
    """Watches the store of a run. Gives, for a kind of key, how many there were, integrated over time."""
    areas: dict[str, list[float]] = {}
    counts: dict[str, int] = {}
    since: dict[str, float] = {}
    apply = MemoryKv.apply

    def count(kind: str, by: int, now_s: float) -> None:
        areas.setdefault(kind, []).append(counts.get(kind, 0) * (now_s - since.get(kind, 0.0)))
        counts[kind] = counts.get(kind, 0) + by
        since[kind] = now_s

    def watched(self: MemoryKv, request: EtcdRequest, now_s: float) -> Response:
        answer = apply(self, request, now_s)
        if isinstance(request, Txn) and isinstance(answer, TxnDone) and answer.succeeded:
            for operation in request.then:
                if isinstance(operation, Put | Delete):
                    kind = operation.key.partition("/")[0]
                    by = 1 if isinstance(operation, Put) else -1
                    count(kind, by, now_s)
                    if kind in ("task", "done"):
                        count("inside", 1 if kind == "task" else -1, now_s)
        return answer

    monkeypatch.setattr(MemoryKv, "apply", watched)
    yield lambda kind: math.fsum(areas[kind])
    assert counts["task"] == counts["done"] == TASKS
    assert counts["ready"] == counts["run"] == 0


def test_littles_law_holds_exactly_for_the_whole_system(stays: Callable[[str], float]) -> None:
    """Mean number in a place = arrival rate x mean time there: the numbers from the store, the times from the traces.

    For the time until a slot, in a slot, and from submit to the end.
    """
    one = run.__wrapped__("M", 2, 2, 77)
    seconds = float(one.observed.max())
    rate_per_s = TASKS / seconds
    waiting, running, inside = (stays(kind) / seconds for kind in ("ready", "run", "inside"))
    assert waiting == pytest.approx(rate_per_s * np.mean(one.started - one.submitted), rel=1e-12)
    assert running == pytest.approx(rate_per_s * np.mean(one.finished - one.started), rel=1e-12)
    assert inside == pytest.approx(rate_per_s * np.mean(one.observed - one.submitted), rel=1e-12)
