"""Finds what cannot be measured directly: costs under which the model of the server and its client does what was seen.

Least squares on logarithms (a cost that is twice too large weighs as much as one that is half), every evaluation with
the same random numbers, so that differences come from the parameters alone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import exp, log
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from experiments.calibration.cells import Cell, Seen
from experiments.calibration.replica import replay
from experiments.sweep import spread
from sim.parameters import REFERENCE, Values, load

Floats: TypeAlias = NDArray[np.float64]

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
    Unknown("etcd_sync_s", 100e-6, 20e-6, 200e-6),
    Unknown("etcd_background", 0.25, 0.02, 0.8, ""),
    Unknown("slice_s", 0.8e-3, 0.05e-3, 5e-3),
    Unknown("balance_s", 1e-3, 0.02e-3, 10e-3),
    Unknown("etcd_cold_factor", 3.0, 0.3, 40.0, ""),
    Unknown("etcd_cold_warm_s", 0.6e-3, 0.1e-3, 4e-3),
    Unknown("cold_idle_s", 9e-3, 0.5e-3, 300e-3),
    Unknown("cold_share", 0.4, 0.02, 0.9, ""),
    Unknown("cold_quick_s", 0.6e-3, 0.05e-3, 10e-3),
    Unknown("cold_warm_s", 1.1e-3, 0.1e-3, 4e-3),
)


STEPS, STEPS_QUICK = 8, 3
"""From costs that were found on another machine four lead to the bottom, from guesses about eight."""
INSIDE = 1.001
"""A descent does not begin on a bound."""


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
    _Aspect("fsync", 0.7, lambda _, seen: [seen.fsync_s]),
)


def transactions(cell: Cell, *, few: bool) -> int:
    """How many the model is given: enough for a median. `few`: to see which way is down."""
    if few:
        return max(50 if cell.batch < LARGE else 15, cell.concurrency * 2)
    return max(100, cell.concurrency * 4)


def solve(base: Values, seen: dict[Cell, Seen], *, quick: bool) -> Solution:
    """The unknowns under which the model does what was seen: the best of what two starts lead to.

    Costs can hide in waking up or in coldness, and a descent finds the nearest valley: so one start is the reference
    profile, and the other (not if `quick`) the guesses, which owe nothing to any machine.
    """
    if quick:
        best = _descend(base, seen, STEPS_QUICK, _reference(), workers=_all_cores)
    else:
        found = spread(partial(_descend, base, seen, STEPS), [_reference(), _guesses()])
        best = min(found, key=lambda one: one.cost)
    values = _named(best.at)
    uncertainty = dict(zip(values, _standard_errors(best.jacobian, best.residuals), strict=True))
    return _solution(seen, _model(base, seen, best.at, few=quick), values, uncertainty)


def _guesses() -> Floats:
    return np.array([log(one.guess) for one in UNKNOWNS])


def _reference() -> Floats:
    known = load(REFERENCE).values()
    inside = [min(max(getattr(known, one.name), one.low * INSIDE), one.high / INSIDE) for one in UNKNOWNS]
    return np.array([log(value) for value in inside])


def _all_cores(function: Callable[[Floats], Floats], places: Iterable[Floats]) -> list[Floats]:
    """`map`, for the many evaluations that one look around takes."""
    return spread(function, list(places))


@dataclass(frozen=True, slots=True)
class _Bottom:
    """Where a descent has ended, in logarithms."""

    cost: float
    at: Floats
    jacobian: Floats
    residuals: Floats


def _descend(
    base: Values,
    seen: dict[Cell, Seen],
    steps: int,
    start: Floats,
    workers: Callable[[Callable[[Floats], Floats], Iterable[Floats]], list[Floats]] | None = None,
) -> _Bottom:
    guesses = _guesses()

    def residuals(at: Floats) -> Floats:
        seen_errors = [weight * error for _, _, weight, error in _errors(seen, _model(base, seen, at, few=True))]
        return np.array([*seen_errors, *((at - guesses) * PRIOR)])

    found = least_squares(
        residuals,
        start,
        bounds=([log(one.low) for one in UNKNOWNS], [log(one.high) for one in UNKNOWNS]),
        loss="soft_l1",
        f_scale=0.2,
        diff_step=0.05,
        max_nfev=steps,
        workers=workers,
    )
    return _Bottom(float(found.cost), found.x, found.jac, found.fun)


def _model(base: Values, seen: dict[Cell, Seen], at: Floats, *, few: bool) -> dict[Cell, Seen]:
    values = msgspec.structs.replace(base, **_named(at))
    return {cell: replay(values, cell, transactions(cell, few=few)) for cell in seen}


def _standard_errors(jacobian: Floats, residuals: Floats) -> list[float]:
    """Of the logarithms, hence relative: the square root of the diagonal of s^2 (J'J)^-1."""
    freedom = max(1, len(residuals) - jacobian.shape[1])
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * float(residuals @ residuals) / freedom
    return [float(error) for error in np.sqrt(np.diag(covariance))]


def _named(at: Floats) -> dict[str, float]:
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
            found.append((cell, "heard", _weight(cell), log(max(ours, LEAST_S) / max(theirs, LEAST_S))))
            found.append((cell, "listener CPU", _weight(cell), log(model[cell].listener_cpu_s / seen.listener_cpu_s)))
    return found


def _weight(cell: Cell) -> float:
    """What components do counts most: they rest, and have one to four requests under way. In a burst etcd has more."""
    if cell.sequence:
        return 2.0
    return {1: 1.5, 8: 1.0}.get(cell.concurrency, 0.6)


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
