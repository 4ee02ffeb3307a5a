"""What the twin says about the two dispatch modes, against what can be worked out by hand."""

import math

import numpy as np
import pytest

from core.settings import SchedulerSettings, Ticker, WorkerSettings
from sim.config import SimConfig
from sim.run import simulate
from tests.sim.model import load, moments


def steady_throughput_per_s(committed: list[float]) -> float:
    """Between 10 % and 90 % of the commits, whole rounds apart."""
    times = np.sort(committed)
    first, last = len(times) // 10, len(times) * 9 // 10
    return float((last - first) / (times[last] - times[first]))


def test_watch_mode_reaches_the_slot_bound() -> None:
    """3 x 10 slots, tasks of 1 s, ten rounds: at least 97 % of 30 tasks/s, from the first submit to the last end."""
    count = 300
    result = simulate(SimConfig(load([1.0] * count)))
    assert result.unfinished == 0
    assert count / (result.end_s - result.start_s) >= 0.97 * 30


@pytest.mark.parametrize(("service_s", "ticker"), [(0.95, "rate"), (1.0, "rate"), (1.05, "rate"), (1.0, "delay")])
def test_poll_mode_cycles_on_the_workers_ticks(service_s: float, ticker: Ticker) -> None:
    """X = W C / (ceil((s + o) / d) d): a task of 1 s misses the tick after two intervals and costs three."""
    interval_s, slots, rounds = 0.5, 10, 20
    result = simulate(
        SimConfig(
            load([service_s] * slots * rounds),
            workers=1,
            scheduler=SchedulerSettings(dispatch="poll", poll_interval_s=0.1),
            worker=WorkerSettings(dispatch="poll", poll_interval_s=interval_s, slots=slots, ticker=ticker),
        )
    )
    measured = steady_throughput_per_s(list(moments(result, "committed").values()))
    overhead_s = 0.01
    cycle_s = math.ceil((service_s + overhead_s) / interval_s) * interval_s
    if ticker == "rate":
        assert measured == pytest.approx(slots / cycle_s, rel=0.02)
    else:  # the ticks drift by the length of a pull, so a task now and then just makes one
        assert slots / cycle_s <= measured <= slots / service_s


def test_executor_never_exceeds_its_slots_and_counts_its_time() -> None:
    result = simulate(SimConfig(load([0.2] * 60), workers=2, worker=WorkerSettings(slots=3), check=True))
    started, finished = moments(result, "executed", 0), moments(result, "executed", 1)
    edges = sorted([(at, 1) for at in started.values()] + [(at, -1) for at in finished.values()])
    running = np.cumsum([step for _, step in edges])
    assert running.max() == 6
    assert all(finished[one] - started[one] >= 0.2 for one in started)
