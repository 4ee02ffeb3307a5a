"""Predictors that cost nothing: what a person would write on the back of an envelope, and the model must beat.

- **slot bound**: slots are always busy, or the load is what is offered; all else takes no time. It knows the wait for
  a slot in a burst, and nothing of latency under an open load.
- **M/M/c**: Poisson arrivals, exponential service, c slots: Erlang's C and the exponential wait behind it. For open
  loads below saturation.
- **constant latency**: every write takes what a put took on an idle etcd before the run: a task is written three times
  on its way (submitted, assigned, committed), two of them before it starts. A slot is busy for the service time and
  those two writes that it waits for (commit, assignment). A dead worker is noticed when its lease expires.

Makespan and throughput count like `experiments.metrics`: from the first task due to the last one known to have ended.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from experiments.schema import Burst, ConstantRate, Poisson, Scenario
from experiments.validation.observed import RECOVERY
from experiments.workload import Workload

Predictor = Literal["slot bound", "M/M/c", "constant latency"]
PREDICTORS: tuple[Predictor, ...] = ("slot bound", "M/M/c", "constant latency")
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
LEAST = 1e-300
"""A probability of waiting that underflows to 0 has no logarithm."""
WRITES, WRITES_BEFORE_START, WRITES_OF_SLOT = 3, 2, 2


@dataclass(frozen=True, slots=True)
class Offered:
    """The load that was drawn, over all repetitions (seconds, tasks a second)."""

    tasks: float
    last_s: float
    """When the last task is due."""
    service_s: float
    service_cv: float
    rate_per_s: float | None
    """None for a burst."""
    slots: int

    @property
    def utilisation(self) -> float | None:
        return None if self.rate_per_s is None else self.rate_per_s * self.service_s / self.slots


def offered(one: Scenario, loads: Sequence[Workload]) -> Offered:
    service = np.concatenate([load.service_s for load in loads])
    mean = float(service.mean())
    last_s = float(np.mean([np.nan_to_num(load.intended_s).max() for load in loads]))
    tasks = float(np.mean([len(load) for load in loads]))
    match one.workload.arrivals:
        case Poisson(rate_per_s=rate) | ConstantRate(rate_per_s=rate):
            known: float | None = rate
        case Burst():
            known = None
        case _:
            known = tasks / last_s if last_s > 0 else None
    return Offered(
        tasks=tasks,
        last_s=last_s,
        service_s=mean,
        service_cv=float(service.std()) / mean if mean > 0 else 0.0,
        rate_per_s=known,
        slots=one.topology.workers * one.topology.slots,
    )


def predict(one: Scenario, load: Offered, put_s: float | None) -> dict[Predictor, dict[str, float]]:
    """Each predictor's figures, by the keys of `metrics.json`; what it does not know is not there."""
    found: dict[Predictor, dict[str, float]] = {"slot bound": _slots(load, load.service_s)}
    if (waits := _erlang(load)) is not None and load.rate_per_s is not None:
        found["M/M/c"] = _open(load, load.rate_per_s) | _waits(waits)
    if put_s is not None:
        found["constant latency"] = _constant(one, load, put_s)
    return found


def _slots(load: Offered, busy_s: float) -> dict[str, float]:
    """Throughput where a task keeps its slot for `busy_s`, and in a burst the wait for it."""
    capacity = load.slots / busy_s if busy_s > 0 else math.inf
    if load.rate_per_s is not None:
        return _open(load, min(load.rate_per_s, capacity))
    if math.isinf(capacity):
        return {}
    makespan_s = load.tasks / capacity
    waits = {name: max(share * makespan_s - busy_s, 0.0) for name, share in SHARES.items()}
    return {
        "makespan_s": makespan_s,
        "throughput_per_s": capacity,
        "steady_throughput_per_s": capacity,
        **_waits(waits),
    }


def _open(load: Offered, rate_per_s: float) -> dict[str, float]:
    makespan_s = max(load.last_s, load.tasks / rate_per_s) + load.service_s
    return {
        "makespan_s": makespan_s,
        "throughput_per_s": load.tasks / makespan_s,
        "steady_throughput_per_s": rate_per_s,
    }


def _waits(waits: dict[str, float], before_start_s: float = 0.0, whole_s: float = 0.0) -> dict[str, float]:
    figures = {f"latency_s.dispatch.{name}": wait + before_start_s for name, wait in waits.items()}
    return figures | {f"latency_s.overhead.{name}": wait + whole_s for name, wait in waits.items()}


def erlang_c(servers: int, offered_load: float) -> float:
    """The probability of waiting in M/M/c; `offered_load` = arrival rate x mean service time, below `servers`."""
    full = float(stats.poisson.pmf(servers, offered_load))
    below = float(stats.poisson.cdf(servers - 1, offered_load))
    return full / (full + (1 - offered_load / servers) * below)


def _erlang(load: Offered) -> dict[str, float] | None:
    """Quantiles of the wait: P(W > t) = C exp(-(c - a) t / s)."""
    if load.rate_per_s is None or load.service_s == 0:
        return None
    work = load.rate_per_s * load.service_s
    if work >= load.slots:
        return None
    waiting = erlang_c(load.slots, work)
    pace_s = load.service_s / (load.slots - work)
    return {name: max(math.log(max(waiting, LEAST) / (1 - share)), 0.0) * pace_s for name, share in SHARES.items()}


def _constant(one: Scenario, load: Offered, put_s: float) -> dict[str, float]:
    figures = _slots(load, load.service_s + WRITES_OF_SLOT * put_s)
    if load.rate_per_s is not None:
        figures |= _waits(dict.fromkeys(SHARES, 0.0), WRITES_BEFORE_START * put_s, WRITES * put_s)
    if any(fault.kind == "host_kill" for fault in one.faults):
        figures[RECOVERY] = one.topology.lease_ttl_s
    return figures
