"""Figures of a run (`metrics.json`): of one repetition, and of all of them with intervals.

    {"real": {"throughput_per_s": {"value", "low", "high", "n"}, ..., "submitted": 300, ...}, "sim": {...}}

`low` and `high` bound the 95 % confidence interval of the mean over repetitions (Student's t: few repetitions, roughly
symmetric means; no figure can be negative, so neither can `low`). With one repetition they are null. A figure that does
not exist in a run (nothing completed, no slots to be efficient with) has the value null and n 0. Counts are plain
integers, summed over the repetitions.

What is cut: latencies leave out tasks due before `warmup_s`; the steady figures run from 10 % to 90 % of the commits,
which cuts the filling and the draining of the system.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from experiments import recovery
from experiments.schema import Fault
from experiments.trace import STAGES, stages

CONFIDENCE = 0.95
STEADY_FROM, STEADY_TO = 0.1, 0.9
MIN_STEADY_COMMITS = 10
"""With fewer commits, 10 % of them is no whole task."""

LATENCIES = (*STAGES, "dispatch", "overhead", "total")
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
COUNTS = ("submitted", "completed", "failed", "lost", "executed_twice", "committed_twice")
KINDS = ("client", "scheduler", "worker", "etcd")
"""Whose resources are told apart: the part of a component's name before the dash."""

RESOURCE_COLUMNS = ("time_s", "component", "cpu_s", "rss_bytes", "pss_bytes", "read_bytes", "write_bytes")
"""Samples: seconds from the start, name, CPU seconds used so far (its restarts included), resident memory, proportional
memory (a page that n processes share counts 1/n; in some of the samples only), bytes read from and written to the disk
so far. A worker and its nanny are one component. What is not known is NaN: the model has CPU seconds only, and runs
made before a column was added lack it."""

Values = dict[str, Any]
"""Figures of one repetition: nested dicts of floats (None: does not exist) and, for the counts, integers."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the tasks. `lost`: acknowledged, but neither ended nor waiting anywhere."""

    submitted: int
    lost: int
    executed_twice: int | None
    """None where the workers' spools are not at hand."""
    committed_twice: int


def of_repetition(
    trace: pd.DataFrame,
    resources: pd.DataFrame,
    counts: Counts,
    *,
    slots: int,
    warmup_s: float = 0.0,
    faults: Sequence[Fault] = (),
) -> Values:
    """The figures of one run; `slots` is the number in the whole system."""
    final = trace[trace["final"]]
    done = final[final["outcome"].isin(["succeeded", "failed"])]
    span_s = _span(done)
    throughput, efficiency = _steady(done, slots)
    return {
        "throughput_per_s": _ratio(len(done), span_s),
        "steady_throughput_per_s": throughput,
        "slot_efficiency": efficiency,
        "makespan_s": span_s,
        "latency_s": _latencies(done[done["intended"] >= warmup_s]),
        "queue_depth_max": _depth(trace),
        "recovery_s": recovery.figures(trace, faults),
        **_resources(resources, len(done)),
        "submitted": counts.submitted,
        "completed": len(done),
        "failed": int((done["outcome"] == "failed").sum()),
        "lost": counts.lost,
        "executed_twice": counts.executed_twice,
        "committed_twice": counts.committed_twice,
    }


def _span(done: pd.DataFrame) -> float | None:
    """From the first task due to the last one known to have ended."""
    return _number(done["observed"].max() - done["intended"].min()) if len(done) else None


def _steady(done: pd.DataFrame, slots: int) -> tuple[float | None, float | None]:
    """Commits a second between 10 % and 90 % of the commits, and the share of the slots' time that this is worth.

    The second figure is throughput / (slots / service time): the service times asked for of the tasks committed in
    that window, over the slot seconds in it. 1 means that no slot ever waited.
    """
    moment = "committed" if done["committed"].notna().any() else "observed"  # a deployed system's commits are its own
    ordered = done[done[moment].notna()].sort_values([moment, "index"], kind="stable")
    if len(ordered) < MIN_STEADY_COMMITS:
        return None, None
    first, last = int(STEADY_FROM * len(ordered)), min(int(STEADY_TO * len(ordered)), len(ordered) - 1)
    window_s = float(ordered[moment].iloc[last] - ordered[moment].iloc[first])
    steady = ordered.iloc[first + 1 : last + 1]
    busy_s = float(steady.loc[steady["outcome"] == "succeeded", "service_s"].sum())  # who fails does so at once
    return _ratio(last - first, window_s), _ratio(busy_s, slots * window_s) if busy_s else None


def _latencies(done: pd.DataFrame) -> Values:
    times = stages(done)
    figures: Values = {}
    for stage in LATENCIES:
        values = times[stage].dropna().to_numpy()
        figures[stage] = {"mean": _number(values.mean()) if len(values) else None}
        for name, share in QUANTILES.items():
            figures[stage][name] = _number(np.quantile(values, share)) if len(values) else None
    return figures


