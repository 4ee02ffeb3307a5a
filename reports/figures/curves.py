"""A scaling curve: every repetition, the median, the slots' bound, the knee, and which resource binds from where."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from reports.figures.style import BOUND, COLOUR, LABEL, LINE_OF_WORLD, MARKER, new_figure, styled
from reports.runs import WORLDS, World

KNEE = "#009E73"  # bluish green of Okabe and Ito
PANELS_A_ROW = 2
WIDE_IN, NARROW_IN = 2.7, 2.3
"""Height of a single panel, and of a row of them."""
HEADROOM = 1.45
"""Above the highest point: what binds is written there."""
SHORT = {
    "the machine's cores": "cores",
    "etcd's fsync": "fsync",
    "nothing measured binds: waiting": "waiting",
    "offered load": "offered",
}


@styled
def figure(sweep: dict[str, Any]) -> Figure:
    """Draw one sweep: a panel for each of its curves."""
    curves = [curve for curve in sweep["curves"] if curve["spots"]]
    columns = min(len(curves), PANELS_A_ROW)
    rows = -(-len(curves) // columns)
    result, panels = new_figure(columns, (WIDE_IN if rows * columns == 1 else NARROW_IN) * rows + 0.2, rows)
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    for axes, curve in zip(panels, curves, strict=False):
        _panel(axes, curve, sweep)
        if len(curves) > 1:
            axes.set_title(f"tasks of {curve['series']}", loc="left")
    named = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    named = dict(sorted(named.items(), key=lambda item: not item[0].startswith(tuple(LABEL.values()))))
    result.legend(list(named.values()), list(named), loc="outside upper center", ncols=5, columnspacing=1.2)
    return result


def _panel(axes: Axes, curve: dict[str, Any], sweep: dict[str, Any]) -> None:
    for world in WORLDS:
        spots = [spot for spot in curve["spots"] if spot["world"] == world]
        if spots:
            _line(axes, spots, world)
    spots = [spot for spot in curve["spots"] if spot["world"] == "real"]
    bounds = [(spot["x"], spot["slot_bound_per_s"]) for spot in spots if spot["slot_bound_per_s"]]
    if bounds:
        axes.plot(*zip(*bounds, strict=True), color=BOUND, linewidth=0.9, label="slot bound", zorder=1)
    # the bound may lie far above what is reached (short tasks): what is reached must stay readable
    highest = max((spot["throughput_per_s"]["high"] for spot in curve["spots"]), default=0.0)
    axes.set_ylim(0, highest * HEADROOM)
    if (at := curve["knee"].get("real")) is not None:
        axes.axvline(at, color=KNEE, linewidth=1.1, linestyle="-.", label="knee (real)", zorder=1)
    _resources(axes, spots)
    if sweep["logarithmic"]:
        axes.set_xscale("log")
    axes.set_xticks(sorted({spot["x"] for spot in curve["spots"]}))
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set(xlabel=sweep["x_label"], ylabel="tasks/s")
    axes.margins(x=0.08)


def _line(axes: Axes, spots: Sequence[dict[str, Any]], world: World) -> None:
    x = [spot["x"] for spot in spots]
    rates = [spot["throughput_per_s"] for spot in spots]
    median = [rate["median"] for rate in rates]
    repeated = any(rate["n"] > 1 for rate in rates)
    axes.errorbar(
        x,
        median,
        yerr=[[rate["median"] - rate["low"] for rate in rates], [rate["high"] - rate["median"] for rate in rates]],
        color=COLOUR[world],
        marker=MARKER[world],
        linestyle=LINE_OF_WORLD[world],
        capsize=2.5,
        elinewidth=1,
        label=f"{LABEL[world]}, median" if repeated else LABEL[world],
    )
    if repeated:
        each = [(spot["x"], value) for spot in spots for value in spot["repetitions"]]
        look: dict[str, Any] = {"color": COLOUR[world], "alpha": 0.45, "s": 8, "linewidths": 0, "zorder": 3}
        axes.scatter(*zip(*each, strict=True), label=f"{LABEL[world]}, each repetition", **look)


def _resources(axes: Axes, spots: Sequence[dict[str, Any]]) -> None:
    """What binds, along the top of the panel, wherever it is another than at the point before."""
    before = ""
    for spot in spots:
        name = str(spot["binds"]).removeprefix("Python process ")
        name = SHORT.get(name, name)
        if name != before:
            axes.annotate(
                name,
                (spot["x"], 1),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="top",
                rotation=90,
                fontsize=6.5,
                color=BOUND,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )
        before = name
