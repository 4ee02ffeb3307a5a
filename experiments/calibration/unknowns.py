"""Finds what cannot be measured directly: costs under which the model of the server and its client does what was seen.

Least squares on logarithms (a cost that is twice too large weighs as much as one that is half), every evaluation with
the same random numbers, so that differences come from the parameters alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from experiments.calibration.cells import Cell, Seen
from experiments.calibration.replica import replay
from sim.parameters import Values

PRIOR = 0.08
"""Weight of a parameter's distance from its guess: what the cells say nothing about stays where it was."""
LARGE = 100
"""Puts in a transaction from which on few say much."""
LEAST_S = 1e-8
"""What counts as nothing."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A parameter of the model: a first guess and bounds."""

    name: str
    guess: float
    low: float
    high: float
    unit: str = "s"


UNKNOWNS = (
    Unknown("send_s", 80e-6, 2e-6, 400e-6),
    Unknown("reply_s", 50e-6, 2e-6, 400e-6),
    Unknown("watch_s", 20e-6, 2e-6, 400e-6),
    Unknown("send_item_s", 2e-6, 0.1e-6, 30e-6, "s/item"),
    Unknown("wake_s", 120e-6, 5e-6, 800e-6),
    Unknown("tail", 0.45, 0.02, 0.8, ""),
    Unknown("cold_factor", 6.0, 0.5, 60.0, ""),
    Unknown("etcd_request_s", 15e-6, 1e-6, 300e-6),
    Unknown("etcd_request_item_s", 5e-6, 0.2e-6, 30e-6, "s/item"),
    Unknown("etcd_apply_s", 10e-6, 1e-6, 300e-6),
    Unknown("etcd_apply_item_s", 4e-6, 0.2e-6, 30e-6, "s/item"),
    Unknown("etcd_connection_s", 120e-6, 1e-6, 400e-6),
    Unknown("etcd_answer_s", 60e-6, 1e-6, 500e-6),
    Unknown("etcd_batch_s", 300e-6, 5e-6, 600e-6),
    Unknown("etcd_background", 0.25, 0.02, 0.8, ""),
    Unknown("slice_s", 0.8e-3, 0.05e-3, 5e-3),
    Unknown("etcd_cold_factor", 3.0, 0.3, 40.0, ""),
    Unknown("etcd_cold_warm_s", 0.6e-3, 0.1e-3, 4e-3),
    Unknown("cold_idle_s", 9e-3, 0.5e-3, 30e-3),
    Unknown("cold_warm_s", 1.1e-3, 0.1e-3, 4e-3),
)


@dataclass(frozen=True, slots=True)
class Solution:
    """What was found."""

    values: dict[str, float]
    uncertainty: dict[str, float]
    """Relative standard error of each: large where another parameter could do the work of this one."""
    errors: dict[str, float]
    """For each observable ("latency p50", ...) the mean absolute relative error over the cells."""
    rows: list[dict[str, float | str]]


@dataclass(frozen=True, slots=True)
class _Aspect:
    name: str
    weight: float
    of: Callable[[Cell, Seen], Sequence[float]]


def _places(cell: Cell, seen: Seen, share: float) -> list[float]:
    places = max(1, cell.sequence)
    return [seen.quantile_s(share, place, places) for place in range(places)]


