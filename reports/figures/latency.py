"""Where the time goes: stacked stages of the mean, and the distribution of the dispatch latency."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import (
    COLOUR,
    LABEL,
    LINE,
    STAGE_COLOURS,
    STAGE_HATCHES,
    new_figure,
    styled,
)
from reports.runs import STAGES, WORLDS, Scenario, World

OVERHEAD_STAGES = tuple(stage for stage in STAGES if stage != "execution")


def stage_means(scenarios: Sequence[Scenario]) -> pd.DataFrame:
    """Mean of every stage but the execution, in seconds: a row for each scenario and world, a column for each stage."""
    rows: dict[tuple[str, World], dict[str, float]] = {}
    for scenario in scenarios:
        for world in WORLDS:
            found = {stage: scenario.get(world, f"latency_s.{stage}.mean") for stage in OVERHEAD_STAGES}
            if any(found.values()):
                values = {stage: estimate.value or 0.0 if estimate else 0.0 for stage, estimate in found.items()}
                rows[(f"{scenario.dispatch}", world)] = values
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(OVERHEAD_STAGES))


def _stack(axes: Axes, means: pd.DataFrame, scale: float) -> None:
    """Horizontal bars, one for each world, stage after stage."""
    rows = [(LABEL[world], means.loc[world]) for world in WORLDS if world in means.index]
    left = np.zeros(len(rows))
    names = [name for name, _ in rows]
    for stage, colour, hatch in zip(OVERHEAD_STAGES, STAGE_COLOURS, STAGE_HATCHES, strict=True):
        widths = np.array([float(row[stage]) * scale for _, row in rows])
        axes.barh(names, widths, 0.62, left, color=colour, hatch=hatch, edgecolor="white", linewidth=0.3, label=stage)
        left += widths
    for name, end in zip(names, left, strict=True):
        axes.annotate(f"{end:.3g}", (end, name), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_xlim(0, float(left.max()) * 1.12 or 1.0)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


@styled
def breakdown(means: pd.DataFrame) -> Figure:
    """Draw `stage_means(...)`: a panel for each dispatch mode with its own time axis in milliseconds."""
    modes = [mode for mode in ("watch", "poll") if mode in means.index.get_level_values(0)]
    result, panels = new_figure(1, 0.8 + 0.9 * len(modes), rows=len(modes))
    for axes, mode in zip(panels, modes, strict=True):
        _stack(axes, means.loc[mode], 1000.0)
        axes.set_title(f"{mode} dispatch", loc="left")
    panels[-1].set_xlabel("mean time of a task, execution left out (ms)")
    handles, labels = panels[0].get_legend_handles_labels()
    result.legend(handles, labels, loc="outside lower center", ncols=8, columnspacing=0.9, handlelength=1.4)
    return result


def curve(values: pd.Series, points: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Support points of an empirical distribution, denser in the upper tail: (value, share at or below it)."""
    shares = np.unique(np.concatenate([np.linspace(0, 1, points), 1 - np.geomspace(1e-4, 1e-1, points // 4)]))
    return np.quantile(values.to_numpy(dtype=float), shares, method="inverted_cdf"), shares


@styled
def ecdf(latencies: Mapping[tuple[str, World], pd.Series]) -> Figure:
    """Cumulative distributions of a latency in seconds, keyed by (dispatch mode, world); time axis logarithmic."""
    result, (axes,) = new_figure(1, 2.5)
    for (mode, world), values in latencies.items():
        if len(values):
            times, shares = curve(values.clip(lower=1e-6))
            axes.step(
                times * 1000, shares, where="post", color=COLOUR[world], linestyle=LINE[mode],
                label=f"{mode}, {LABEL[world]} (n = {len(values):,})",
            )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="dispatch latency, submit to start (ms)", ylabel="share of tasks", ylim=(0, 1.02))
    result.legend(loc="outside upper center", ncols=2)
    return result
