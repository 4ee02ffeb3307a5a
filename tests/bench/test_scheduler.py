"""How fast the real scheduler is, on a real etcd that syncs every write.

Method: everything runs on this machine (`cluster`: 1 scheduler, 3 workers x 10). Machines are noisy, so what is
compared is measured in the same run: idle latency beside single etcd puts.
"""

import statistics
import time
from typing import Any

import pytest

from core.client import Client
from core.etcd.embedded import EmbeddedEtcd
from core.etcd.store import EtcdStore
from core.kv.requests import Put, Txn, TxnDone
from core.model import DeadRecord

BURST = 10_000
ROUNDS = 5
SAMPLES = 300
GAP_S = 0.01
"""Between idle submits, so that nothing of the last one is still under way."""

pytestmark = pytest.mark.timeout(300)


def test_burst_of_tasks_without_duration(benchmark: Any, cluster: Client, row: list[tuple[str, str, str]]) -> None:
    """10,000 `echo` through submit_many, from the first submit to the last result; submit alone beside it."""
    submit_s: list[float] = []

    def burst() -> None:
        started = time.perf_counter()
        handles = cluster.submit_many("echo", [None] * BURST)
        submit_s.append(time.perf_counter() - started)
        for handle in handles:
            handle.result(timeout_s=60)

    benchmark.pedantic(burst, rounds=ROUNDS, warmup_rounds=1)
    stats = benchmark.stats["data"]
    rates = sorted(BURST / seconds for seconds in stats)
    benchmark.extra_info["tasks_per_s"] = rates
    row.append((f"burst of {BURST:,} echo, tasks/s", _spread(rates), ">= 3,000"))
    row.append(("submit_many alone, tasks/s", _spread([BURST / seconds for seconds in submit_s[1:]]), ""))


def test_idle_latency(benchmark: Any, cluster: Client, etcd: EmbeddedEtcd, row: list[tuple[str, str, str]]) -> None:
    """Submit to start on an idle system beside single etcd puts, taken in turns; both ends on this host's clock."""
    store = EtcdStore(",".join(etcd.endpoints), "/bench-put/")
    starts_s: list[float] = []
    puts_s: list[float] = []

    def one() -> None:
        called = time.time()
        outcome = cluster.submit("echo").outcome(timeout_s=10)
        starts_s.append(outcome.started_at - called)
        time.sleep(GAP_S)
        started = time.perf_counter()
        answer = store.call(Txn((), (Put("key", DeadRecord("x" * 100)),)))
        puts_s.append(time.perf_counter() - started)
        assert isinstance(answer, TxnDone)
        time.sleep(GAP_S)

    benchmark.pedantic(one, rounds=SAMPLES, warmup_rounds=20)
    store.close()
    starts, puts = sorted(starts_s[20:]), sorted(puts_s[20:])
    start_p50, put_p50 = statistics.median(starts), statistics.median(puts)
    benchmark.extra_info.update(start_p50_s=start_p50, put_p50_s=put_p50, start_p99_s=starts[int(0.99 * len(starts))])
    row.append(("idle submit to start, p50, ms", f"{start_p50 * 1e3:.2f} (n = {len(starts)})", ""))
    row.append(("one etcd put, p50, ms", f"{put_p50 * 1e3:.2f} (n = {len(puts)})", ""))
    row.append(("idle submit to start over one put, p50", f"{start_p50 / put_p50:.2f}", "<= 4"))


def _spread(rates: list[float]) -> str:
    ordered = sorted(rates)
    return f"{statistics.median(ordered):,.0f} ({ordered[0]:,.0f} to {ordered[-1]:,.0f}, n = {len(ordered)})"
