"""Straight lines through measurements."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls


@dataclass(frozen=True, slots=True)
class Line:
    """y = a + b x with a, b >= 0. `error`: mean absolute error relative to the mean of y. `n`: points fitted."""

    a: float
    b: float
    error: float
    n: int


def line(x: Sequence[float], y: Sequence[float]) -> Line:
    """Least squares on relative errors, neither coefficient negative: a cost cannot be."""
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    weight = 1 / np.maximum(ys, ys[ys > 0].min() if (ys > 0).any() else 1.0)
    (a, b), _ = nnls(np.column_stack([np.ones_like(xs), xs]) * weight[:, None], ys * weight)
    return Line(float(a), float(b), float(np.abs(a + b * xs - ys).mean() / max(ys.mean(), 1e-12)), len(xs))


def least_absolute(x: Sequence[float], y: Sequence[float]) -> Line:
    """For times of single calls, where interruptions by others make outliers: a line through medians of equal parts."""
    order = np.argsort(np.asarray(x), kind="stable")
    parts = [part for part in np.array_split(order, 40) if len(part)]
    xs = [float(np.mean(np.asarray(x)[part])) for part in parts]
    ys = [float(np.mean(np.sort(np.asarray(y)[part])[: max(1, len(part) * 9 // 10)])) for part in parts]
    return line(xs, ys)
