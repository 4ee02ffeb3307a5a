"""How long a repetition will take, for plans and the time left: an estimate, good to a fifth. And when to give up."""

import os

import numpy as np

from experiments import workload
from experiments.schema import (
    ArrivalTrace,
    Constant,
    ConstantRate,
    Empirical,
    Exponential,
    Lognormal,
    Poisson,
    Scenario,
    Service,
    Uniform,
)

START_S, PROCESS_S = 1.2, 1.05
"""What starting and ending etcd and the processes takes on two cores."""
BURST_PER_S = 5_000.0
"""Tasks without duration that two cores get through."""
PATIENCE_S = 60.0
"""A lease TTL, some restarts and the pauses between attempts fit in."""
SIM_START_S, SIM_TASK_S = 0.2, 0.000_8
"""The model: an interpreter's share of a repetition, and each task, on one core."""


def real_s(one: Scenario) -> float:
    """Seconds of one real repetition."""
    tasks, last_s, work_s = _load(one)
    slots = one.topology.workers * one.topology.slots
    if one.topology.dispatch == "poll":  # a slot takes one task a poll, and waits for the next on average half of one
        interval_s = one.topology.worker_poll_interval_s
        work_s = max(work_s + tasks * interval_s / 2, tasks * interval_s)
    if one.workload.handler == "cpu":
        slots = min(slots, cores())
    processes = one.topology.workers + one.topology.schedulers + one.topology.etcd_members
    return START_S + PROCESS_S * processes + max(last_s, work_s / slots, tasks / BURST_PER_S)


def quiet_s(one: Scenario, load: workload.Workload) -> float:
    """How long a run goes on although no task ends; what is left is then given up, in both worlds.

    Nobody knows before how long a run takes that is bound by polls, by etcd or by processors: so it lasts as long as
    tasks end. Longer than this is no wait for a task, for an arrival or for what is broken.
    """
    intended_s = load.intended_s[np.isfinite(load.intended_s)]
    gap_s = float(np.diff(intended_s, prepend=0.0).max(initial=0.0))
    mended_s = max((fault.at_s + (fault.duration_s or 0.0) for fault in one.faults), default=0.0)
    return PATIENCE_S + 2 * float(load.service_s.max()) + gap_s + mended_s


def sim_s(one: Scenario) -> float:
    """Seconds of one simulated repetition on one core."""
    return SIM_START_S + SIM_TASK_S * _load(one)[0]


def cores() -> int:
    """How many simulated repetitions run at a time."""
    return os.cpu_count() or 1


def _load(one: Scenario) -> tuple[float, float, float]:
    """The number of tasks, when the last is due, and the seconds that they take in all; drawn only where it must be."""
    table = one.workload
    if isinstance(table.arrivals, ArrivalTrace) or isinstance(table.service, Empirical):
        load = workload.draw(one, 0)
        return len(load), float(np.nan_to_num(load.intended_s).max()), float(load.service_s.sum())
    last_s = table.expected_duration_s or 0.0
    rate = table.arrivals.rate_per_s if isinstance(table.arrivals, ConstantRate | Poisson) else 0.0
    tasks = rate * last_s or float(table.count or 0)
    return tasks, last_s, tasks * _mean_s(table.service)


def _mean_s(service: Service) -> float:
    match service:
        case Constant(value_s=value):
            return value
        case Uniform(low_s=low, high_s=high):
            return (low + high) / 2
        case Exponential(mean_s=mean) | Lognormal(mean_s=mean):
            return mean
        case Empirical():
            raise AssertionError("drawn instead")
