"""How long a caller waits, beside bare etcd puts in the same run, taken in turns."""

import statistics
import time
from typing import Any

import pytest

from core.client import Client
from core.etcd.store import EtcdStore
from tests.bench.figures import Ledger
from tests.bench.meters import System, put_s, task_bytes

BLOCK, BLOCKS = 100, 10

pytestmark = pytest.mark.timeout(300)


def test_1000_submits_that_wait_in_turn_with_1000_bare_puts(benchmark: Any, system: System, ledger: Ledger) -> None:
    """One thread. The tasks run meanwhile; the puts of a block begin when the last of them has ended."""
    ratios = _submits_over_puts(benchmark, system.client, system.puts, run=True)
    ledger.figure("waiting", ratios, count=BLOCK * BLOCKS)
    ledger.ratio("waiting_over_puts", statistics.median(ratios))


def test_1000_submits_that_wait_with_nobody_working(
    benchmark: Any, lone: tuple[Client, EtcdStore], ledger: Ledger
) -> None:
    """The same without a scheduler and workers, which sync writes of their own meanwhile."""
    client, puts = lone
    ratios = _submits_over_puts(benchmark, client, puts, run=False)
    ledger.figure("waiting_alone", ratios, count=BLOCK * BLOCKS)
    ledger.ratio("waiting_alone_over_puts", statistics.median(ratios))


def _submits_over_puts(benchmark: Any, client: Client, puts: EtcdStore, *, run: bool) -> list[float]:
    """Rate over rate, for each pair of blocks."""
    size = task_bytes()
    ratios: list[float] = []

    def block() -> None:
        started = time.perf_counter()
        handles = [client.submit("echo") for _ in range(BLOCK)]
        submits_s = time.perf_counter() - started
        for handle in handles if run else ():
            handle.result(timeout_s=30)
        started = time.perf_counter()
        for _ in range(BLOCK):
            put_s(puts, size)
        ratios.append((time.perf_counter() - started) / submits_s)

    benchmark.pedantic(block, rounds=BLOCKS, warmup_rounds=1)
    return ratios[1:]
