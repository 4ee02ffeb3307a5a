"""A long backlog: does the scheduler's memory grow with it, and do its tasks run as fast as those of a short one?

Three systems, one after the other, each with a namespace of its own on the same etcd. In each, the tasks are submitted
while no worker lives; then three workers start and the first `TAKEN` tasks are timed. Only what waits behind differs:
nothing, the backlog, nothing.
"""

import statistics
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest

from core.client import Client, Handle
from core.etcd.embedded import EmbeddedEtcd
from core.model import Outcome
from core.specs import make_spec
from experiments.components import Components
from experiments.schema import Topology
from tests.bench.figures import Ledger
from tests.bench.meters import memory_mb

TAKEN = 100_000
"""Timed, or half of the backlog where that is shorter."""
CHUNK = 10_000
CHUNKS_IN_FLIGHT = 2
CHUNKS_A_CLIENT = 10
"""A client remembers the tasks that it submitted: a new one now and then bounds our memory."""
ACKNOWLEDGE_TIMEOUT_S = 120.0
RUN_TIMEOUT_S = 180.0

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Drained:
    per_s: float
    rss_mb: list[float]
    pss_mb: list[float]
    submit_per_s: float
    taken: int


def test_scheduler_memory_and_drain_rate_with_a_long_backlog(benchmark: Any, ledger: Ledger) -> None:
    """Submits the whole backlog (`--backlog`), which takes a minute for a million tasks."""
    if not ledger.backlog:
        pytest.skip("no long backlog was asked for (--backlog=0)")
    found: list[Drained] = []

    def run() -> None:
        with EmbeddedEtcd() as etcd:
            endpoints = ",".join(etcd.endpoints)
            taken = min(TAKEN, ledger.backlog // 2)
            for number, behind in enumerate((0, ledger.backlog - taken, 0)):
                found.append(_drain(endpoints, f"/backlog-{number}/", taken, behind))

    benchmark.pedantic(run, rounds=1)
    before, long, after = found
    shorts = [before.per_s, after.per_s]
    short = statistics.fmean(shorts)
    ledger.figure("backlog_memory", long.rss_mb, value=max(long.rss_mb))
    ledger.figure("drain", [long.per_s / one for one in shorts], value=long.per_s / short)
    ledger.figure("drain_long", [long.per_s])
    ledger.figure("drain_short", shorts, value=short)
    ledger.ratio("backlog_memory_mb", max(long.rss_mb))
    ledger.ratio("backlog_drain", long.per_s / short)
    ledger.note(
        f"Backlog: submitted at {long.submit_per_s:,.0f} tasks/s while no worker lived. Scheduler, at most: "
        f"{max(long.pss_mb):.0f} MB of its own (PSS); {max(before.rss_mb):.0f} MB resident with "
        f"{before.taken:,} waiting."
    )


def _drain(endpoints: str, namespace: str, taken: int, behind: int) -> Drained:
    """Submit `taken` tasks and then `behind` more; start the workers; time the first `taken`."""
    with Components(Topology(workers=3, slots=10), endpoints, namespace) as components:
        scheduler, *workers = components.names
        components.start(scheduler)
        with Client(endpoints, namespace=namespace) as client:
            started = time.perf_counter()
            handles = client.submit_specs([make_spec("echo") for _ in range(taken)])
            handles[-1].acknowledged(ACKNOWLEDGE_TIMEOUT_S)
            _submit(endpoints, namespace, behind)
            submit_s = time.perf_counter() - started
            memory = [memory_mb(components, scheduler)]
            for worker in workers:
                components.start(worker)
            outcomes: list[Outcome] = []
            for handle in handles:
                outcomes.append(handle.outcome(RUN_TIMEOUT_S))
                if len(outcomes) % 2500 == 0:
                    memory.append(memory_mb(components, scheduler))
            components.check_alive(components.names)
    rss, pss = zip(*memory, strict=True)
    return Drained(_rate(outcomes), list(rss), list(pss), (taken + behind) / submit_s, taken)


def _submit(endpoints: str, namespace: str, count: int) -> None:
    """Submit so many more tasks, whose outcomes nobody waits for, in bounded memory."""
    left = count
    while left:
        with Client(endpoints, namespace=namespace) as client:
            flying: deque[Handle] = deque()
            for _ in range(CHUNKS_A_CLIENT):
                size = min(CHUNK, left)
                if not size:
                    break
                left -= size
                flying.append(client.submit_specs([make_spec("echo") for _ in range(size)], follow=False)[-1])
                if len(flying) == CHUNKS_IN_FLIGHT:
                    flying.popleft().acknowledged(ACKNOWLEDGE_TIMEOUT_S)
            for handle in flying:
                handle.acknowledged(ACKNOWLEDGE_TIMEOUT_S)


def _rate(outcomes: list[Outcome]) -> float:
    """Ends a second, from when the last of the workers is at work to 90 % of the ends (then the short one runs dry)."""
    firsts: dict[str, float] = {}
    for outcome in outcomes:
        firsts[outcome.worker] = min(firsts.get(outcome.worker, outcome.finished_at), outcome.finished_at)
    ends = sorted(outcome.finished_at for outcome in outcomes)
    begin, end = max(firsts.values()), ends[len(ends) * 9 // 10]
    assert begin < end, "a worker came too late to take part"
    return sum(begin < one <= end for one in ends) / (end - begin)
