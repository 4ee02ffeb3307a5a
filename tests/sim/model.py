"""Small simulated systems for the tests: loads, systems without overhead, and moments out of spools."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from core.model import TaskSpec
from sim.config import Load, SimResult
from sim.parameters import Values

Numbers = Sequence[float] | NDArray[np.float64]

_NOT_COSTS = ("interval_s", "timeout_s")
"""How the names of times end which are no costs: how often something is done, how long somebody waits."""


def free(**named: Any) -> Values:
    """Nothing costs anything but what is named: what is left is the queue. Parameters added later are free as well."""
    numbers: dict[str, Any] = {"cores": 1_000}
    for field in msgspec.structs.fields(Values):
        if isinstance(field.default, tuple):
            numbers[field.name] = ()
        elif isinstance(field.default, float) and not field.name.endswith(_NOT_COSTS):
            numbers[field.name] = 0.0
    return msgspec.convert({**numbers, **named}, Values)


FREE = free()


def load(service_s: Numbers, intended_s: Numbers | None = None) -> Load:
    count = len(service_s)
    specs = [TaskSpec(f"{number:032x}", "echo") for number in range(count)]
    return Load(specs, service_s, intended_s if intended_s is not None else [0.0] * count)


def poisson(seed: int, count: int, rate_per_s: float) -> list[float]:
    times: list[float] = np.cumsum(np.random.default_rng(seed).exponential(1 / rate_per_s, count)).tolist()
    return times


def poisson_within(seed: int, count: int, seconds: float) -> list[float]:
    """A Poisson process of which it is known that `count` arrive in `seconds`: independent, uniform moments."""
    times: list[float] = np.sort(np.random.default_rng(seed).uniform(0.0, seconds, count)).tolist()
    return times


def moments(result: SimResult, kind: str, column: int = 0, *, attempt: int | None = None) -> dict[str, float]:
    """Task id -> moment of its last row of this kind (and attempt), in seconds from the start of the load."""
    return {
        task_id: seconds[column] - result.start_s
        for _, row_kind, rows in result.spool
        if row_kind == kind
        for task_id, of_attempt, seconds in rows
        if attempt in (None, of_attempt)
    }


def places(result: SimResult, kind: str) -> dict[str, str]:
    """Task id -> component that wrote its first row of this kind."""
    found: dict[str, str] = {}
    for component, row_kind, rows in result.spool:
        if row_kind == kind:
            for task_id, _, _ in rows:
                found.setdefault(task_id, component)
    return found


def interval(means: Sequence[float], confidence: float = 0.99) -> tuple[float, float]:
    """Student's interval for the mean of independent replications."""
    low, high = stats.t.interval(confidence, len(means) - 1, loc=np.mean(means), scale=stats.sem(means))
    return float(low), float(high)


def assert_within(means: Sequence[float], expected: float, narrow: float) -> None:
    """`expected` lies in the 99 % interval, which says something: its half is under `narrow` of `expected`."""
    low, high = interval(means)
    assert (high - low) / 2 < narrow * expected, f"{low:.4f} to {high:.4f} says little about {expected:.4f}"
    assert low <= expected <= high, f"{expected:.4f} is not in {low:.4f} to {high:.4f}"
