"""How far off the model is: its errors over scenarios and figures, and the distributions side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from reports.figures.style import COLOUR, LABEL, LINE_OF_WORLD, WIDTH_IN, new_figure, styled
from reports.runs import WORLDS

SHORT = {
    "throughput_per_s": "throughput",
    "steady_throughput_per_s": "steady",
    "makespan_s": "makespan",
    "latency_s.overhead.p50": "overhead p50",
    "latency_s.overhead.p95": "overhead p95",
    "latency_s.overhead.p99": "overhead p99",
    "latency_s.dispatch.p50": "dispatch p50",
    "latency_s.dispatch.p95": "dispatch p95",
    "latency_s.dispatch.p99": "dispatch p99",
    "recovery_s": "recovery",
    "cpu_s_per_1000": "CPU",
}
CLIPPED = 0.5
"""Beyond this share the colour says no more; the number does."""
LIGHT = 0.3
"""Up to this share the colour is light enough for dark text."""
CELL_IN = 0.24
PANELS_A_ROW = 4
PANEL_IN = 1.45
TICKS = 5
LEAST_MS = 1e-3
"""A logarithmic axis has no 0."""


@styled
def errors(results: Sequence[dict[str, Any]]) -> Figure:
    """Signed error of the model by scenario and figure, in per cent; bold where it is beyond its limit."""
    stages = [one["stage"] for one in results[0]["stages"]]
    columns = [*SHORT, *stages]
    values, missed = np.full((len(results), len(columns)), np.nan), np.zeros((len(results), len(columns)), dtype=bool)
    for row, result in enumerate(results):
        known = {one["key"]: one for one in result["figures"]} | {one["stage"]: one for one in result["stages"]}
        for column, key in enumerate(columns):
            one = known.get(key)
            if one is not None and one["error"] is not None:
                values[row, column] = one["error"]
                missed[row, column] = one["met"] is False
    figure, (axes,) = new_figure(1, CELL_IN * len(results) + 1.5)
    image = axes.imshow(np.clip(values, -CLIPPED, CLIPPED), cmap="PuOr_r", vmin=-CLIPPED, vmax=CLIPPED, aspect="auto")
    axes.grid(visible=False)
    labels = [*SHORT.values(), *(name.replace("_", " ") for name in stages)]
    axes.set_xticks(range(len(columns)), labels, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(results)), [str(one["name"]) for one in results])
    axes.axvline(len(SHORT) - 0.5, color="white", linewidth=3)
    for row, column in np.argwhere(np.isfinite(values)):
        _cell(axes, int(row), int(column), float(values[row, column]), missed=bool(missed[row, column]))
    bar = figure.colorbar(image, ax=axes, fraction=0.025, pad=0.01)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:+.0f} %".replace("-", "\u2212")))
    axes.set_title(
        "error of the model, in %: figures (left), mean time in each stage (right); bold: beyond its limit", loc="left"
    )
    return figure


def _cell(axes: Axes, row: int, column: int, value: float, *, missed: bool) -> None:
    rounded = round(value * 100)
    text = f"{rounded:+d}".replace("-", "\u2212") if rounded else "0"
    axes.text(
        column,
        row,
        text,
        ha="center",
        va="center",
        fontsize=5.5 if len(text) <= 4 else 4.5,
        fontweight="bold" if missed else "normal",
        color="black" if abs(value) <= LIGHT else "white",
    )


@styled
def spectra(results: Sequence[dict[str, Any]]) -> Figure:
    """Distribution of the latency without execution, real and model, a panel for each scenario."""
    shown = [one for one in results if one["spectrum"]["real"] and one["spectrum"]["model"]]
    rows = -(-len(shown) // PANELS_A_ROW)
    columns = min(len(shown), PANELS_A_ROW)
    figure, panels = new_figure(columns, PANEL_IN * rows + 0.5, rows, sharey=True)
    figure.set_figwidth(WIDTH_IN)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    for axes, result in zip(panels, shown, strict=False):
        spectrum = result["spectrum"]
        for world in WORLDS:
            milliseconds = np.maximum(np.array(spectrum[LABEL[world]]) * 1000, LEAST_MS)
            look: dict[str, Any] = {"color": COLOUR[world], "linestyle": LINE_OF_WORLD[world], "label": LABEL[world]}
            axes.plot(milliseconds, spectrum["shares"], **look)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=TICKS))
        axes.set_xticks([], minor=True)
        axes.set_title(result["name"], loc="left")
    for axes in panels[-columns:]:
        axes.set_xlabel("ms")
    figure.supylabel("share of tasks", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure
