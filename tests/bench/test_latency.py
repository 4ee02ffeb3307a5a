"""How long a caller waits, beside bare etcd puts in the same run, taken in turns."""

import statistics
import threading
import time
from typing import Any

import numpy as np
import pytest

from core.client import Client
from core.etcd.store import EtcdStore
from core.handle import Handle
from tests.bench.figures import Ledger
from tests.bench.meters import System, put_s, task_bytes

SAMPLES, WARM_UP, PARTS = 300, 20, 5
GAP_S = 0.01
"""Between idle submits, so that nothing of the last one is still under way."""
BLOCK, BLOCKS = 100, 10
THREADS, EACH = 100, 10

pytestmark = pytest.mark.timeout(300)


def test_idle_submit_to_start(benchmark: Any, system: System, ledger: Ledger) -> None:
    """One task at a time on an idle system, a bare put after each; both ends on this host's clock."""
    starts_s: list[float] = []
    puts_s: list[float] = []
    size = task_bytes()

    def one() -> None:
        called = time.time()
        outcome = system.client.submit("echo").outcome(timeout_s=10)
        starts_s.append(outcome.started_at - called)
        time.sleep(GAP_S)
        puts_s.append(put_s(system.puts, size))
        time.sleep(GAP_S)

    benchmark.pedantic(one, rounds=SAMPLES, warmup_rounds=WARM_UP)
    starts, puts = np.array(starts_s[WARM_UP:]) * 1e3, np.array(puts_s[WARM_UP:]) * 1e3
    start, put, worst = float(np.median(starts)), float(np.median(puts)), float(np.quantile(starts, 0.99))
    parts = list(zip(np.array_split(starts, PARTS), np.array_split(puts, PARTS), strict=True))
    less_puts = [float(np.median(some) - 2 * np.median(bare)) for some, bare in parts]
    ledger.figure("start", less_puts, value=start - 2 * put, count=SAMPLES)
    ledger.figure("start_p50", [float(np.median(some)) for some, _ in parts], value=start, count=SAMPLES)
    ledger.figure("put_p50", [float(np.median(bare)) for _, bare in parts], value=put, count=SAMPLES)
    tails = [float(np.quantile(some, 0.99) / np.median(some)) for some, _ in parts]
    ledger.figure("start_tail", tails, value=worst / start, count=SAMPLES)
    ledger.ratio("start_over_two_puts", start / (2 * put))
    ledger.ratio("start_p99_over_p50", worst / start)
    benchmark.extra_info.update(start_p50_ms=start, start_p99_ms=worst, put_p50_ms=put)


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


def test_100_threads_of_10_submits_that_wait(benchmark: Any, system: System, ledger: Ledger) -> None:
    """From the moment that lets all threads go to the last acknowledgement."""
    size = task_bytes()
    spans_s: list[float] = []
    puts_per_s: list[float] = []

    def run() -> None:
        handles: list[list[Handle]] = [[] for _ in range(THREADS)]
        began: list[float] = []
        gate = threading.Barrier(THREADS, action=lambda: began.append(time.perf_counter()))
        ended = [0.0] * THREADS

        def submit(number: int) -> None:
            gate.wait()
            handles[number] += [system.client.submit("echo", timeout_s=30) for _ in range(EACH)]
            ended[number] = time.perf_counter()

        threads = [threading.Thread(target=submit, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spans_s.append(max(ended) - began[0])
        for handle in (one for some in handles for one in some):
            handle.result(timeout_s=30)
        assert sum(map(len, handles)) == THREADS * EACH  # a thread that failed submitted less
        started = time.perf_counter()
        for _ in range(BLOCK):
            put_s(system.puts, size)
        puts_per_s.append(BLOCK / (time.perf_counter() - started))

    benchmark.pedantic(run, rounds=7, warmup_rounds=1)
    ledger.figure("threads", spans_s[1:])
    rate = THREADS * EACH / statistics.median(spans_s[1:])
    ledger.ratio("threads_over_puts", rate / statistics.median(puts_per_s[1:]))
