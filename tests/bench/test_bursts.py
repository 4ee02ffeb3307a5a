"""How many tasks a second the real system takes and ends, on a real etcd that syncs every write; and at what cost.

Everything runs on this machine. Machines are noisy, so each round is followed by what it is compared with: bare puts
in batches on the same server, and a fixed loop of Python.
"""

import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from core.client import Client
from core.etcd.store import EtcdStore
from tests.bench.figures import Ledger
from tests.bench.meters import PROPOSALS, RECEIVED, SENT, System, batched_puts_per_s, difference, reference_s

BURST = 10_000
ROUNDS = 5
SETTLE_S = 0.3
"""What a burst leaves to be done when its last result is known is part of its cost."""

pytestmark = pytest.mark.timeout(300)


@dataclass
class Costs:
    """What the rounds of a burst cost, and what the same machine did just after each of them."""

    system: System
    rounds: list[dict[str, float]] = field(default_factory=list)
    puts_per_s: list[float] = field(default_factory=list)
    reference_s: list[float] = field(default_factory=list)
    _before: dict[str, float] | None = None

    def between_rounds(self) -> None:
        """Close the last round, measure what it is compared with, open the next one."""
        if self._before is not None:
            time.sleep(SETTLE_S)
            self.rounds.append(difference(self._counters(), self._before))
        self.puts_per_s.append(batched_puts_per_s(self.system.puts))
        self.reference_s.append(reference_s())
        self._before = self._counters()

    def _counters(self) -> dict[str, float]:
        return {**self.system.cpu_s(), **self.system.etcd_counters()}


def test_burst_of_10000_echo_by_submit_many(benchmark: Any, system: System, ledger: Ledger) -> None:
    """From the first submit to the last result; its cost in CPU time, raft proposals and bytes."""
    client, costs = system.client, Costs(system)
    submits_per_s: list[float] = []
    steady_per_s: list[float] = []

    def burst() -> None:
        started = time.perf_counter()
        handles = client.submit_many("echo", [None] * BURST)
        submits_per_s.append(BURST / (time.perf_counter() - started))
        for handle in handles:
            handle.result(timeout_s=60)
        ends = np.quantile([handle.outcome(0).finished_at for handle in handles], (0.1, 0.9))
        steady_per_s.append(0.8 * BURST / float(ends[1] - ends[0]))

    benchmark.pedantic(burst, setup=costs.between_rounds, rounds=ROUNDS, warmup_rounds=1)
    costs.between_rounds()
    rates = [BURST / seconds for seconds in benchmark.stats["data"]]
    ledger.figure("burst", rates)
    ledger.figure("submit_busy", submits_per_s[1:])
    ledger.figure("drain_burst", steady_per_s[1:])
    ledger.ratio("burst_over_puts", statistics.median(rates) / statistics.median(costs.puts_per_s))
    _report_costs(benchmark, costs, ledger)


def _report_costs(benchmark: Any, costs: Costs, ledger: Ledger) -> None:
    rounds = costs.rounds[1:]  # without the warm-up
    names = [name for name in rounds[0] if not name.startswith("etcd_")]
    cpu = [sum(one[name] for name in names) * 1000 / BURST for one in rounds]
    ledger.figure("cpu", cpu)
    ledger.figure("proposals", [one[PROPOSALS] / BURST for one in rounds])
    ledger.ratio("cpu_over_reference", statistics.median(cpu) / statistics.median(costs.reference_s))
    ledger.ratio("proposals_per_task", statistics.median(one[PROPOSALS] / BURST for one in rounds))
    split = {name: statistics.median(one[name] for one in rounds) * 1000 / BURST for name in names}
    sent, received = (statistics.median(one[name] / BURST for one in rounds) for name in (SENT, RECEIVED))
    puts = statistics.median(costs.puts_per_s)
    benchmark.extra_info.update(cpu_s_per_1000=split, etcd_sent_bytes=sent, etcd_received_bytes=received)
    parts = ", ".join(f"{name} {seconds:.3f}" for name, seconds in split.items())
    ledger.note(f"CPU seconds of 1,000 tasks in the first row: {parts} (the nannies start and watch the workers).")
    ledger.note(f"etcd, for a task of the first row: {sent:,.0f} bytes sent, {received:,.0f} received.")
    ledger.note(f"Bare puts in batches, one Python process, after each round of the first row: {puts:,.0f}/s.")


def test_burst_of_10000_echo_by_single_submits(benchmark: Any, system: System, ledger: Ledger) -> None:
    """One thread calls `submit` 10,000 times and does not wait for acknowledgements: the calls share transactions."""
    client = system.client
    puts: list[float] = []

    def burst() -> None:
        handles = [client.submit("echo", wait=False) for _ in range(BURST)]
        for handle in handles:
            handle.result(timeout_s=60)

    def between_rounds() -> None:
        puts.append(batched_puts_per_s(system.puts))

    benchmark.pedantic(burst, setup=between_rounds, rounds=ROUNDS, warmup_rounds=1)
    rates = [BURST / seconds for seconds in benchmark.stats["data"]]
    ledger.figure("single", rates)
    ledger.ratio("single_over_puts", statistics.median(rates) / statistics.median(puts))


def test_submit_many_of_10000_with_nobody_working(
    benchmark: Any, lone: tuple[Client, EtcdStore], ledger: Ledger
) -> None:
    """First call to all acknowledged, on an etcd that nobody else uses."""
    client, store = lone
    puts: list[float] = []

    def submit() -> None:
        client.submit_many("echo", [None] * BURST)

    def between_rounds() -> None:
        puts.append(batched_puts_per_s(store))

    benchmark.pedantic(submit, setup=between_rounds, rounds=ROUNDS, warmup_rounds=1)
    rates = [BURST / seconds for seconds in benchmark.stats["data"]]
    ledger.figure("submit", rates)
    ledger.ratio("submit_over_puts", statistics.median(rates) / statistics.median(puts))


def test_slot_efficiency_at_100_ms_tasks(benchmark: Any, system: System, ledger: Ledger) -> None:
    """The share of the slots' time that was spent in tasks, from 10 % to 90 % of the ends."""
    service_s, slots, tasks = 0.1, 30, 1_500  # 50 full sets of slots
    efficiencies: list[float] = []

    def run() -> None:
        handles = system.client.submit_many("sleep", [{"duration_s": service_s}] * tasks)
        outcomes = [handle.outcome(timeout_s=60) for handle in handles]
        assert Counter(outcome.verdict.value for outcome in outcomes) == {"succeeded": tasks}
        ends = sorted(outcome.finished_at for outcome in outcomes)
        first, last = tasks // 10, tasks * 9 // 10
        efficiencies.append((last - first) * service_s / (slots * (ends[last] - ends[first])))

    benchmark.pedantic(run, rounds=3, warmup_rounds=0)
    ledger.figure("slots", efficiencies)
    ledger.ratio("slot_efficiency", statistics.median(efficiencies))