def _depth(trace: pd.DataFrame) -> float | None:
    """The most tasks that waited at once: acknowledged, not yet started for the first time.

    Where the acknowledgement is not on record (its process was killed), the moment of the call stands in.
    """
    tasks = trace.assign(came=trace["enqueued"].fillna(trace["submitted"])).groupby("index")[["came", "started"]].min()
    came = np.sort(tasks["came"].dropna().to_numpy())
    went = np.sort(tasks.loc[tasks["came"].notna(), "started"].dropna().to_numpy())
    waiting = np.arange(1, len(came) + 1) - np.searchsorted(went, came, side="right")
    return float(waiting.max()) if len(waiting) else None


@dataclass(frozen=True, slots=True)
class _Use:
    """What one component used."""

    cpu_s: float
    cpu_share: float | None
    write_bytes: float
    rss_bytes: float
    pss_bytes: float


def _use(rows: pd.DataFrame) -> _Use:
    cpu_s = _growth(rows["cpu_s"])
    return _Use(
        cpu_s=cpu_s,
        cpu_share=_ratio(cpu_s, _growth(rows["time_s"])),
        write_bytes=_growth(rows["write_bytes"]),
        rss_bytes=float(rows["rss_bytes"].max()),
        pss_bytes=float(rows["pss_bytes"].max()),
    )


def _growth(counter: pd.Series) -> float:
    return float(counter.max() - counter.min())


def _resources(resources: pd.DataFrame, completed: int) -> Values:
    """What the components used, by kind. `cpu_share_of` is that of the busiest of a kind, the peaks of the largest."""
    kinds: dict[str, list[_Use]] = {kind: [] for kind in KINDS}
    samples = resources.reindex(columns=list(RESOURCE_COLUMNS))  # old runs have fewer
    for name, rows in samples.groupby("component", sort=True):
        kinds.setdefault(str(name).partition("-")[0], []).append(_use(rows))
    used = {kind: sum(one.cpu_s for one in uses) for kind, uses in kinds.items()}
    seen = len(resources) > 0
    return {
        "cpu_s_per_1000": _ratio(sum(used.values()) * 1000, completed) if seen else None,
        "cpu_s_per_1000_of": {kind: _ratio(cpu_s * 1000, completed) if seen else None for kind, cpu_s in used.items()},
        "cpu_share_of": {kind: _most([one.cpu_share for one in uses]) for kind, uses in kinds.items()},
        "rss_peak_mb_of": {kind: _megabytes([one.rss_bytes for one in uses]) for kind, uses in kinds.items()},
        "pss_peak_mb_of": {kind: _megabytes([one.pss_bytes for one in uses]) for kind, uses in kinds.items()},
        "disk_write_bytes_per_task_of": {
            kind: _ratio(sum(one.write_bytes for one in uses), completed) if uses else None
            for kind, uses in kinds.items()
        },
    }


def _most(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None and np.isfinite(value)), default=None)


def _megabytes(sizes: Sequence[float]) -> float | None:
    """The largest in MB; None where nobody has any, as in the model."""
    largest = _most(sizes)
    return largest / 1e6 if largest else None


def _ratio(over: float, under: float | None) -> float | None:
    return _number(over / under) if under else None


def _number(value: Any) -> float | None:
    """JSON knows no NaN."""
    return float(value) if np.isfinite(value) else None


# --- over repetitions --------------------------------------------------------------------------------------------


def figure(values: Sequence[float | None]) -> Values:
    """Mean and its 95 % interval over those repetitions that have the figure."""
    have: NDArray[np.float64] = np.array([value for value in values if value is not None], dtype=np.float64)
    count = len(have)
    if count == 0:
        return {"value": None, "low": None, "high": None, "n": 0}
    mean = float(have.mean())
    if count == 1:
        return {"value": mean, "low": None, "high": None, "n": 1}
    half = float(stdtrit(count - 1, 0.5 + CONFIDENCE / 2) * have.std(ddof=1) / np.sqrt(count))
    return {"value": mean, "low": max(mean - half, 0.0), "high": mean + half, "n": count}


def summarise(repetitions: Sequence[Values]) -> Values:
    """One world's figures over its repetitions (at least one)."""
    result: Values = {}
    for key, value in repetitions[0].items():
        column = [repetition[key] for repetition in repetitions]
        if key in COUNTS:
            result[key] = None if None in column else sum(column)
        elif isinstance(value, dict):
            result[key] = summarise(column)
        else:
            result[key] = figure(column)
    return result


def write(worlds: dict[str, Values], path: Path) -> None:
    """`metrics.json`: summaries by world (`real`, `sim`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(worlds), indent=2) + b"\n")


def read(path: Path) -> dict[str, Values]:
    """Raises ValueError, naming the file, where it is none of ours."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, Any]])
    except (OSError, msgspec.DecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
