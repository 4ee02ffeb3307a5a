"""What planning keeps of a simulated repetition: its figures, and how near to its limit each resource came."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from scipy import stats

from experiments import metrics
from experiments.run import figures_of
from experiments.schema import Scenario
from experiments.workload import Workload
from experiments.world import Measured

MIN_FOR_TREND = 30
"""Tasks; with fewer a trend is chance."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One repetition. `cores`: cores used while tasks arrived, by kind (of the busiest one) and in all ('all').

    `growth`: mean total latency of the last third of the tasks (by time due) over that of the middle third, less 1; a
    system that keeps up stays near 0.
    """

    figures: dict[str, Any]
    slots: float
    cores: dict[str, float]
    stages_s: dict[str, float]
    growth: float
    unfinished: int


def read(one: Scenario, load: Workload, measured: Measured) -> Reading:
    """For `experiments.sweep.gather`."""
    final = measured.trace[measured.trace["final"]]
    last_s = float(np.nan_to_num(load.intended_s).max())
    first_s = min(one.measure.warmup_s, last_s / 2)
    figures = figures_of(one, measured)
    return Reading(
        figures=figures,
        slots=_busy(measured.trace, first_s, last_s) / _slots(one, first_s, last_s),
        cores=cores_used(measured.resources, first_s, last_s),
        stages_s={name: value["mean"] or 0.0 for name, value in figures["latency_s"].items()},
        growth=_growth(final[final["intended"] >= first_s]),
        unfinished=int(measured.environment["unfinished"]),
    )


def _busy(trace: pd.DataFrame, first_s: float, last_s: float) -> float:
    """Slots busy on average between two moments."""
    started = np.clip(trace["started"].to_numpy(), first_s, last_s)
    finished = np.clip(trace["finished"].to_numpy(), first_s, last_s)
    return float(np.nansum(finished - started)) / max(last_s - first_s, 1e-9)


def _slots(one: Scenario, first_s: float, last_s: float) -> float:
    """Slots there are on average between two moments: those of a host that is gone for good count until then."""
    gone_s = sum(
        max(last_s - max(fault.at_s, first_s), 0.0)
        for fault in one.faults
        if fault.kind == "host_kill" and fault.duration_s is None
    )
    share = gone_s / max(last_s - first_s, 1e-9)
    return max(one.topology.workers - share, 1e-9) * one.topology.slots


def cores_used(samples: pd.DataFrame, first_s: float, last_s: float) -> dict[str, float]:
    """Cores used between two moments: by the busiest component of each kind, and by all together."""
    span_s = max(last_s - first_s, 1e-9)
    used: dict[str, float] = {}
    total = 0.0
    for name, rows in samples.groupby("component", sort=True):
        low, high = np.interp([first_s, last_s], rows["time_s"], rows["cpu_s"])
        share = float(high - low) / span_s
        kind = str(name).partition("-")[0]
        used[kind] = max(used.get(kind, 0.0), share)
        total += share
    return {**used, "all": total}


def _growth(final: pd.DataFrame) -> float:
    if final["observed"].notna().sum() < MIN_FOR_TREND:
        return 0.0
    ended = final[final["observed"].notna()].sort_values("intended", kind="stable")
    total = (ended["observed"] - ended["intended"]).to_numpy()
    third = len(total) // 3
    middle, last = total[third : 2 * third].mean(), total[2 * third :].mean()
    return float(last / middle - 1.0) if middle > 0 else 0.0


def summary(readings: list[Reading]) -> metrics.Values:
    """Figures over repetitions, with intervals."""
    return metrics.summarise([reading.figures for reading in readings])


def interval(values: Sequence[float]) -> metrics.Values:
    """Mean and its 95 % interval, as `metrics.figure`, but of numbers that may be negative."""
    count = len(values)
    if not count:
        return {"value": None, "low": None, "high": None, "n": 0}
    mean, spread = float(np.mean(values)), float(stats.sem(values)) if count > 1 else 0.0
    if count == 1 or spread == 0.0:
        bound = None if count == 1 else mean
        return {"value": mean, "low": bound, "high": bound, "n": count}
    low, high = stats.t.interval(metrics.CONFIDENCE, count - 1, loc=mean, scale=spread)
    return {"value": mean, "low": float(low), "high": float(high), "n": count}
