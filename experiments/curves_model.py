"""The same points in the model: the load of a point, simulated, read by the same rule."""

from pathlib import Path

import numpy as np
import pandas as pd

from experiments import workload
from experiments.curves_rows import Row, busiest, slot_utilisation
from experiments.curves_rules import steady
from experiments.curves_sweeps import Point
from experiments.simulated import SimulatedWorld
from experiments.world import ExperimentError

MAX_TASKS = 10_000
"""Of one simulated point: in the steady middle more of them change nothing."""


def simulate(sweep: str, point: Point, tasks: int, profile: Path | None) -> Row:
    """One row of the model.

    Raises ExperimentError where the profile cannot be used, or tasks don't end.
    """
    one = point.of(min(tasks, MAX_TASKS), 0)
    measured = SimulatedWorld(one, profile).run(one, workload.draw(one, 0), lambda _: None)
    final = measured.trace[measured.trace["final"]]
    ended = np.sort(final["observed"].dropna().to_numpy(dtype=float))
    if len(ended) < len(final):
        raise ExperimentError(f"the model left {len(final) - len(ended)} tasks open ({point.series}, {point.x:g})")
    times = np.concatenate([[float(final["submitted"].min())], ended])
    found = steady(times, np.arange(len(times), dtype=float), len(ended))
    cores = _cores(measured.resources, found.from_s, found.to_s)
    acknowledged_s = float(final["enqueued"].max() - final["submitted"].min())
    return Row(
        sweep=sweep,
        series=point.series,
        x=point.x,
        world="sim",
        repetition=0,
        tasks=len(ended),
        throughput_per_s=found.rate_per_s,
        elapsed_s=float(times[-1] - times[0]),
        slot_bound_per_s=point.slot_bound_per_s,
        slot_utilisation=slot_utilisation(point, found.rate_per_s),
        offered_per_s=len(ended) / acknowledged_s if acknowledged_s > 0 else None,
        cpu_client=busiest(cores, "client"),
        cpu_scheduler=busiest(cores, "scheduler"),
        cpu_worker=busiest(cores, "worker"),
        cpu_etcd=busiest(cores, "etcd"),
        cpu_watchers=0.0,
        cpu_machine=None,
        cpu_foreign=None,
        fsync_share=None,
        writes_per_task=None,
    )


def _cores(samples: pd.DataFrame, from_s: float, to_s: float) -> dict[str, float]:
    """Cores used between two moments, by component."""
    span_s = max(to_s - from_s, 1e-9)
    used: dict[str, float] = {}
    for name, rows in samples.groupby("component", sort=True):
        low, high = np.interp([from_s, to_s], rows["time_s"], rows["cpu_s"])
        used[str(name)] = float(high - low) / span_s
    return used
