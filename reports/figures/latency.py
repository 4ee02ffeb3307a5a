"""Where the time goes: stacked stages of the mean, and the distribution of the dispatch latency."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import (
    COLOUR,
    LABEL,
    LINE_OF_WORLD,
    STAGE_COLOURS,
    STAGE_HATCHES,
    new_figure,
    styled,
)
from reports.numbers import number
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
        axes.annotate(number(end), (end, name), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_xlim(0, float(left.max()) * 1.12 or 1.0)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


@styled
def breakdown(means: pd.DataFrame) -> Figure:
    """Draw `stage_means(...)`: a panel for each dispatch mode with its own time axis in milliseconds."""
    modes = [mode for mode in ("watch", "poll") if mode in means.index.get_level_values(0)]
    result, panels = new_figure(1, 0.7 + 0.78 * len(modes), rows=len(modes))
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


SHOWN_SHARE = 0.995
"""The axis ends where the slowest curve has this share below it: one straggler would squeeze the rest flat."""


@styled
def ecdf(latencies: Mapping[tuple[str, World], pd.Series]) -> Figure:
    """Cumulative distributions of a latency in seconds, keyed by (dispatch mode, world): a panel for each mode."""
    modes = [mode for mode in ("watch", "poll") if any(key[0] == mode and len(latencies[key]) for key in latencies)]
    result, panels = new_figure(len(modes) or 1, 2.3, sharey=True)
    for axes, mode in zip(panels, modes, strict=False):
        end = 0.0
        for world in WORLDS:
            values = latencies.get((mode, world))
            if values is None or not len(values):
                continue
            times, shares = curve(values)
            end = max(end, float(values.quantile(SHOWN_SHARE)) * 1000)
            axes.step(
                np.concatenate([[0.0], times * 1000]), np.concatenate([[0.0], shares]), where="post",
                color=COLOUR[world], linestyle=LINE_OF_WORLD[world],
                label=f"{LABEL[world]} (n = {len(values):,} tasks)",
            )  # fmt: skip
        axes.set(xlabel="submit to start (ms)", ylim=(0, 1.02), xlim=(0, end * 1.04 or 1.0))
        axes.set_title(f"{mode} dispatch", loc="left")
        axes.legend(loc="lower right")
    panels[0].set_ylabel("share of tasks")
    return result
