"""Small simulated systems for the tests: loads, systems without overhead, and moments out of spools."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from core.model import TaskSpec
from sim.config import Load, SimResult
from sim.parameters import Values

FREE = Values(
    cores=1_000,
    wake_s=0.0,
    network_delay_s=0.0,
    etcd_request_s=0.0,
    etcd_request_item_s=0.0,
    etcd_fsync_s=0.0,
    etcd_fsync_item_s=0.0,
    etcd_apply_s=0.0,
    etcd_apply_item_s=0.0,
    etcd_read_s=0.0,
    etcd_read_item_s=0.0,
    etcd_watch_delay_s=0.0,
    etcd_watch_item_s=0.0,
    send_s=0.0,
    send_item_s=0.0,
    reply_s=0.0,
    reply_item_s=0.0,
    watch_s=0.0,
    watch_item_s=0.0,
    scheduler_event_s=0.0,
    scheduler_item_s=0.0,
    worker_event_s=0.0,
    worker_item_s=0.0,
    client_event_s=0.0,
    client_item_s=0.0,
    submit_call_s=0.0,
    submit_item_s=0.0,
    slot_pickup_s=0.0,
    slot_wrap_s=0.0,
    sleep_overshoot_s=0.0,
)
"""Nothing costs anything: what is left is the queue."""


def load(service_s: Sequence[float] | NDArray[np.float64], intended_s: Sequence[float] | None = None) -> Load:
    count = len(service_s)
    specs = [TaskSpec(f"{number:032x}", "echo") for number in range(count)]
    return Load(specs, service_s, intended_s if intended_s is not None else [0.0] * count)


def poisson(seed: int, count: int, rate_per_s: float) -> list[float]:
    times: list[float] = np.cumsum(np.random.default_rng(seed).exponential(1 / rate_per_s, count)).tolist()
    return times


def moments(result: SimResult, kind: str, column: int = 0) -> dict[str, float]:
    """Task id -> moment of its last row of this kind, in seconds from the start of the load."""
    return {
        task_id: seconds[column] - result.start_s
        for _, row_kind, rows in result.spool
        if row_kind == kind
        for task_id, _, seconds in rows
    }


def interval(means: Sequence[float], confidence: float = 0.99) -> tuple[float, float]:
    """Student's interval for the mean of independent replications."""
    low, high = stats.t.interval(confidence, len(means) - 1, loc=np.mean(means), scale=stats.sem(means))
    return float(low), float(high)
