"""Arrivals and service times fitted to a recorded run.

Arrivals are Poisson when two tests find nothing against it: that the gaps are exponential (Anderson-Darling), and that
the moments are spread evenly over the run (Kolmogorov-Smirnov; this sees a rate that changes). Otherwise the recorded
moments are replayed. Service times: the best of a few distributions where its fit passes such a test, otherwise they
are drawn from those recorded.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from scipy import stats

from experiments.planning.recorded import Recorded, final_rows
from experiments.scenario import ScenarioError
from experiments.schema import (
    Arrivals,
    ArrivalTrace,
    Constant,
    ConstantRate,
    Empirical,
    Exponential,
    Lognormal,
    Poisson,
    Service,
    Uniform,
)
from experiments.workload import Floats

LEVEL = 0.01
"""A true hypothesis is given up in one of a hundred runs."""
SAMPLE = 1_000
"""Values that a test looks at: with all of many, any difference, however small, would count."""
MONTE_CARLO = 399
EVEN = 1e-3
"""A spread below this share of the mean is none: the value is constant."""
MIN_VALUES = 20


@dataclass(frozen=True, slots=True)
class Fit:
    """What was found, and a sentence for the user on how good it is."""

    arrivals: Arrivals
    service: Service
    notes: tuple[str, ...]


def fit(recorded: Recorded, folder: Path) -> Fit:
    """Fit a run's load; files that the result names are written to `folder`. Raises ScenarioError, OSError."""
    finals = [final_rows(frame) for frame in recorded.traces]
    moments = [np.sort(frame["intended"].dropna().to_numpy(dtype=float)) for frame in finals]
    service_s = np.concatenate([frame["service_s"].to_numpy(dtype=float) for frame in finals])
    if min(len(one) for one in moments) < MIN_VALUES:
        raise ScenarioError(f"{recorded.path}: fewer than {MIN_VALUES} tasks tell nothing about arrivals")
    if moments[0][-1] <= moments[0][0]:
        raise ScenarioError(f"{recorded.path}: all tasks arrived at once, so there is no rate to plan for")
    folder.mkdir(parents=True, exist_ok=True)
    arrivals, about_arrivals = fit_arrivals(moments, folder / "arrivals.txt")
    service, about_service = fit_service(service_s, folder / "service.txt")
    return Fit(arrivals, service, (f"arrivals: {about_arrivals}", f"service: {about_service}"))


def fit_arrivals(moments: list[Floats], file: Path) -> tuple[Arrivals, str]:
    """Poisson, constant, or the first repetition's moments, replayed."""
    gaps = np.concatenate([np.diff(one) for one in moments])
    rate = 1.0 / float(gaps.mean())
    if float(gaps.std()) < EVEN * float(gaps.mean()):
        return ConstantRate(rate_per_s=rate), f"one every {1 / rate:.4g} s"
    exponential = _goodness(stats.expon, gaps, {"loc": 0.0})
    even = min(float(stats.kstest((one - one[0]) / (one[-1] - one[0]), "uniform").pvalue) for one in moments)
    even = min(even * len(moments), 1.0)  # Bonferroni: the worst of several
    found = f"gaps exponential: p = {exponential:.2g}; evenly spread: p = {even:.2g}"
    if min(exponential, even) >= LEVEL:
        return Poisson(rate_per_s=rate), f"Poisson, {rate:.4g}/s ({found})"
    np.savetxt(file, moments[0] - moments[0][0], fmt="%.9f")
    return ArrivalTrace(file=str(file.resolve())), f"not Poisson ({found}): the recorded moments are replayed"


def fit_service(seconds: Floats, file: Path) -> tuple[Service, str]:
    """A distribution of scenario files, or the recorded times."""
    if not np.all(np.isfinite(seconds)):
        raise ScenarioError("the run has tasks without a service time")
    mean = float(seconds.mean())
    if float(seconds.std()) <= EVEN * mean:
        return Constant(value_s=mean), f"constant, {mean:.4g} s"
    candidates = _candidates(seconds)
    service, name, distance, law, known = min(candidates, key=lambda one: one[2])
    p = _goodness(law, seconds, known)
    found = f"best of {len(candidates)} is {name}: largest distance of the distributions {distance:.3f}, p = {p:.2g}"
    if p >= LEVEL:
        return service, f"{_describe(service)} ({found})"
    np.savetxt(file, seconds, fmt="%.9g")
    return Empirical(file=str(file.resolve())), f"drawn from the {len(seconds):,} recorded times ({found})"


def _candidates(seconds: Floats) -> list[tuple[Service, str, float, Any, dict[str, float]]]:
    """Fitted by maximum likelihood: (table, name, Kolmogorov-Smirnov distance, law, parameters that are not fitted)."""
    mean, low, high = float(seconds.mean()), float(seconds.min()), float(seconds.max())
    found: list[tuple[Service, str, float, Any, dict[str, float]]] = [
        (Exponential(mean_s=mean), "exponential", _distance(seconds, stats.expon(0, mean)), stats.expon, {"loc": 0.0}),
        (
            Uniform(low_s=low, high_s=high),
            "uniform",
            _distance(seconds, stats.uniform(low, high - low)),
            stats.uniform,
            {},
        ),
    ]
    if low > 0:
        sigma, _, scale = stats.lognorm.fit(seconds, floc=0)
        table = Lognormal(mean_s=float(scale) * math.exp(float(sigma) ** 2 / 2), sigma=float(sigma))
        law = stats.lognorm(sigma, 0, scale)
        found.append((table, "lognormal", _distance(seconds, law), stats.lognorm, {"loc": 0.0}))
    return found


def _distance(values: Floats, law: Any) -> float:
    return float(stats.kstest(values, law.cdf).statistic)


def _goodness(law: Any, values: Floats, known: dict[str, float]) -> float:
    """How probable such values are under a law whose other parameters are fitted to them (p of a Monte Carlo test).

    Anderson-Darling, which looks at the tails; where the fit puts the bounds of the law on the outermost values, that
    is not defined, and it is Kolmogorov-Smirnov.
    """
    rng = np.random.default_rng(1)
    sample = values if len(values) <= SAMPLE else rng.choice(values, SAMPLE, replace=False)
    statistic = "ks" if law is stats.uniform else "ad"
    tested = stats.goodness_of_fit(
        law, sample, known_params=known, statistic=statistic, n_mc_samples=MONTE_CARLO, rng=rng
    )
    return float(tested.pvalue)


def _describe(service: Service) -> str:
    parts = [f"{name} = {value:.4g}" for name, value in msgspec.structs.asdict(service).items()]
    return f"{service.__struct_config__.tag}, {', '.join(parts)}"
