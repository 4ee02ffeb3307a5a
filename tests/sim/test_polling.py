"""Polling against what can be worked out: residual waits, the phase-locked cycle, the cycle of random services.

Fixed-rate ticks come every d. With a delay they come d after the end of the last poll, which takes p: every d + p.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from core.settings import SchedulerSettings, Ticker, WorkerSettings
from sim.component import Component
from sim.config import SimConfig, SimResult
from sim.parameters import Values
from sim.run import simulate
from tests.sim import closed_forms
from tests.sim.model import FREE, Numbers, assert_within, free, load, moments, places, poisson_within

REPLICATIONS = 8
TASKS = 250
TICK_S = 0.5
SCHEDULER_TICK_S = 0.1
LOGNORMAL = stats.lognorm(s=0.5, scale=0.8)
UNIFORM = stats.uniform(0.5, 2 * TICK_S)
"""Over whole intervals: whatever the phase, the rest of the interval is uniform."""
TICKERS: list[Ticker] = ["rate", "delay"]


@pytest.fixture
def random_phases(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Components start at random moments of the first interval, so that their ticks have nothing in common."""
    start = Component.start

    def seeded(seed: int) -> None:
        rng = np.random.default_rng(seed)

        def late(self: Component, delay_s: float | None = None) -> None:
            start(self, float(rng.uniform(0.0, TICK_S)) if delay_s == 0.0 else delay_s)

        monkeypatch.setattr(Component, "start", late)

    return seeded


def poll(
    service: Numbers, workers: int, slots: int, ticker: Ticker, values: Values = FREE, arrivals: Numbers | None = None
) -> SimResult:
    result = simulate(
        SimConfig(
            load(service, arrivals),
            workers=workers,
            scheduler=SchedulerSettings(
                dispatch="poll",
                poll_interval_s=SCHEDULER_TICK_S,
                ticker=ticker,
                lease_ttl_s=3000.0,
                window=64,  # so that a long backlog is not listed at each tick
            ),
            worker=WorkerSettings(
                dispatch="poll", poll_interval_s=TICK_S, ticker=ticker, slots=slots, lease_ttl_s=3000.0
            ),
            values=values,
            sample_interval_s=100.0,
        )
    )
    assert result.unfinished == 0
    return result


def refills(result: SimResult) -> list[float]:
    """Of workers with one slot: from the end of each task to the coming of the next."""
    where, received, finished = places(result, "received"), moments(result, "received"), moments(result, "executed", 1)
    by_worker: dict[str, list[str]] = defaultdict(list)
    for task_id in sorted(received, key=received.__getitem__):
        by_worker[where[task_id]].append(task_id)
    return [received[b] - finished[a] for ids in by_worker.values() for a, b in itertools.pairwise(ids)]


def test_the_schedulers_residual_wait_is_uniform() -> None:
    """Tasks that come at random wait for the rest of a 100 ms interval."""
    waits: list[float] = []
    means: list[float] = []
    for seed in range(REPLICATIONS):
        arrivals = poisson_within(seed, 400, 20.0)
        sent = moments(poll([0.0] * len(arrivals), 3, 100, "rate", arrivals=arrivals), "assigned")
        mine = [sent[task_id] - due for task_id, due in zip(sorted(sent), arrivals, strict=True)]
        waits += mine
        means.append(float(np.mean(mine)))
    assert min(waits) >= 0.0
    assert max(waits) <= SCHEDULER_TICK_S + 1e-9
    assert stats.kstest(waits, stats.uniform(0.0, SCHEDULER_TICK_S).cdf).pvalue > 0.01
    assert_within(means, SCHEDULER_TICK_S / 2, 0.05)


