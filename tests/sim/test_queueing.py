"""The model against closed forms, before it is compared with anything real.

Replications are independent and seeded; the closed form must lie in the 99 % interval of their means.
"""

import math

import numpy as np
import pytest

from core.kv.requests import Put, Txn
from core.model import SchedulerRecord
from core.settings import SchedulerSettings, WorkerSettings
from sim.config import SimConfig
from sim.etcd.station import EtcdStation
from sim.host import Host, Process
from sim.kernel import Kernel, call_in
from sim.parameters import Values
from sim.run import simulate
from sim.streams import Stream
from tests.sim.model import FREE, interval, load, moments, poisson

REPLICATIONS = 12
WARM_UP = 300


def erlang_c(servers: int, offered: float) -> float:
    """Probability of waiting in M/M/c."""
    head = sum(offered**k / math.factorial(k) for k in range(servers))
    tail = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return tail / (head + tail)


def mm_wait_s(servers: int, rate_per_s: float, mean_s: float) -> float:
    return erlang_c(servers, rate_per_s * mean_s) * mean_s / (servers - rate_per_s * mean_s)


def processor_waits(seed: int, servers: int, rate_per_s: float, costs: list[float]) -> list[float]:
    """Waits of jobs for a host's cores (each job a process of its own) or, with one server, for one process."""
    kernel = Kernel()
    host = Host(kernel, servers)
    single = Process(host, "single", FREE)
    waits: list[float] = []

    def begin(arrived: float, cost_s: float) -> float:
        waits.append(kernel.now - arrived)
        return cost_s

    def arrive(cost_s: float) -> None:
        process = single if servers == 1 else Process(host, "one", FREE)
        process.execute(begin, lambda: None, kernel.now, cost_s)

    for at, cost_s in zip(poisson(seed, len(costs), rate_per_s), costs, strict=True):
        call_in(kernel, at, arrive, cost_s)
    kernel.run()
    return waits


@pytest.mark.parametrize(("servers", "load_factor"), [(1, 0.5), (1, 0.8), (3, 0.8)])
def test_processors_are_mmc(servers: int, load_factor: float) -> None:
    rate = load_factor * servers
    means = []
    for seed in range(REPLICATIONS):
        costs = np.random.default_rng(1000 + seed).exponential(1.0, 6000).tolist()
        means.append(float(np.mean(processor_waits(seed, servers, rate, costs)[WARM_UP:])))
    low, high = interval(means)
    assert low <= mm_wait_s(servers, rate, 1.0) <= high


def test_processor_with_constant_jobs_is_md1() -> None:
    rate = 0.7
    means = [float(np.mean(processor_waits(seed, 1, rate, [1.0] * 6000)[WARM_UP:])) for seed in range(REPLICATIONS)]
    low, high = interval(means)
    assert low <= rate / (2 * (1 - rate)) <= high


@pytest.mark.parametrize(
    ("workers", "slots", "constant"), [(1, 1, False), (2, 2, False), (1, 1, True)], ids=["M/M/1", "M/M/4", "M/D/1"]
)
def test_whole_system_without_overhead_is_its_slots(workers: int, slots: int, constant: bool) -> None:
    """Scheduler, etcd and workers at no cost, no buffer: what remains is one queue before all slots."""
    servers = workers * slots
    rate = 0.7 * servers
    means = []
    for seed in range(REPLICATIONS):
        count = 1500
        rng = np.random.default_rng(seed)
        service = np.ones(count) if constant else rng.exponential(1.0, count)
        tasks = load(service, poisson(2000 + seed, count, rate))
        result = simulate(
            SimConfig(
                tasks,
                workers=workers,
                scheduler=SchedulerSettings(max_buffer=0, reconcile_interval_s=1000.0),
                worker=WorkerSettings(slots=slots, lease_ttl_s=3000.0),
                values=FREE,
                limit_s=1e6,
                sample_interval_s=1000.0,
            )
        )
        started = moments(result, "executed")
        waits = [started[spec.id] - due for spec, due in zip(tasks.specs, tasks.intended_s, strict=True)]
        means.append(float(np.mean(waits[WARM_UP:])))
    low, high = interval(means)
    expected = 0.7 / (2 * 0.3) if constant else mm_wait_s(servers, rate, 1.0)
    assert low <= expected <= high


def test_littles_law_holds_exactly_at_the_etcd_station() -> None:
    kernel = Kernel()
    station = EtcdStation(kernel, Host(kernel, 2), Values(), Stream(1, "fsync"), Stream(1, "kill"))
    sojourn_s: list[float] = []
    area = 0.0
    inside = 0
    last = 0.0

    def change(by: int) -> None:
        nonlocal area, inside, last
        area += inside * (kernel.now - last)
        inside, last = inside + by, kernel.now

    def arrive(number: int) -> None:
        at = kernel.now
        change(1)

        def reply(_: object) -> None:
            sojourn_s.append(kernel.now - at)
            change(-1)

        station.request(Txn((), (Put(f"task/{number}", SchedulerRecord("x")),)), reply)

    arrivals = poisson(7, 3000, 3000.0)
    for number, at in enumerate(arrivals):
        call_in(kernel, at, arrive, number)
    kernel.run(until=arrivals[-1] + 5.0)
    assert len(sojourn_s) == 3000
    assert inside == 0
    assert area == pytest.approx(sum(sojourn_s), rel=1e-12)
    assert station.fsyncs < 3000  # writes that came together went to disk together


def test_scheduler_poll_waits_are_the_residual_of_the_interval() -> None:
    """A random arrival waits for the next tick of a 100 ms grid: 50 ms on average, never longer than 100 ms."""
    means = []
    for seed in range(REPLICATIONS):
        count = 400
        tasks = load([0.0] * count, poisson(seed, count, 20.0))
        result = simulate(
            SimConfig(
                tasks,
                scheduler=SchedulerSettings(dispatch="poll", poll_interval_s=0.1),
                worker=WorkerSettings(dispatch="poll", poll_interval_s=0.5, slots=100),
                values=FREE,
            )
        )
        sent = moments(result, "assigned")
        waits = [sent[spec.id] - due for spec, due in zip(tasks.specs, tasks.intended_s, strict=True)]
        assert max(waits) <= 0.1 + 1e-9
        means.append(float(np.mean(waits)))
    low, high = interval(means)
    assert low <= 0.05 <= high
