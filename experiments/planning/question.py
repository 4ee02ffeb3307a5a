"""What is asked of the planner: a load, targets, bounds of the search and costs; and its tasks, drawn once for all.

Every configuration gets the same tasks and the same seeds (common random numbers), so that two of them differ by what
differs between them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from core.settings import Dispatch
from experiments import workload
from experiments.planning.syntax import Costs
from experiments.planning.targets import THROUGHPUT, Target
from experiments.scenario import ScenarioError
from experiments.schema import (
    Arrivals,
    ArrivalTrace,
    Constant,
    ConstantRate,
    Empirical,
    Exponential,
    Fault,
    Lognormal,
    Measure,
    Poisson,
    Scenario,
    Service,
    Topology,
    Uniform,
    Workload,
)

Survive: TypeAlias = Literal["worker", "host", "scheduler"]
"""What is killed once, in the middle: a worker process (its nanny starts it again), a worker with its nanny (it stays
away), a scheduler (it stays away)."""

MIN_TASKS, MAX_TASKS = 3_000, 20_000
"""3,000: thirty tasks of a repetition lie above its p99. 20,000: several seconds of computing for each repetition."""
MIN_BOUNDS = 30.0
"""Tasks arrive for at least so many times the longest latency asked for: a backlog that grows by a thirtieth of real
time would show."""
WARM_UP = 0.1
"""This share of the arrivals, at the beginning, is run but not counted."""
KILL_AT = 0.4
"""Where in the arrivals something is killed."""
Handler: TypeAlias = Literal["sleep", "cpu"]


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What may be chosen. All ascending."""

    workers: tuple[int, ...] = tuple(range(1, 51))
    slots: tuple[int, ...] = tuple(range(1, 51))
    schedulers: tuple[int, ...] = (1, 2, 3)
    dispatch: tuple[Dispatch, ...] = ("watch", "poll")
    scheduler_intervals_s: tuple[float, ...] = (0.05, 0.1)
    worker_intervals_s: tuple[float, ...] = (0.1, 0.25, 0.5)
    lease_ttls_s: tuple[float, ...] = (2.0, 5.0, 10.0)
    """Only where something is killed: without that the time to live changes no latency, and stays at the default."""

    @property
    def intervals_s(self) -> tuple[tuple[float, float], ...]:
        """Pairs (scheduler, worker), the shortest first."""
        pairs = [(one, other) for one in self.scheduler_intervals_s for other in self.worker_intervals_s]
        return tuple(sorted(pairs, key=lambda pair: (sum(pair), pair)))


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked. `tasks`: in each simulation (a trace of arrivals has its own number, where it is smaller)."""

    arrivals: Arrivals
    service: Service
    targets: tuple[Target, ...]
    bounds: Bounds = field(default_factory=Bounds)
    costs: Costs = field(default_factory=Costs)
    survive: Survive | None = None
    handler: Handler = "sleep"
    etcd_members: Literal[1, 3, 5] = 1
    seed: int = 1
    tasks: int | None = None
    notes: tuple[str, ...] = ()
    """What else the answer has to say, such as how a distribution was fitted."""

    def scenario(self, topology: Topology, *, name: str = "plan", repetitions: int = 1, load: float = 1.0) -> Scenario:
        """A configuration under this load, times `load`."""
        span_s = self.span_s / load
        return Scenario(
            name=name,
            topology=topology,
            workload=Workload(
                arrivals=_scaled(self.arrivals, load),
                service=self.service,
                count=self.count,
                handler=self.handler,
            ),
            faults=self._faults(topology, span_s),
            measure=Measure(warmup_s=round(WARM_UP * span_s, 6), repetitions=repetitions, seed=self.seed),
        )

    def _faults(self, topology: Topology, span_s: float) -> tuple[Fault, ...]:
        if self.survive is None:
            return ()
        kind, target = {
            "worker": ("worker_kill", "worker-1"),
            "host": ("host_kill", f"worker-{topology.workers}"),
            "scheduler": ("scheduler_kill", "scheduler-1"),
        }[self.survive]
        return (msgspec.convert({"kind": kind, "target": target, "at_s": round(KILL_AT * span_s, 6)}, Fault),)

    def tasks_of(self, repetition: int, load: float = 1.0) -> workload.Workload:
        """The tasks of a repetition, arriving `load` times as fast as asked: the same tasks at any load."""
        drawn = self._drawn.get(repetition)
        if drawn is None:
            drawn = self._drawn[repetition] = workload.draw(self.scenario(Topology()), repetition)
        return drawn if load == 1.0 else replace(drawn, intended_s=drawn.intended_s / load)

    @cached_property
    def _drawn(self) -> dict[int, workload.Workload]:
        return {}

    @cached_property
    def _trace_s(self) -> workload.Floats:
        assert isinstance(self.arrivals, ArrivalTrace)
        return workload.read_numbers(Path(self.arrivals.file))

    @cached_property
    def rate_per_s(self) -> float:
        """Mean rate of the arrivals. Raises ScenarioError for a trace that is too short to have one."""
        if isinstance(self.arrivals, Poisson | ConstantRate):
            return self.arrivals.rate_per_s
        times = self._trace_s
        span_s = float(times[-1] - times[0])
        if len(times) < 2 or span_s <= 0:
            raise ScenarioError("arrivals at one moment only have no rate to plan for")
        return (len(times) - 1) / span_s

    @cached_property
    def count(self) -> int:
        """Tasks of a simulation."""
        if self.tasks is not None:
            wanted = self.tasks
        else:
            wanted = min(max(MIN_TASKS, math.ceil(self.rate_per_s * MIN_BOUNDS * self._longest_s)), MAX_TASKS)
        return min(wanted, len(self._trace_s)) if isinstance(self.arrivals, ArrivalTrace) else wanted

    @property
    def _longest_s(self) -> float:
        return max((target.bound for target in self.targets if target.is_latency), default=0.0)

    @cached_property
    def span_s(self) -> float:
        """How long tasks arrive."""
        if isinstance(self.arrivals, ArrivalTrace):
            return float(self._trace_s[self.count - 1])
        return self.count / self.rate_per_s

    @property
    def is_short(self) -> bool:
        """Whether the simulated time is too short for the targets: a backlog that grows slowly could go unseen."""
        return self.span_s < 0.99 * MIN_BOUNDS * self._longest_s

    @cached_property
    def service_s(self) -> workload.Floats:
        """Service times of the first repetition, ascending."""
        return np.sort(self.tasks_of(0).service_s)

    @cached_property
    def service_moments(self) -> tuple[float, float]:
        """Mean, and standard deviation over mean."""
        mean_s, deviation_s = _moments(self.service)
        return mean_s, deviation_s / mean_s if mean_s > 0 else 0.0

    @property
    def workers(self) -> tuple[int, ...]:
        """Numbers to choose from: where a host is killed, one worker is too few."""
        return tuple(one for one in self.bounds.workers if self.survive != "host" or one > 1)

    @property
    def schedulers(self) -> tuple[int, ...]:
        """Likewise."""
        return tuple(one for one in self.bounds.schedulers if self.survive != "scheduler" or one > 1)

    @property
    def offered(self) -> float:
        """Slots that the load keeps busy (Erlang)."""
        return self.rate_per_s * self.service_moments[0]


def _moments(service: Service) -> tuple[float, float]:
    """Mean and standard deviation of the service times."""
    match service:
        case Constant(value_s=value):
            return value, 0.0
        case Uniform(low_s=low, high_s=high):
            return (low + high) / 2, (high - low) / math.sqrt(12)
        case Exponential(mean_s=mean):
            return mean, mean
        case Lognormal(mean_s=mean, sigma=sigma):
            return mean, mean * math.sqrt(math.expm1(sigma**2))
        case Empirical(file=file):
            times = workload.read_numbers(Path(file))
            return float(times.mean()), float(times.std())


def _scaled(arrivals: Arrivals, load: float) -> Arrivals:
    if load != 1.0 and isinstance(arrivals, Poisson | ConstantRate):
        return msgspec.structs.replace(arrivals, rate_per_s=arrivals.rate_per_s * load)
    return arrivals


def check(question: Question) -> None:
    """Raises ScenarioError where no configuration at all could meet a target."""
    service_s = question.service_s
    for target in question.targets:
        if target.figure == THROUGHPUT and target.bound >= question.rate_per_s:
            raise ScenarioError(
                f"nothing meets {target.text}: only {question.rate_per_s:.4g}/s arrive, and no more can be completed"
            )
        if target.is_latency and target.stage == "total":
            share = {"p50": 0.5, "p95": 0.95, "p99": 0.99}.get(target.statistic)
            alone_s = float(service_s.mean() if share is None else np.quantile(service_s, share))
            if alone_s >= target.bound:
                raise ScenarioError(
                    f"no number of workers meets {target.text}: the tasks alone take longer "
                    f"({target.statistic} of the service times: {alone_s:.3g} s)"
                )


def steps(values: Sequence[int]) -> tuple[int, ...]:
    """Of many whole numbers a ladder with steps of about a fifth; all of them where they are few."""
    chosen: list[int] = []
    for value in values:
        if not chosen or value >= min(chosen[-1] * 1.2, chosen[-1] + 10) or value == values[-1]:
            chosen.append(value)
    return tuple(chosen)
