"""How long it takes until the tasks that were lost with a worker run again.

Lost with a worker are the tasks whose attempt ended as lost: those that it ran or held, and those assigned to it
before its lease was gone. The time counts from the fault, as far as the scenario says when it strikes, to the start of
the task's next attempt: detection, requeueing, assignment and whatever else the task waits for.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from experiments.schema import Fault

TAKING = ("worker_kill", "host_kill", "worker_stop", "partition")
"""Faults that take the tasks from a worker. One that drains hands them back instead."""
QUANTILES = {"p50": 0.5, "p95": 0.95}

Figures: TypeAlias = dict[str, float | None]


def restarts(rows: pd.DataFrame, faults: Sequence[Fault]) -> pd.DataFrame:
    """A row for each task that a fault cost an attempt and that started again: `fault` (by time, from 0), `recovery_s`.

    `rows`: a trace. The fault is the last one on the attempt's worker before the restart; where nobody knows which
    worker had the attempt (it was assigned to one that was dead already), the last one on any.
    """
    taking = sorted((fault for fault in faults if fault.kind in TAKING), key=lambda fault: fault.at_s)
    if not taking:
        return pd.DataFrame({"fault": [], "recovery_s": []})
    lost = rows.loc[~rows["final"] & (rows["outcome"] == "lost"), ["index", "attempt", "worker"]]
    again = _next_starts(lost, rows)
    which = np.full(len(again), -1)
    for number, fault in enumerate(taking):
        its_own = again["worker"].isin(["", fault.target])
        which[(its_own & (again["started"] >= fault.at_s)).to_numpy()] = number
    struck = np.array([fault.at_s for fault in taking])[which]
    found = pd.DataFrame(
        {"index": again["index"].to_numpy(), "fault": which, "recovery_s": again["started"].to_numpy() - struck}
    )
    ordered = found[which >= 0].sort_values("recovery_s", kind="stable")
    return ordered.drop_duplicates(["index", "fault"], keep="last")[["fault", "recovery_s"]]


def _next_starts(lost: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The lost attempts that were followed by one that started, with the first such start."""
    later = rows.loc[rows["started"].notna(), ["index", "attempt", "started"]]
    pairs = lost.merge(later, on="index", suffixes=("", "_later"))
    pairs = pairs[pairs["attempt_later"] > pairs["attempt"]].sort_values("attempt_later", kind="stable")
    return pairs.drop_duplicates(["index", "attempt"], keep="first")


def figures(rows: pd.DataFrame, faults: Sequence[Fault]) -> Figures:
    """`recovery_s` of `metrics.json`: quantiles over the lost tasks, seconds; None where nothing was lost."""
    times = restarts(rows, faults)["recovery_s"]
    found: Figures = dict.fromkeys((*QUANTILES, "max"))
    if len(times):
        found |= {name: float(times.quantile(share)) for name, share in QUANTILES.items()}
        found["max"] = float(times.max())
    return found


def until_all(rows: pd.DataFrame, faults: Sequence[Fault]) -> float | None:
    """Seconds from a fault until the last of the tasks lost by it has started again; the mean over the faults.

    None where nothing was lost.
    """
    times = restarts(rows, faults).groupby("fault")["recovery_s"].max()
    return float(times.mean()) if len(times) else None
