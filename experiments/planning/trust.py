"""How far a question lies outside what was validated (`experiments.validation.region`)."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from experiments.planning.unseen import differences, never_validated
from experiments.schema import Scenario, Topology
from experiments.validation.region import Point, load_region
from experiments.workload import Workload
from experiments.world import ExperimentError

NOTHING = "nothing validated yet: 'tandem-bench validate' compares the model with the real system"
ERRORS = ("throughput_per_s", "latency_s.overhead.p50", "latency_s.overhead.p95", "latency_s.overhead.p99")
OTHER_SYSTEM = 3.0
"""As far as eight times as many workers: another way of dispatching, other faults, a slow disk."""
SLACK = 0.02
"""A range reaches so far beyond its ends: 201 tasks a second are not outside of 1 to 200."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question, in the dimensions of the region."""

    dispatch: str
    schedulers: int
    workers: int
    slots: int
    etcd_members: int
    rate_per_s: float
    utilisation: float
    service_mean_s: float
    service_cv: float


NUMBERS = tuple(name for name in Asked.__struct_fields__ if name != "dispatch")
LINEAR = {"utilisation": 0.1, "service_cv": 0.5}
"""Dimensions that count by difference, in these units; the others by ratio, in doublings."""


class Dimension(msgspec.Struct, frozen=True, kw_only=True):
    """One dimension: what is asked, what was validated."""

    name: str
    asked: str
    validated: str
    inside: bool


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """`errors`: signed, of the nearest validated scenario, as shares. `never`: what no validated scenario had."""

    dimensions: tuple[Dimension, ...] = ()
    never: tuple[str, ...] = ()
    nearest: str = ""
    distance: float = 0.0
    errors: dict[str, float] = {}
    points: int = 0

    @property
    def outside(self) -> tuple[Dimension, ...]:
        return tuple(one for one in self.dimensions if not one.inside)

    @property
    def sentence(self) -> str:
        """For the user."""
        if not self.points:
            return NOTHING
        parts = []
        if self.outside:
            names = ", ".join(f"{one.name} ({one.asked}; validated: {one.validated})" for one in self.outside)
            parts.append(f"OUTSIDE the validated region in {names}")
        if self.never:
            parts.append(f"NEVER validated: {', '.join(self.never)}")
        return "; ".join([*(parts or ["inside the validated region in every dimension"]), f"nearest: {self.nearest}"])


def asked(topology: Topology, rate_per_s: float, service_mean_s: float, service_cv: float) -> Asked:
    slots = topology.workers * topology.slots
    return Asked(
        dispatch=topology.dispatch,
        schedulers=topology.schedulers,
        workers=topology.workers,
        slots=topology.slots,
        etcd_members=topology.etcd_members,
        rate_per_s=rate_per_s,
        utilisation=rate_per_s * service_mean_s / slots,
        service_mean_s=service_mean_s,
        service_cv=service_cv,
    )


def trust(question: Asked, points: Sequence[Point] | None = None, scenario: Scenario | None = None) -> Trust:
    """Compare a question with the validated points (default: those that come with Tandem).

    `scenario`: what would be run; what it has that is no dimension of the region is looked at as well.

    Raises ExperimentError where their file cannot be used.
    """
    if points is None:
        try:
            points = load_region().points
        except ValueError as error:
            raise ExperimentError(str(error)) from error
    if not points:
        return Trust()
    names = [point.scenario for point in points]
    others = {} if scenario is None else differences(scenario, names)
    far = {point.scenario: distance(question, point, others.get(point.scenario, 0)) for point in points}
    nearest = min(points, key=lambda point: (far[point.scenario], point.scenario))
    known = {point.dispatch for point in points}
    dimensions = [
        Dimension(
            name="dispatch",
            asked=question.dispatch,
            validated=" and ".join(sorted(known)),
            inside=question.dispatch in known,
        ),
        *(_dimension(name, getattr(question, name), [getattr(point, name) for point in points]) for name in NUMBERS),
    ]
    errors = {name: nearest.errors[name] for name in ERRORS if name in nearest.errors}
    return Trust(
        dimensions=tuple(dimensions),
        never=() if scenario is None else never_validated(scenario, names),
        nearest=nearest.scenario,
        distance=far[nearest.scenario],
        errors=errors,
        points=len(points),
    )


def trust_run(one: Scenario, load: Workload, rate_per_s: float) -> Trust:
    """Compare a scenario and its tasks, offered at this rate, with the validated points. Raises ExperimentError."""
    mean_s = float(load.service_s.mean())
    cv = float(load.service_s.std() / max(mean_s, 1e-9))
    return trust(asked(one.topology, rate_per_s, mean_s, cv), scenario=one)


def offered_rate(intended_s: NDArray[np.float64], completed_per_s: float) -> float:
    """Tasks offered a second. A burst and a closed load have no rate of their own: there, what was completed."""
    due = intended_s[np.isfinite(intended_s)]
    span_s = float(np.ptp(due)) if len(due) else 0.0
    return (len(due) - 1) / span_s if span_s > 0 else completed_per_s


def _dimension(name: str, value: float, validated: list[float]) -> Dimension:
    low, high = min(validated), max(validated)
    inside = low * (1 - SLACK) <= value <= high * (1 + SLACK)
    span = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
    return Dimension(name=name.replace("_", " "), asked=f"{value:.4g}", validated=span, inside=inside)


def distance(question: Asked, point: Point, others: int = 0) -> float:
    """Euclidean: doublings of sizes and rates, tenths of utilisation, halves of a coefficient of variation.

    `others`: in how many things besides dispatch it is another system (`experiments.planning.unseen.differences`).
    """
    squares = ((question.dispatch != point.dispatch) + others) * OTHER_SYSTEM**2
    for name in NUMBERS:
        mine, other = getattr(question, name), getattr(point, name)
        unit = LINEAR.get(name)
        if unit is not None:
            squares += ((mine - other) / unit) ** 2
        else:
            squares += math.log2(max(mine, 1e-6) / max(other, 1e-6)) ** 2
    return math.sqrt(squares)
