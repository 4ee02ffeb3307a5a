"""A burst draining: how many tasks wait and how many run, over time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reports.figures.style import COLOUR, LABEL, new_figure, styled
from reports.runs import WORLDS, Scenario

Array = np.ndarray[Any, np.dtype[np.float64]]
STYLES = {"real": "-", "sim": "--"}


def _integral(moments: pd.Series, times: Array) -> Array:
    """Integral from 0 to each of `times` of the number of `moments` that have passed."""
    passed = np.sort(moments.dropna().to_numpy(dtype=float))
    sums = np.concatenate([[0.0], np.cumsum(passed)])
    count = np.searchsorted(passed, times, side="right")
    integral: Array = count * times - sums[count]
    return integral


def depth(trace: pd.DataFrame, points: int = 240) -> pd.DataFrame:
    """Tasks waiting (acknowledged, not started) and running (started, not finished), averaged over equal spans of time.

    Averages, because a sample of tasks shorter than the span would show noise. Where an acknowledgement is not on
    record (its process was killed), the moment of the call stands in.
    """
    enqueued = trace["enqueued"].fillna(trace["submitted"])
    ended = trace["finished"].fillna(trace["started"])
    end = float(np.nanmax(trace[["finished", "committed"]].to_numpy(dtype=float), initial=0.0))
    edges = np.linspace(0.0, end or 1.0, points + 1)
    width = edges[1] - edges[0]
    came, began, over = (np.diff(_integral(moments, edges)) / width for moments in (enqueued, trace["started"], ended))
    return pd.DataFrame(
        {"time_s": edges[1:] - width / 2, "waiting": np.maximum(came - began, 0), "running": began - over}
    )


@styled
def figure(scenarios: Sequence[Scenario]) -> Figure:
    """A column of two panels for each scenario: tasks waiting above, tasks running below; a line per repetition."""
    columns = len(scenarios)
    result, panels = new_figure(columns, 3.6, rows=2, sharex="col")
    for column, scenario in enumerate(scenarios):
        top, bottom = panels[column], panels[columns + column]
        for world in WORLDS:
            for index, trace in enumerate(scenario.traces(world)):
                data = depth(trace)
                look: dict[str, Any] = {
                    "color": COLOUR[world],
                    "linestyle": STYLES[world],
                    "linewidth": 1.1,
                    "alpha": 0.85,
                }
                top.plot(data["time_s"], data["waiting"], label=None if index else LABEL[world], **look)
                bottom.plot(data["time_s"], data["running"], **look)
        slots = scenario.workers * scenario.slots
        bottom.axhline(slots, color="#555555", linewidth=0.9, linestyle=":")
        bottom.set_ylim(0, slots * 1.15)
        top.set_ylim(bottom=0)
        top.set_title(scenario.name, loc="left")
        bottom.set_xlabel("time (s)")
    panels[0].set_ylabel("tasks waiting")
    panels[columns].set_ylabel("tasks running")
    handles, labels = panels[0].get_legend_handles_labels()
    result.legend(handles, labels, loc="outside upper center", ncols=2)
    return result
