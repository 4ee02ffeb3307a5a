"""What the system uses while it has nothing to do."""

import statistics
import time
from typing import Any

import pytest

from tests.bench.figures import Ledger
from tests.bench.meters import System, difference, reference_s

WINDOW_S = 10.0
SETTLE_S = 2.0

pytestmark = pytest.mark.timeout(120)


def test_idle_cpu_over_10_seconds(benchmark: Any, system: System, ledger: Ledger) -> None:
    """Scheduler, workers with their nannies, and etcd; the client is not counted."""
    percents: list[float] = []

    def idle() -> None:
        before = system.cpu_s()
        time.sleep(WINDOW_S)
        used = difference(system.cpu_s(), before)
        percents.append(sum(seconds for name, seconds in used.items() if name != "client") / WINDOW_S * 100)
        benchmark.extra_info["cpu_s"] = used

    time.sleep(SETTLE_S)
    benchmark.pedantic(idle, rounds=2)
    ledger.figure("idle", percents)
    reference = statistics.median(reference_s() for _ in range(5))
    ledger.ratio("idle_over_reference", statistics.median(percents) / 100 / reference)
