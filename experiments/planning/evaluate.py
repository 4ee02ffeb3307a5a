"""Configurations tried on the model: each once, however often it is asked for, and counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from experiments import metrics
from experiments.planning.question import Question
from experiments.planning.reading import Reading, interval, read, summary
from experiments.planning.targets import UTILISATION, Target
from experiments.schema import Topology
from experiments.sweep import ALL_CORES, Job, gather
from sim.parameters import Values

SEARCH_REPETITIONS, FINAL_REPETITIONS = 4, 10
"""While searching all configurations see the same tasks, so few suffice; the answer's interval deserves more."""
BUDGET = 400
"""Simulations of a whole plan."""
MAX_GROWTH = 0.4
"""Of the mean latency from the middle third of the tasks to the last third, surely (the interval over repetitions lies
above it): then the backlog grows. From nothing, at a constant pace, it would be two thirds."""

Told: TypeAlias = Callable[[int, str], None]
"""Simulations finished so far, and what is going on."""
Point: TypeAlias = tuple[Topology, float]
"""A configuration, and the load it gets (1: as asked)."""


class OutOfBudget(Exception):  # noqa: N818 - not an error: the search ends with what it has
    """No simulations are left."""


@dataclass(frozen=True)
class Evaluation:
    """A configuration under a load, over its repetitions."""

    topology: Topology
    load: float
    targets: tuple[Target, ...]
    readings: tuple[Reading, ...]
    cores: int
    offered: float
    """Slots that this load keeps busy on average (Erlang)."""

    @cached_property
    def figures(self) -> metrics.Values:
        return summary(list(self.readings))

    def figure(self, target: Target) -> metrics.Values:
        """Value, interval and n of what a target is about."""
        if target.figure == UTILISATION:
            return metrics.figure([reading.slots for reading in self.readings])
        node = self.figures
        for part in target.figure.split("."):
            node = node[part]
        return node

    @property
    def keeps_up(self) -> bool:
        """Whether the slots suffice, all tasks ended, and the backlog did not surely grow."""
        unfinished = any(reading.unfinished for reading in self.readings)
        slots = self.topology.workers * self.topology.slots
        growth = interval([reading.growth for reading in self.readings])
        grows = growth["value"] > MAX_GROWTH if growth["low"] is None else growth["low"] > MAX_GROWTH
        return self.offered < slots and not unfinished and not grows

    @property
    def met(self) -> bool:
        return self.keeps_up and all(target.met(self.figure(target)["value"]) for target in self.targets)

    @property
    def met_surely(self) -> bool:
        """Whether the whole interval of every figure meets its target."""
        return self.keeps_up and all(target.met_surely(self.figure(target)) for target in self.targets)

    @property
    def excess(self) -> float:
        """The worst target's value in units of its bound: below 1 all are met."""
        return max((_excess(target, self.figure(target)["value"]) for target in self.targets), default=0.0)

    @cached_property
    def shares(self) -> dict[str, float]:
        """How much of each resource is used, 1 being all of it."""
        mean = {
            kind: float(np.mean([reading.cores.get(kind, 0.0) for reading in self.readings]))
            for kind in ("all", "scheduler", "worker", "client")
        }
        return {
            "slots": float(np.mean([reading.slots for reading in self.readings])),
            "host": mean["all"] / self.cores,
            **{kind: mean[kind] for kind in ("scheduler", "worker", "client")},
        }

    @cached_property
    def stages_s(self) -> dict[str, float]:
        """Mean seconds of each stage."""
        names = self.readings[0].stages_s
        return {name: float(np.mean([reading.stages_s[name] for reading in self.readings])) for name in names}

    @property
    def cores_busy(self) -> float:
        return float(np.mean([reading.cores["all"] for reading in self.readings]))


def _excess(target: Target, value: float | None) -> float:
    if value is None:
        return float("inf")
    return value / target.bound if target.below else target.bound / max(value, 1e-12)


class Evaluator:
    """Runs simulations, all repetitions of a call together, and remembers them.

    `budget`: the simulations it may run; then it raises OutOfBudget.
    """

    def __init__(
        self,
        question: Question,
        values: Values,
        *,
        n_jobs: int | None = ALL_CORES,
        budget: int = BUDGET,
        tell: Told = lambda _done, _what: None,
    ) -> None:
        self.question = question
        self.parameters = values
        self.simulations = 0
        self._n_jobs, self._budget, self._tell = n_jobs, budget, tell
        self._known: dict[Point, list[Reading]] = {}

    def __call__(self, topology: Topology, load: float = 1.0, repetitions: int = SEARCH_REPETITIONS) -> Evaluation:
        return self.all([(topology, load)], repetitions)[0]

    def all(self, points: Sequence[Point], repetitions: int = SEARCH_REPETITIONS) -> list[Evaluation]:
        """Several at once, which keeps many processors busy. Raises OutOfBudget."""
        missing = [
            (point, repetition)
            for point in dict.fromkeys(points)
            for repetition in range(len(self._known.get(point, [])), repetitions)
        ]
        if self.simulations + len(missing) > self._budget:
            raise OutOfBudget
        jobs = [self._job(topology, load, repetition) for (topology, load), repetition in missing]
        what = describe(*points[0])
        readings = gather(
            jobs, read, n_jobs=self._n_jobs, on_done=lambda done, _: self._tell(self.simulations + done, what)
        )
        self.simulations += len(jobs)
        for (point, _), reading in zip(missing, readings, strict=True):
            self._known.setdefault(point, []).append(reading)
        return [self._evaluation(point) for point in points]

    def allow(self, simulations: int) -> None:
        """Add to the budget."""
        self._budget += simulations

    def known(self) -> list[Evaluation]:
        """Everything that was tried."""
        return [self._evaluation(point) for point in self._known]

    def _evaluation(self, point: Point) -> Evaluation:
        topology, load = point
        question = self.question
        return Evaluation(
            topology, load, question.targets, tuple(self._known[point]), self.parameters.cores, question.offered * load
        )

    def _job(self, topology: Topology, load: float, repetition: int) -> Job:
        one = self.question.scenario(topology, load=load)
        return Job(one, repetition, self.question.tasks_of(repetition, load), self.parameters)


def describe(topology: Topology, load: float = 1.0) -> str:
    """'2 x 12, poll (0.1 s, 0.5 s)'."""
    text = f"{topology.workers} x {topology.slots}"
    if topology.schedulers > 1:
        text += f", {topology.schedulers} schedulers"
    if topology.dispatch == "poll":
        text += f", poll ({topology.scheduler_poll_interval_s:g} s, {topology.worker_poll_interval_s:g} s)"
    else:
        text += ", watch"
    return text if load == 1.0 else f"{text}, load x {load:.3g}"