def _mean(latencies_s: Sequence[float]) -> float:
    """Without the slowest of a hundred, which are the disk's and the machine's."""
    times = np.sort(np.asarray(latencies_s))
    return float(times[: max(1, len(times) * 99 // 100)].mean())


ASPECTS = (
    _Aspect("latency p50", 1.0, lambda cell, seen: _places(cell, seen, 0.5)),
    _Aspect("latency mean", 1.0, lambda cell, seen: [_mean(seen.latencies_s)] if not cell.sequence else []),
    _Aspect("client CPU", 1.0, lambda _, seen: [seen.client_cpu_s]),
    _Aspect("server CPU", 1.0, lambda _, seen: [seen.server_cpu_s]),
    _Aspect("puts per fsync", 0.5, lambda _, seen: [seen.puts_per_fsync]),
)


def transactions(cell: Cell, *, quick: bool) -> int:
    """How many the model is given: enough for a median."""
    if quick:
        return max(50 if cell.batch < LARGE else 15, cell.concurrency * 2)
    return max(100, cell.concurrency * 4)


def solve(base: Values, seen: dict[Cell, Seen], *, quick: bool) -> Solution:
    """The unknowns under which the model does what was seen."""
    sizes = {cell: transactions(cell, quick=quick) for cell in seen}

    def model(at: NDArray[np.float64]) -> dict[Cell, Seen]:
        values = msgspec.structs.replace(base, **_named(at))
        return {cell: replay(values, cell, sizes[cell]) for cell in seen}

    def residuals(at: NDArray[np.float64]) -> NDArray[np.float64]:
        seen_errors = [weight * error for _, _, weight, error in _errors(seen, model(at))]
        return np.array([*seen_errors, *((at - guesses) * PRIOR)])

    guesses = np.array([log(one.guess) for one in UNKNOWNS])
    bounds = ([log(one.low) for one in UNKNOWNS], [log(one.high) for one in UNKNOWNS])
    found = least_squares(
        residuals,
        guesses,
        bounds=bounds,
        loss="soft_l1",
        f_scale=0.2,
        diff_step=0.05,
        max_nfev=4 if quick else 16,
    )
    names = [one.name for one in UNKNOWNS]
    uncertainty = dict(zip(names, _standard_errors(found.jac, found.fun), strict=True))
    return _solution(seen, model(found.x), _named(found.x), uncertainty)


def _standard_errors(jacobian: NDArray[np.float64], residuals: NDArray[np.float64]) -> list[float]:
    """Of the logarithms, hence relative: the square root of the diagonal of s^2 (J'J)^-1."""
    freedom = max(1, len(residuals) - jacobian.shape[1])
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * float(residuals @ residuals) / freedom
    return [float(error) for error in np.sqrt(np.diag(covariance))]


def _named(at: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    return {one.name: exp(value) for one, value in zip(UNKNOWNS, at, strict=True)}


def _errors(real: dict[Cell, Seen], model: dict[Cell, Seen]) -> list[tuple[Cell, str, float, float]]:
    """Log ratio of model to real for each cell and aspect."""
    found = []
    for cell, seen in real.items():
        for aspect in ASPECTS:
            if (aspect.name != "latency p50" and cell.watched) or (
                aspect.name != "server CPU" and cell.connections > 1
            ):
                continue  # what the watch adds is measured elsewhere; no component has several connections
            pairs = list(zip(aspect.of(cell, model[cell]), aspect.of(cell, seen), strict=True))
            for ours, theirs in pairs:
                error = log(max(ours, LEAST_S) / max(theirs, LEAST_S))
                found.append((cell, aspect.name, _weight(cell) * aspect.weight / len(pairs) ** 0.5, error))
        if cell.watched:
            ours, theirs = (seen.quantile_s(0.5) + float(np.median(one.heard_s)) for one in (model[cell], seen))
            found.append((cell, "heard", 1.0, log(max(ours, LEAST_S) / max(theirs, LEAST_S))))
            found.append((cell, "listener CPU", 1.0, log(model[cell].listener_cpu_s / seen.listener_cpu_s)))
    return found


def _weight(cell: Cell) -> float:
    """Components have one to four requests under way, and rest in between: what that looks like counts most."""
    if cell.sequence:
        return 2.0
    return {1: 1.5, 8: 0.7}.get(cell.concurrency, 0.2)


def _solution(
    real: dict[Cell, Seen], model: dict[Cell, Seen], values: dict[str, float], uncertainty: dict[str, float]
) -> Solution:
    errors = _errors(real, model)
    names = list(dict.fromkeys(name for _, name, _, _ in errors))
    means = {one: float(np.mean([abs(exp(error) - 1) for _, name, _, error in errors if name == one])) for one in names}
    rows: list[dict[str, float | str]] = []
    for cell in real:
        row: dict[str, float | str] = {"cell": cell.name}
        for one in names:
            found = [error for place, name, _, error in errors if place == cell and name == one]
            if found:
                row[one] = round(exp(found[0]) - 1, 3)
        rows.append(row)
    return Solution(values, uncertainty, means, rows)
