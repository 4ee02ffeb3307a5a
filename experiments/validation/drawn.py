"""Scenarios drawn at random, which nobody has chosen: a sharper test of the model than a list that one knows.

`scenario(seed, number)` is always the same one. Loads stay below what slots, and two cores, can carry for long (bursts
and closed loads aside), and take some ten seconds.
"""

import math
import random
from collections.abc import Sequence
from typing import Literal

from core.settings import Dispatch, Ticker
from experiments.schema import (
    Arrivals,
    Burst,
    Closed,
    Constant,
    ConstantRate,
    Exponential,
    Fault,
    Lognormal,
    Measure,
    Poisson,
    Scenario,
    Service,
    Topology,
    Uniform,
    Workload,
)

SECONDS = 8.0
"""Tasks arrive for about so long, or a burst takes so long to drain."""
SERVICE_S = (0.005, 1.0)
MOST_PER_S = 300.0
"""More tasks a second than one by one fill two cores."""
BURST_PER_S = 1_000.0
LEAST, MOST = 60, 5_000
"""Tasks."""
BYTES = 60e6
"""Payloads of all tasks together."""
BUSY_CORES = 1.0
"""What handlers that burn CPU time may use, on average."""
PAYLOADS = (1_000, 8_000, 64_000)
Handler = Literal["echo", "sleep", "cpu"]
HANDLERS: tuple[Handler, ...] = ("echo", "echo", "sleep", "cpu")


def scenario(seed: int, number: int) -> Scenario:
    """The `number`th (from 1) of this seed, with one repetition."""
    draw = random.Random(f"{seed}/{number}")
    topology = _topology(draw)
    handler: Handler = draw.choice(HANDLERS)
    mean_s = _log_uniform(draw, *SERVICE_S)
    capacity_per_s = topology.workers * topology.slots / mean_s
    if topology.dispatch == "poll":  # a slot turns over at ticks
        capacity_per_s = min(capacity_per_s, topology.workers * topology.slots / topology.worker_poll_interval_s)
    if handler == "cpu":
        capacity_per_s = min(capacity_per_s, BUSY_CORES / mean_s)
    arrivals, count = _arrivals(draw, topology, capacity_per_s)
    payload_bytes = draw.choice((0, 0, *PAYLOADS))
    return Scenario(
        name=f"random-{seed}-{number}",
        topology=topology,
        workload=Workload(
            arrivals=arrivals,
            count=count,
            handler=handler,
            service=_service(draw, mean_s),
            payload_bytes=int(min(payload_bytes, BYTES / count)),
            priorities=draw.choice(({5: 1.0}, {5: 1.0}, {0: 1.0, 5: 3.0})),
        ),
        faults=_faults(draw, topology),
        measure=Measure(seed=draw.randrange(1, 1_000_000)),
    )


def _log_uniform(draw: random.Random, low: float, high: float) -> float:
    return _rounded(math.exp(draw.uniform(math.log(low), math.log(high))))


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _topology(draw: random.Random) -> Topology:
    dispatch: Dispatch = draw.choice(("watch", "watch", "watch", "poll"))
    ticker: Ticker = draw.choice(("rate", "delay"))
    return Topology(
        schedulers=draw.choice((1, 1, 1, 2)),
        workers=draw.randint(1, 6),
        slots=draw.randint(2, 20),
        dispatch=dispatch,
        scheduler_poll_interval_s=draw.choice((0.05, 0.1, 0.2)),
        worker_poll_interval_s=draw.choice((0.1, 0.25, 0.5)),
        ticker=ticker,
        lease_ttl_s=draw.choice((2.0, 3.0, 5.0)),
        etcd_members=draw.choice((1, 1, 1, 1, 1, 3)),
    )


def _arrivals(draw: random.Random, topology: Topology, capacity_per_s: float) -> tuple[Arrivals, int]:
    """And how many tasks."""
    kind = draw.choice(("burst", "closed", "constant", "poisson", "poisson"))
    if kind == "burst":
        return Burst(), _count(min(capacity_per_s, BURST_PER_S))
    if kind == "closed":
        in_flight = draw.randint(1, 2 * topology.workers * topology.slots)
        share = min(1.0, in_flight / (topology.workers * topology.slots))
        return Closed(in_flight=in_flight), _count(min(share * capacity_per_s, BURST_PER_S))
    rate_per_s = _rounded(min(draw.uniform(0.1, 0.95) * capacity_per_s, MOST_PER_S))
    steady: Arrivals = Poisson(rate_per_s=rate_per_s) if kind == "poisson" else ConstantRate(rate_per_s=rate_per_s)
    return steady, _count(rate_per_s)


def _count(per_s: float) -> int:
    return min(max(round(per_s * SECONDS), LEAST), MOST)


def _service(draw: random.Random, mean_s: float) -> Service:
    kinds: Sequence[Service] = (
        Constant(value_s=mean_s),
        Uniform(low_s=_rounded(mean_s / 2), high_s=_rounded(mean_s * 1.5)),
        Exponential(mean_s=mean_s),
        Lognormal(mean_s=mean_s, sigma=draw.choice((0.5, 1.0))),
    )
    return draw.choice(kinds)


def _faults(draw: random.Random, topology: Topology) -> tuple[Fault, ...]:
    """None in three of four."""
    if draw.random() < 0.75:
        return ()
    worker = f"worker-{draw.randint(1, topology.workers)}"
    at_s, duration_s = _rounded(draw.uniform(1.0, 3.0)), _rounded(draw.uniform(1.0, 4.0))
    kinds = (
        Fault(kind="worker_kill", at_s=at_s, target=worker),
        Fault(kind="host_kill", at_s=at_s, target=worker, duration_s=duration_s),
        Fault(kind="worker_stop", at_s=at_s, target=worker, duration_s=duration_s),
        Fault(kind="worker_drain", at_s=at_s, target=worker, duration_s=duration_s),
        Fault(kind="scheduler_kill", at_s=at_s, target="scheduler-1", duration_s=duration_s),
        Fault(kind="etcd_kill", at_s=at_s, target="etcd-1", duration_s=_rounded(duration_s / 2)),
    )
    return (draw.choice(kinds),)