@pytest.mark.parametrize("ticker", TICKERS)
def test_a_workers_residual_wait_is_uniform(ticker: Ticker, random_phases: Callable[[int], None]) -> None:
    """Workers at random phases, services over whole intervals: a free slot waits for the rest of one, d / 2."""
    waits: list[float] = []
    means: list[float] = []
    for seed in range(REPLICATIONS):
        random_phases(seed)
        service = UNIFORM.rvs(TASKS, random_state=np.random.default_rng(seed))
        mine = refills(poll(service, 5, 1, ticker))
        waits += mine
        means.append(float(np.mean(mine)))
    assert min(waits) >= 0.0
    assert max(waits) <= TICK_S + 1e-9
    assert stats.kstest(waits, stats.uniform(0.0, TICK_S).cdf).pvalue > 0.01
    assert_within(means, TICK_S / 2, 0.05)


def throughput_per_s(result: SimResult, slots: int, rounds: int) -> float:
    """Of whole rounds of all slots, the first and the last left out."""
    times = np.sort(list(moments(result, "executed", 1).values()))
    return float((rounds - 2) * slots / (times[(rounds - 1) * slots] - times[slots]))


@pytest.mark.parametrize(
    ("service_s", "pull_s", "overshoot_s", "ticks"),
    [
        (0.95, 0.02, 0.0, 2),
        (0.97, 0.02, 0.0, 2),
        (0.99, 0.02, 0.0, 3),  # the pull takes it past the second tick
        (0.97, 0.0, 0.04, 3),  # so does a sleep that takes longer
        (1.0, 0.02, 0.0, 3),
        (1.05, 0.02, 0.0, 3),
    ],
)
def test_the_phase_locked_cycle(service_s: float, pull_s: float, overshoot_s: float, ticks: int) -> None:
    """X = W C / (ceil((s + o) / d) d): a task of 1 s misses the tick after two intervals and costs three."""
    workers, slots, rounds = 3, 4, 12
    values = free(network_delay_s=pull_s / 2, sleep_overshoot_s=overshoot_s)
    result = poll([service_s] * (workers * slots * rounds), workers, slots, "rate", values)
    assert ticks == math.ceil((service_s + pull_s + overshoot_s) / TICK_S)
    expected = workers * slots / (ticks * TICK_S)
    assert throughput_per_s(result, workers * slots, rounds) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("service_s", "ticks"), [(0.95, 2), (1.0, 2), (1.01, 2), (1.03, 3), (1.05, 3)])
def test_the_phase_locked_cycle_of_fixed_delays(service_s: float, ticks: int) -> None:
    """The grid moves with the polls: X = W C / (ceil((s + p) / (d + p)) (d + p)), and a task of 1 s makes the tick."""
    workers, slots, rounds, pull_s = 3, 4, 12, 0.02
    result = poll([service_s] * (workers * slots * rounds), workers, slots, "delay", free(network_delay_s=pull_s / 2))
    assert ticks == math.ceil((service_s + pull_s) / (TICK_S + pull_s))
    expected = workers * slots / (ticks * (TICK_S + pull_s))
    assert throughput_per_s(result, workers * slots, rounds) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("ticker", TICKERS)
def test_the_independent_cycle(ticker: Ticker, random_phases: Callable[[int], None]) -> None:
    """Random services at random phases: a slot turns over in E ceil((S + p) / d) d, close to E S + p + d / 2.

    What is left of that without the service is measured: from the end of one task to the coming of the next.
    """
    pull_s = 0.02
    period_s = TICK_S + (pull_s if ticker == "delay" else 0.0)
    means = []
    for seed in range(REPLICATIONS):
        random_phases(seed)
        service = LOGNORMAL.rvs(TASKS, random_state=np.random.default_rng(1000 + seed))
        means.append(float(np.mean(refills(poll(service, 5, 1, ticker, free(network_delay_s=pull_s / 2))))))
    cycle_s = closed_forms.mean_ticks(LOGNORMAL, pull_s, period_s) * period_s
    assert cycle_s == pytest.approx(LOGNORMAL.mean() + pull_s + period_s / 2, rel=0.02)
    assert_within(means, cycle_s - LOGNORMAL.mean(), 0.05)
