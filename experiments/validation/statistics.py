"""Errors of the model, their intervals, and what the real system differs from itself.

**Paired.** Repetition i of the model (the mean of its replicas) has the load of repetition i of the real system, so all
comparisons go by pairs: the luck of the draw is the same on both sides.

**Interval**: percentile bootstrap of the error over repetitions, never over tasks: tasks of one run share its moments.

**Floor** (real against real): the mean absolute relative difference between the estimates of two halves of the real
repetitions, over all ways to halve them. Halves differ also by the loads they drew, which the model shares; so the
same is done with real / model of the same load, and the smaller of the two counts. A model cannot be asked to predict
the real system better than one half of its runs predicts the other.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Centre = Literal["mean", "median"]

CONFIDENCE = 0.95
RESAMPLES = 2_000
MIN_FOR_INTERVAL = 3
"""Repetitions: resampling two of them knows three outcomes."""
MAX_SPLITS = 500
W1_SPLITS = 12
"""Halves of pooled distributions: each costs a sort of all tasks."""
FLOOR_FACTOR = 1.5


def relative_error(real: Floats, model: Floats, centre: Centre = "mean") -> float | None:
    """(model - real) / real of the means (or medians) over repetitions; None where the real one is 0."""
    of = _centre(centre)
    if not len(real):
        return None
    truth = float(of(real, axis=-1))
    return float(of(model, axis=-1)) / truth - 1 if truth else None


def interval(
    real: Floats, model: Floats, rng: np.random.Generator, centre: Centre = "mean"
) -> tuple[float, float] | None:
    """The 95 % interval of `relative_error`, None with fewer than three pairs or a real figure that can be 0."""
    if len(real) < MIN_FOR_INTERVAL or not np.all(real > 0):
        return None
    if np.ptp(model / real) == 0 and np.ptp(real) == 0:  # all the same: nothing to resample
        error = float(model[0] / real[0]) - 1
        return error, error
    of = _centre(centre)
    found = stats.bootstrap(
        (real, model),
        lambda one, other, axis: of(other, axis=axis) / of(one, axis=axis) - 1,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=rng,
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def floor(real: Floats, model: Floats, rng: np.random.Generator, centre: Centre = "mean") -> float | None:
    """What the real system differs from itself (see above), None with fewer than two repetitions."""
    if len(real) < 2:
        return None
    shares = [_halved(real, rng, centre)]
    if np.all(model > 0):
        shares.append(_halved(real / model, rng, centre))
    known = [share for share in shares if share is not None]
    return min(known) if known else None


def _halved(values: Floats, rng: np.random.Generator, centre: Centre) -> float | None:
    of = _centre(centre)
    whole = float(of(values, axis=-1))
    if whole == 0:
        return None
    differences = [
        abs(float(of(values[one], axis=-1)) - float(of(values[other], axis=-1)))
        for one, other in halves(len(values), rng, MAX_SPLITS)
    ]
    return float(np.mean(differences)) / abs(whole)


def halves(count: int, rng: np.random.Generator, limit: int) -> list[tuple[list[int], list[int]]]:
    """Ways to split `count` repetitions into two halves: all of them, or `limit` chosen at random."""
    if math.comb(count, count // 2) > limit:
        orders = [rng.permutation(count).tolist() for _ in range(limit)]
        return [(sorted(order[: count // 2]), sorted(order[count // 2 :])) for order in orders]
    return [
        (list(one), [number for number in range(count) if number not in one])
        for one in itertools.combinations(range(count), count // 2)
        if count % 2 or 0 in one  # of two equal halves, either may be the first: once is enough
    ]


def limit_of(target: float, floor_share: float | None) -> float:
    """What an error may be: the target, or where the real system is not that close to itself 1.5 x the floor."""
    return max(target, FLOOR_FACTOR * (floor_share or 0.0))


# --- distributions -----------------------------------------------------------------------------------------------


def distances(real: Floats, model: Floats) -> tuple[float | None, float | None]:
    """Wasserstein distance over the real mean, and the Kolmogorov-Smirnov distance; None where there is nothing."""
    if not len(real) or not len(model):
        return None, None
    mean = float(real.mean())
    w1 = float(stats.wasserstein_distance(real, model)) / mean if mean > 0 else None
    return w1, float(stats.ks_2samp(real, model, method="asymp").statistic)


def distance_floor(runs: Sequence[Floats], rng: np.random.Generator) -> float | None:
    """Mean Wasserstein distance over the mean between two halves of the real repetitions, pooled."""
    full = [run for run in runs if len(run)]
    if len(full) < 2:
        return None
    mean = float(np.concatenate(full).mean())
    if mean <= 0:
        return None
    found = [
        stats.wasserstein_distance(
            np.concatenate([full[number] for number in one]), np.concatenate([full[number] for number in other])
        )
        for one, other in halves(len(full), rng, W1_SPLITS)
    ]
    return float(np.mean(found)) / mean


def tau(real: Sequence[float], model: Sequence[float]) -> float | None:
    """Kendall's rank correlation of configurations; None for fewer than three, or where all are the same."""
    if len(real) < 3:
        return None
    value = float(stats.kendalltau(real, model).statistic)
    return value if np.isfinite(value) else None


def _centre(name: Centre) -> Callable[..., Floats]:
    return np.mean if name == "mean" else np.median
