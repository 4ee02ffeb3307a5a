"""Watch mode against the slots' bound (polling has its own file), and the executor's slots."""

import numpy as np

from core.settings import WorkerSettings
from sim.config import SimConfig
from sim.run import simulate
from tests.sim.model import load, moments


def test_watch_mode_reaches_the_slot_bound() -> None:
    """3 x 10 slots, tasks of 1 s, ten rounds: at least 97 % of 30 tasks/s, from the first submit to the last end."""
    count = 300
    result = simulate(SimConfig(load([1.0] * count)))
    assert result.unfinished == 0
    assert count / (result.end_s - result.start_s) >= 0.97 * 30


def test_executor_never_exceeds_its_slots_and_counts_its_time() -> None:
    result = simulate(SimConfig(load([0.2] * 60), workers=2, worker=WorkerSettings(slots=3), check=True))
    started, finished = moments(result, "executed", 0), moments(result, "executed", 1)
    edges = sorted([(at, 1) for at in started.values()] + [(at, -1) for at in finished.values()])
    running = np.cumsum([step for _, step in edges])
    assert running.max() == 6
    assert all(finished[one] - started[one] >= 0.2 for one in started)
