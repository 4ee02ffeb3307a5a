"""The Universal Scalability Law through throughputs at different sizes, with a band from the repetitions.

rate(N) = unit N / (1 + sigma (N - 1) + kappa N (N - 1)): sigma is what is done one after the other, kappa what all
must agree on with all. Behind N* = sqrt((1 - sigma) / kappa) more workers make it slower.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from reports.provenance import Known, sources_of
from reports.runs import Scenario, World

Floats = NDArray[np.float64]
MIN_POINTS = 4
"""Three parameters through three points always fit."""
RESAMPLES = 200
SEED = 20_261_125
LEVELS = (2.5, 97.5)
FARTHEST = 10.0
"""A peak further than this many times the last point is not seen in the data at all."""
GRID = 120


@dataclass(frozen=True)
class Fit:
    """The law's parameters as they fit the means, their 95 % bounds where every point was repeated, and the curve."""

    unit_per_s: float
    sigma: float
    kappa: float
    peak: float | None
    """None: not within sight of the data."""
    sigma_bounds: tuple[float, float] | None
    kappa_bounds: tuple[float, float] | None
    n: Floats
    rate_per_s: Floats
    band: tuple[Floats, Floats] | None


def law(n: Floats, unit: float, sigma: float, kappa: float) -> Floats:
    """The rate at each size."""
    return unit * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


def _parameters(n: Floats, rate: Floats) -> tuple[float, float, float] | None:
    """The law is linear in N / rate: least squares without negative parts, weighted as if the rates had the errors."""
    if not (rate > 0).all():
        return None
    weight = rate**2 / n
    columns = np.column_stack([np.ones_like(n), n - 1, n * (n - 1)])
    (first, serial, crosstalk), _ = nnls(columns * weight[:, None], n / rate * weight)
    return (1 / first, serial / first, crosstalk / first) if first > 0 else None


def fit(points: Mapping[int, Sequence[float]]) -> Fit | None:
    """Fit the means of the repetitions at each size; None where the points are too few or nothing fits."""
    sizes = sorted(points)
    if len(sizes) < MIN_POINTS:
        return None
    n = np.array(sizes, dtype=float)
    found = _parameters(n, np.array([np.mean(points[size]) for size in sizes], dtype=float))
    if found is None:
        return None
    unit, sigma, kappa = found
    grid = np.linspace(n[0], n[-1], GRID)
    peak = float(np.sqrt(max(1 - sigma, 0.0) / kappa)) if kappa > 0 else np.inf
    again = _resampled(n, [np.array(points[size], dtype=float) for size in sizes])
    band = _bounds(np.array([law(grid, *each) for each in again])) if again else None
    edges = _bounds(np.array(again)) if again else None
    return Fit(unit, sigma, kappa, peak if peak <= FARTHEST * n[-1] else None, _pair(edges, 1), _pair(edges, 2), grid,
               law(grid, *found), band)  # fmt: skip


def _pair(edges: tuple[Floats, Floats] | None, at: int) -> tuple[float, float] | None:
    return None if edges is None else (float(edges[0][at]), float(edges[1][at]))


def _bounds(values: Floats) -> tuple[Floats, Floats]:
    low, high = np.percentile(values, LEVELS, axis=0)
    return low, high


def _resampled(n: Floats, repetitions: Sequence[Floats]) -> list[tuple[float, float, float]]:
    """The parameters for repetitions drawn anew at each size; none where a size ran once only."""
    if min(len(values) for values in repetitions) < 2:
        return []
    generator = np.random.default_rng(SEED)
    drawn = [
        np.array([generator.choice(values, len(values)).mean() for values in repetitions]) for _ in range(RESAMPLES)
    ]
    return [found for rate in drawn if (found := _parameters(n, rate))]


def repetitions_of(scenarios: Sequence[Scenario], world: World) -> dict[int, list[Known]]:
    """The steady throughput of each repetition by the number of workers."""
    found: dict[int, list[Known]] = {}
    for one in scenarios:
        each: list[Any] = one.each(world, "steady_throughput_per_s")
        if each:
            found[one.workers] = each
    return found


def of_scenarios(scenarios: Sequence[Scenario], world: World) -> tuple[Fit, Known] | None:
    """The fit, and its sigma as a number that knows where all came from."""
    points = repetitions_of(scenarios, world)
    found = fit(points)
    if found is None:
        return None
    return found, Known(found.sigma, *sources_of(*(value for values in points.values() for value in values)))
