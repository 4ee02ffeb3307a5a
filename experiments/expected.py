"""How long a repetition will take, for plans and for the time left: an estimate, good to a fifth."""

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
SIM_START_S, SIM_TASK_S = 0.2, 0.000_8
"""The model: an interpreter's share of a repetition, and each task, on one core."""


def real_s(one: Scenario) -> float:
    """Seconds of one real repetition."""
    tasks, last_s, work_s = _load(one)
    slots = one.topology.workers * one.topology.slots
    processes = one.topology.workers + one.topology.schedulers + one.topology.etcd_members
    return START_S + PROCESS_S * processes + max(last_s, work_s / slots, tasks / BURST_PER_S)


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
