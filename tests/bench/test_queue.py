"""Putting tasks into the queue and taking them out: one at a time, in batches, and by many at once.

An operation is a whole one, from the call of `submit` to the start of the handler in a worker: an acknowledged write,
its way to the scheduler, the assignment (another write) and its way to a slot. A bare etcd put is measured beside it.

What `extra_info` of each benchmark holds is said in `experiments.benchmarks`.
"""

import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import numpy as np
import pytest

from core.client import Client
from core.etcd.embedded import EmbeddedEtcd
from core.handle import Handle
from experiments import trace
from experiments.components import Components
from experiments.schema import Topology
from tests.bench.figures import Ledger
from tests.bench.meters import System, batched_puts_per_s, put_s, task_bytes

SAMPLES, WARM_UP, PARTS = 300, 20, 5
GAP_S = 0.01
"""Between idle operations, so that nothing of the last one is still under way."""
BATCH, BATCHES = 100, 30
THREADS, EACH, ROUNDS = 100, 10, 7
WAITING, CONSUMERS, DRAINS = 100, 10, 10
PUTS = 100

pytestmark = pytest.mark.timeout(300)


def quantiles(seconds: Sequence[float], prefix: str = "") -> dict[str, float]:
    p50, p99 = np.quantile(seconds, (0.5, 0.99))
    return {f"{prefix}p50_s": float(p50), f"{prefix}p99_s": float(p99)}


def test_one_operation(benchmark: Any, system: System, ledger: Ledger) -> None:
    """One task at a time on an idle system, a bare put after each; both ends on this host's clock."""
    enqueues_s: list[float] = []
    starts_s: list[float] = []
    puts_s: list[float] = []
    size = task_bytes()

    def one() -> None:
        called, before = time.time(), time.perf_counter()
        handle = system.client.submit("echo")
        enqueues_s.append(time.perf_counter() - before)
        starts_s.append(handle.outcome(timeout_s=10).started_at - called)
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
    benchmark.extra_info.update(
        claims=["QUE-1"],
        n=SAMPLES,
        rate_per_s=1e3 / start,
        **quantiles(starts_s[WARM_UP:]),
        **quantiles(enqueues_s[WARM_UP:], "enqueue_"),
        **quantiles(puts_s[WARM_UP:], "put_"),
    )


def test_batch_of_100_operations(benchmark: Any, system: System, ledger: Ledger) -> None:
    """100 tasks by one call on an idle system, from the call to the last start; bare puts in batches beside it."""
    spans_s: list[float] = []
    enqueues_s: list[float] = []

    def batch() -> None:
        called, before = time.time(), time.perf_counter()
        handles = system.client.submit_many("echo", [None] * BATCH)
        enqueues_s.append(time.perf_counter() - before)
        spans_s.append(max(handle.outcome(timeout_s=10).started_at for handle in handles) - called)
        time.sleep(GAP_S)

    benchmark.pedantic(batch, rounds=BATCHES, warmup_rounds=WARM_UP // 4)
    puts_per_s = statistics.median(batched_puts_per_s(system.puts) for _ in range(3))
    each_s = [span_s / BATCH for span_s in spans_s[-BATCHES:]]
    ledger.figure("batch", [1e3 * seconds for seconds in each_s])
    benchmark.extra_info.update(
        claims=["QUE-1"],
        n=BATCHES,
        tasks=BATCH,
        rate_per_s=1 / statistics.median(each_s),
        **quantiles(each_s),
        **quantiles(enqueues_s[-BATCHES:], "enqueue_batch_"),
        put_rate_per_s=puts_per_s,
    )


def test_100_threads_of_10_submits_that_wait(benchmark: Any, system: System, ledger: Ledger) -> None:
    """From the moment that lets all threads go to the last acknowledgement, and to the start of the last task."""
    size = task_bytes()
    spans_s: list[float] = []
    operations_s: list[float] = []
    puts_per_s: list[float] = []

    def run() -> None:
        handles: list[list[Handle]] = [[] for _ in range(THREADS)]
        began: list[tuple[float, float]] = []
        gate = threading.Barrier(THREADS, action=lambda: began.append((time.perf_counter(), time.time())))
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
        spans_s.append(max(ended) - began[0][0])
        outcomes = [one.outcome(timeout_s=30) for some in handles for one in some]
        operations_s.append(max(outcome.started_at for outcome in outcomes) - began[0][1])
        assert len(outcomes) == THREADS * EACH  # a thread that failed submitted less
        started = time.perf_counter()
        for _ in range(PUTS):
            put_s(system.puts, size)
        puts_per_s.append(PUTS / (time.perf_counter() - started))

    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=1)
    spans, operations, tasks = spans_s[1:], operations_s[1:], THREADS * EACH
    ledger.figure("threads", spans)
    rate = tasks / statistics.median(spans)
    ledger.ratio("threads_over_puts", rate / statistics.median(puts_per_s[1:]))
    benchmark.extra_info.update(
        claims=["QUE-1", "QUE-2"],
        n=ROUNDS,
        tasks=tasks,
        threads=THREADS,
        rate_per_s=rate,
        operations_per_s=tasks / statistics.median(operations),
        put_rate_per_s=statistics.median(puts_per_s[1:]),
        **quantiles(spans),
        **quantiles(operations, "operations_"),
    )


def test_100_waiting_tasks_taken_by_10_slots(benchmark: Any, etcd: EmbeddedEtcd, ledger: Ledger) -> None:
    """The scheduler is stopped while the tasks are submitted. From when it goes on to the start of the last one.

    The slots are those of one worker. Afterwards its stamps are counted: each task must have run exactly once.
    """
    endpoints, namespace = ",".join(etcd.endpoints), "/bench-drain/"
    taken: list[Handle] = []
    spans_s: list[float] = []
    with (
        Components(Topology(workers=1, slots=CONSUMERS), endpoints, namespace) as components,
        Client(endpoints, namespace=namespace) as client,
    ):
        components.start_all()
        components.wait_registered()
        client.submit("echo").result(timeout_s=30)

        def fill() -> tuple[tuple[list[Handle]], dict[str, Any]]:
            components.signal("scheduler-1", SIGSTOP)
            handles = client.submit_many("echo", [None] * WAITING)
            taken.extend(handles)
            return (handles,), {}

        def drain(handles: list[Handle]) -> None:
            began = time.time()
            components.signal("scheduler-1", SIGCONT)
            spans_s.append(max(handle.outcome(timeout_s=30).started_at for handle in handles) - began)

        benchmark.pedantic(drain, setup=fill, rounds=DRAINS, warmup_rounds=1)
        components.drain()
        runs = executions(components.trace_dir)
    twice = sum(runs[handle.id] > 1 for handle in taken)
    never = sum(runs[handle.id] == 0 for handle in taken)
    ledger.figure("taken", spans_s[-DRAINS:])
    benchmark.extra_info.update(
        claims=["QUE-3"],
        n=DRAINS,
        tasks=WAITING,
        slots=CONSUMERS,
        executed_twice=twice,
        never_executed=never,
        rate_per_s=WAITING / statistics.median(spans_s[-DRAINS:]),
        **quantiles(spans_s[-DRAINS:]),
    )
    assert (twice, never) == (0, 0)


def executions(trace_dir: Path) -> Counter[str]:
    """How often the handler of each task has run, by the workers' stamps."""
    batches = [batch for path in trace_dir.glob(f"worker-*{trace.SPOOL_SUFFIX}") for batch in trace.read_spool(path)]
    return Counter(task_id for batch in batches if batch.kind == "executed" for task_id, *_ in batch.rows)
