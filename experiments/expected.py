"""How long a repetition will take, for plans and for the time left: an estimate, good to a fifth."""

import os

import numpy as np

from experiments import workload
from experiments.schema import Scenario

START_S, PROCESS_S = 4.0, 0.6
"""What starting etcd and the processes takes."""
BURST_PER_S = 5_000.0
"""Tasks without duration that two cores get through."""
SIM_START_S, SIM_TASK_S = 0.5, 0.000_3
"""The model: an interpreter's share of a repetition, and each task, on one core."""


def real_s(one: Scenario) -> float:
    """Seconds of one real repetition."""
    load = workload.draw(one, 0)
    slots = one.topology.workers * one.topology.slots
    last_s = float(np.nan_to_num(load.intended_s).max())
    work_s = max(float(load.service_s.sum()) / slots, len(load) / BURST_PER_S)
    processes = one.topology.workers + one.topology.schedulers + one.topology.etcd_members
    return START_S + PROCESS_S * processes + max(last_s, work_s)


def sim_s(one: Scenario) -> float:
    """Seconds of one simulated repetition on one core."""
    return SIM_START_S + SIM_TASK_S * len(workload.draw(one, 0))


def cores() -> int:
    """How many simulated repetitions run at a time."""
    return os.cpu_count() or 1
