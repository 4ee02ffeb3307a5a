"""What a curve says: how fast a point was, where the knee is, and which resource binds. Pure arithmetic.

Steady rate. Completions are counted while a point runs. The rate is the slope of a least-squares line through them
between 10 % and 90 % of the tasks, so that filling and draining are cut, and tasks that end in waves don't matter.

Knee. On a curve that should grow (workers, schedulers): the first point from which on no further point brings half of
what proportional growth from it would. On one that should stay level (payload, backlog, watchers): the last point
before the rate stays below nine tenths of the first point's.

Binding. The first of: slots (95 % of their time used), a Python process (90 % of a core: it has one, the GIL), the
machine's cores (90 %), etcd's fsync (90 % of the time), the offered load (95 % of it completed). Else nothing that is
measured binds: processes wait for each other, for round trips and for wake-ups.
"""

import warnings
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from experiments.environment import DISTURBED_SHARE

Floats = NDArray[np.float64]

STEADY_FROM, STEADY_TO = 0.1, 0.9
MIN_SAMPLES = 4
"""A line through fewer samples says less than the whole run does."""

KNEE_GAIN = 0.5
LEVEL_SHARE = 0.9

SLOTS_BIND = 0.95
PROCESS_BINDS = 0.9
CORES_BIND = 0.9
FSYNC_BINDS = 0.9
OFFER_BINDS = 0.95
CORES = "the machine's cores"
WAITING = "nothing measured binds: waiting"

USL_MIN_POINTS = 5
"""Three parameters through three or four points always fit."""
USL_MIN_R2 = 0.95
USL_FARTHEST = 10.0
"""A peak further than this many times the last point is not seen in the data at all."""


class Steady(msgspec.Struct, frozen=True):
    """The rate between 10 % and 90 % of the tasks, and when that was."""

    rate_per_s: float
    from_s: float
    to_s: float


def steady(times_s: Floats, done: Floats, total: int) -> Steady:
    """`done[i]` of `total` tasks were completed at `times_s[i]`; the first sample is the start.

    Where everything went by between two samples, the whole run is taken.
    """
    inside = (done >= STEADY_FROM * total) & (done <= STEADY_TO * total)
    if np.count_nonzero(inside) >= MIN_SAMPLES and np.ptp(done[inside]) > 0:
        rate = float(np.polyfit(times_s[inside] - times_s[0], done[inside], 1)[0])
        return Steady(rate, float(times_s[inside][0]), float(times_s[inside][-1]))
    first, last = float(times_s[0]), float(times_s[-1])
    return Steady(float(done[-1] - done[0]) / max(last - first, 1e-9), first, last)


def knee(x: Sequence[float], y: Sequence[float], *, grows: bool) -> float | None:
    """The x of the knee by the rules above, or None where there is none within the points."""
    return _knee_of_growth(x, y) if grows else _knee_of_level(x, y)


def _knee_of_growth(x: Sequence[float], y: Sequence[float]) -> float | None:
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    for at in range(len(xs) - 1):
        proportional = ys[at] * (xs[at + 1 :] / xs[at] - 1)
        if np.all(ys[at + 1 :] - ys[at] < KNEE_GAIN * proportional):
            return float(xs[at])
    return None


def _knee_of_level(x: Sequence[float], y: Sequence[float]) -> float | None:
    below = np.asarray(y, dtype=float) < LEVEL_SHARE * y[0]
    if not below[-1]:
        return None
    last_level = int(np.flatnonzero(~below)[-1])  # the first point is level with itself
    return float(x[last_level])


class Usl(msgspec.Struct, frozen=True):
    """The Universal Scalability Law: rate(N) = unit N / (1 + sigma (N - 1) + kappa N (N - 1))."""

    unit_per_s: float
    sigma: float
    kappa: float
    r2: float
    peak: float | None
    """N* = sqrt((1 - sigma) / kappa): more only costs from there on. None: not within sight of the data."""


def usl(x: Sequence[float], y: Sequence[float]) -> Usl | None:
    """The fit, or None where it is not good (R2 < 0.95) or the points are too few."""
    from scipy.optimize import OptimizeWarning, curve_fit  # noqa: PLC0415 - the client needs `steady` only, and soon

    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(xs) < USL_MIN_POINTS:
        return None
    bounds = (0.0, [np.inf, 1.0, 1.0])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)  # a bound is reached: its variance is not wanted
            found, _ = curve_fit(_usl, xs, ys, p0=[ys[0] / xs[0], 0.05, 1e-3], bounds=bounds)
    except RuntimeError:  # no convergence
        return None
    unit, sigma, kappa = (float(value) for value in found)
    spread = float(np.sum((ys - ys.mean()) ** 2))
    r2 = 1.0 - float(np.sum((ys - _usl(xs, unit, sigma, kappa)) ** 2)) / spread if spread else 0.0
    if r2 < USL_MIN_R2:
        return None
    peak = float(np.sqrt((1.0 - sigma) / kappa)) if kappa > 0 else np.inf
    return Usl(unit, sigma, kappa, r2, peak if peak <= USL_FARTHEST * xs[-1] else None)


def _usl(n: Floats, unit: float, sigma: float, kappa: float) -> Floats:
    return unit * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


class Binding(msgspec.Struct, frozen=True):
    what: str
    evidence: str


def binding(
    *,
    slot_utilisation: float | None,
    processes: Mapping[str, float],
    machine: float,
    others: float,
    fsync: float,
    completed_of_offered: float | None,
) -> Binding:
    """Which resource binds. All are shares from 0 to 1; `processes` holds the cores used by each Python process.

    `slot_utilisation` None: the tasks have no duration. `completed_of_offered` None: all was submitted beforehand.
    `others`: what programs that are none of ours use of the machine, which is part of `machine`.
    """
    busiest = max(processes, key=lambda name: processes[name], default="")
    used = processes.get(busiest, 0.0)
    shared = others > DISTURBED_SHARE
    rules = (
        ("slots", slot_utilisation, SLOTS_BIND, "of the slots' time is used"),
        (f"Python process {busiest}", used, PROCESS_BINDS, "of a core is used by it"),
        (CORES, machine, CORES_BIND, "of all cores is used" + (f", {others:.0%} by other programs" if shared else "")),
        ("etcd's fsync", fsync, FSYNC_BINDS, "of the time a flush is under way"),
        ("offered load", completed_of_offered, OFFER_BINDS, "of what the client got acknowledged is completed by then"),
    )
    for what, share, limit, meaning in rules:
        if share is not None and share >= limit:
            return Binding(what, f"{share:.0%} {meaning}")
    known = {"slots": slot_utilisation, busiest or "a process": used, "cores": machine, "fsync": fsync}
    shares = ", ".join(f"{name} {share:.0%}" for name, share in known.items() if share is not None)
    return Binding(WAITING, f"highest: {shares}")
