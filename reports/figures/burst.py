"""A burst draining: how many tasks wait, and how many run or are completed, over time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import BOUND, label, look, new_figure, styled
from reports.language import gettext
from reports.runs import WORLDS, Scenario

Array = np.ndarray[Any, np.dtype[np.float64]]


def _integral(moments: pd.Series, times: Array) -> Array:
    """Integral from 0 to each of `times` of the number of `moments` that have passed."""
    passed = np.sort(moments.dropna().to_numpy(dtype=float))
    sums = np.concatenate([[0.0], np.cumsum(passed)])
    count = np.searchsorted(passed, times, side="right")
    integral: Array = count * times - sums[count]
    return integral


def depth(trace: pd.DataFrame, points: int = 240, until_s: float | None = None) -> pd.DataFrame:
    """Tasks waiting (acknowledged, not started) and running (started, not finished), averaged over equal spans of time.

    Averages, because a sample of tasks shorter than the span would show noise. Where an acknowledgement is not on
    record (its process was killed), the moment of the call stands in.
    """
    enqueued = trace["enqueued"].fillna(trace["submitted"])
    ended = trace["finished"].fillna(trace["started"])
    end = until_s or float(np.nanmax(trace[["finished", "committed"]].to_numpy(dtype=float), initial=0.0))
    edges = np.linspace(0.0, end or 1.0, points + 1)
    width = edges[1] - edges[0]
    came, began, over = (np.diff(_integral(moments, edges)) / width for moments in (enqueued, trace["started"], ended))
    return pd.DataFrame(
        {"time_s": edges[1:] - width / 2, "waiting": np.maximum(came - began, 0), "running": began - over}
    )


def rate(trace: pd.DataFrame, points: int = 60) -> pd.DataFrame:
    """Commits a second in equal spans of time."""
    moments = trace["committed"].dropna().to_numpy(dtype=float)
    edges = np.linspace(0.0, float(moments.max(initial=0.0)) or 1.0, points + 1)
    width = edges[1] - edges[0]
    return pd.DataFrame({"time_s": edges[1:] - width / 2, "completed_per_s": np.histogram(moments, edges)[0] / width})


def _column(scenario: Scenario, top: Axes, bottom: Axes) -> None:
    """Waiting above; below the running ones, or the completions for tasks without duration, of which none is seen."""
    lasting = bool(scenario.service_s)
    for world in WORLDS:
        for index, trace in enumerate(scenario.traces(world)):
            data, done = depth(trace), rate(trace)
            line = look(world, linewidth=1.1, alpha=0.85)
            top.plot(data["time_s"], data["waiting"], label=None if index else label(world), **line)
            if lasting:
                bottom.plot(data["time_s"], data["running"], **line)
            else:
                bottom.plot(done["time_s"], done["completed_per_s"], **line)
    if lasting:
        slots = scenario.workers * scenario.slots
        bottom.axhline(slots, color=BOUND, linewidth=0.9, linestyle=":")
        bottom.set_ylim(0, slots * 1.15)
    bottom.set_ylabel(gettext("tasks running") if lasting else gettext("completed (tasks/s)"))
    service = f"{scenario.service_s or 0:g}"
    kind = gettext("tasks of {service} s", service=service) if lasting else gettext("tasks without duration")
    top.set_title(f"{scenario.name}\n{kind}", loc="left")
    top.set_ylabel(gettext("tasks waiting"))
    bottom.set_xlabel(gettext("time (s)"))
    for axes in (top, bottom):
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter("{x:,.0f}")


@styled
def figure(scenarios: Sequence[Scenario]) -> Figure:
    """A column of two panels for each scenario, a line for each repetition."""
    columns = len(scenarios)
    result, panels = new_figure(columns, 3.1, rows=2, sharex="col")
    for column, scenario in enumerate(scenarios):
        _column(scenario, panels[column], panels[columns + column])
    result.align_ylabels(panels)
    handles, labels = panels[0].get_legend_handles_labels()
    result.legend(handles, labels, loc="outside upper center", ncols=2)
    return result
