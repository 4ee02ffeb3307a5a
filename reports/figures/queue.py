"""The queue under a steady load: its length over time, real in a line for each repetition, the model as a band."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.figures.burst import depth
from reports.figures.style import COLOUR, label, look, new_figure, styled
from reports.language import gettext
from reports.runs import Scenario

POINTS = 200
PANELS_A_ROW = 2
FEW = 4
"""Tasks waiting up to which the axis has fractions."""


def lengths(scenario: Scenario, world: str, until_s: float) -> np.ndarray:
    """Tasks waiting at equal steps of time: a row for each repetition."""
    traces = scenario.traces("real" if world == "real" else "sim")
    return np.array([depth(trace, POINTS, until_s)["waiting"].to_numpy() for trace in traces])


@styled
def figure(scenarios: Sequence[Scenario]) -> Figure:
    """A panel for each scenario, each with its own axes."""
    columns = min(len(scenarios), PANELS_A_ROW) or 1
    rows = -(-len(scenarios) // columns) or 1
    result, panels = new_figure(columns, 1.9 * rows + 0.4, rows=rows)
    for axes in panels[len(scenarios) :]:
        axes.set_axis_off()
    for axes, one in zip(panels, scenarios, strict=False):
        _panel(axes, one)
    named = {text: handle for axes in panels for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    result.legend(list(named.values()), list(named), loc="outside upper center", ncols=3)
    return result


def _panel(axes: Axes, one: Scenario) -> None:
    ends = [float(np.nanmax(trace["committed"])) for world in ("real", "sim") for trace in one.traces(world)]
    until_s = max(ends, default=1.0)
    times = (np.arange(POINTS) + 0.5) * until_s / POINTS
    model, real = lengths(one, "sim", until_s), lengths(one, "real", until_s)
    if len(model) > 1:
        axes.fill_between(times, model.min(axis=0), model.max(axis=0), color=COLOUR["sim"], alpha=0.2, linewidth=0,
                          label=gettext("model, lowest to highest"))  # fmt: skip
    if len(model):
        axes.plot(times, model.mean(axis=0), label=label("sim"), **look("sim", linewidth=1.1))
    for index, values in enumerate(real):
        axes.plot(times, values, label=None if index else label("real"), **look("real", linewidth=1.0, alpha=0.85))
    used = one.utilisation
    title = one.name if used is None else gettext("{name}: utilisation {used}", name=one.name, used=f"{used:.2f}")
    axes.set_title(title, loc="left")
    axes.set(xlabel=gettext("time (s)"), ylabel=gettext("tasks waiting"))
    axes.set_ylim(bottom=0)
    few = axes.get_ylim()[1] < FEW  # averages over a step of time: no whole numbers
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=not few))
    axes.yaxis.set_major_formatter("{x:g}" if few else "{x:,.0f}")
