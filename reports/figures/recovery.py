"""After a fault: how long until each lost task ran again, and one recovery in detail."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from reports.figures.style import BOUND, PARTS, label, look, new_figure, styled
from reports.language import gettext
from reports.runs import WORLDS, Scenario, World
from reports.selection import TAKING

MOST_ROWS = 40
PANELS_A_ROW = 3


def restarts(scenario: Scenario, trace: pd.DataFrame) -> pd.DataFrame:
    """The attempts that were lost with a worker, joined with the next one of the same task that started.

    Columns `fault_s` (when the last fault struck before the restart), `recovery_s`, and the moments of the lost
    attempt (`assigned`) and of the next one (`assign_sent_next`, `started_next`, `finished_next`).
    """
    struck = np.sort([float(fault["at_s"]) for fault in scenario.faults if fault.get("kind") in TAKING])
    moments = ["assign_sent", "started", "finished"]
    lost = trace.loc[~trace["final"].astype(bool) & (trace["outcome"] == "lost"), ["index", "attempt", "assigned"]]
    later = trace.loc[trace["started"].notna(), ["index", "attempt", *moments]]
    pairs = lost.merge(later, on="index", suffixes=("", "_next")).rename(columns={m: f"{m}_next" for m in moments})
    pairs = pairs[pairs["attempt_next"] > pairs["attempt"]].sort_values("attempt_next", kind="stable")
    pairs = pairs.drop_duplicates(["index", "attempt"])
    which = np.searchsorted(struck, pairs["started_next"].to_numpy(dtype=float), side="right") - 1
    pairs = pairs[which >= 0].assign(fault_s=struck[which[which >= 0]])
    return pairs.assign(recovery_s=pairs["started_next"] - pairs["fault_s"])


def times(scenario: Scenario, world: World) -> pd.Series:
    """Seconds from the fault to the restart of every lost task, all repetitions."""
    found = [restarts(scenario, trace)["recovery_s"] for trace in scenario.traces(world)]
    return pd.concat(found, ignore_index=True) if found else pd.Series(dtype="float64")


@styled
def distribution(found: Mapping[str, Mapping[World, pd.Series]]) -> Figure:
    """The share of lost tasks that run again within a time: a panel for each scenario by its name."""
    shown = {name: series for name, series in found.items() if any(len(values) for values in series.values())}
    columns = min(len(shown), PANELS_A_ROW) or 1
    rows = -(-len(shown) // columns) or 1
    result, panels = new_figure(columns, 1.75 * rows + 0.4, rows=rows, sharey=True)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    for axes, (name, series) in zip(panels, shown.items(), strict=False):
        for world in WORLDS:
            values = np.sort(series.get(world, pd.Series(dtype="float64")).to_numpy(dtype=float))
            if len(values):
                shares = np.arange(1, len(values) + 1) / len(values)
                steps = np.concatenate([[0.0], values]), np.concatenate([[0.0], shares])
                axes.step(*steps, where="post", label=label(world), **look(world))
        axes.set_title(name, loc="left")
        axes.set(xlabel=gettext("after the fault (s)"), ylim=(0, 1.03))
        axes.set_xlim(left=0)
    for row in range(rows):
        panels[row * columns].set_ylabel(gettext("share of lost tasks"))
    named = {text: handle for axes in panels for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    result.legend(list(named.values()), list(named), loc="outside upper center", ncols=2)
    return result


@styled
def timeline(pairs: pd.DataFrame, name: str) -> Figure:
    """One recovery, a row for each lost task (see `restarts`): what it waited for, and when it ran again."""
    shown = pairs.sort_values("started_next", kind="stable").head(MOST_ROWS)
    result, (axes,) = new_figure(1, 0.9 + 0.09 * max(len(shown), 8))
    spans: Sequence[tuple[str, Any, Any, str]] = (
        (gettext("assigned to the worker that is lost"), shown["assigned"], shown["fault_s"], PARTS[4]),
        (gettext("until it is noticed, requeued and assigned"), shown["fault_s"], shown["assign_sent_next"], PARTS[0]),
        (gettext("until it starts"), shown["assign_sent_next"], shown["started_next"], PARTS[3]),
        (gettext("runs again"), shown["started_next"], shown["finished_next"], PARTS[1]),
    )
    rows = np.arange(len(shown))
    for text, left, right, colour in spans:
        start = left.fillna(shown["fault_s"]).to_numpy(dtype=float)
        width = np.maximum(right.fillna(shown["started_next"]).to_numpy(dtype=float) - start, 0)
        axes.barh(rows, width, 0.8, start, color=colour, label=text)
    for at in sorted(set(shown["fault_s"])):
        axes.axvline(at, color=BOUND, linewidth=1.1)
    axes.set(xlabel=gettext("time (s)"), ylabel=gettext("lost tasks"), ylim=(len(shown) - 0.4, -0.6))
    axes.set_yticks([])
    axes.set_title(name, loc="left")
    axes.grid(visible=False, axis="y")
    handles = [Patch(color=colour, label=text) for text, *_, colour in spans]
    result.legend(handles=handles, loc="outside upper center", ncols=2)
    return result
