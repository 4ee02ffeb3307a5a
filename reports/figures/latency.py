"""Where the time goes: stacked stages, and the distribution of a latency as ECDF, as spectrum and over time."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from reports.figures.style import (
    COLOUR,
    HATCHES,
    LINE,
    MODES,
    PARTS,
    label,
    look,
    mode_name,
    new_figure,
    styled,
)
from reports.language import gettext
from reports.numbers import digits
from reports.runs import STAGES, WORLDS, Scenario, World, in_world

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
    rows = [(label(world), means.loc[world]) for world in WORLDS if world in means.index]
    left = np.zeros(len(rows))
    names = [name for name, _ in rows]
    for stage, colour, hatch in zip(OVERHEAD_STAGES, PARTS, HATCHES, strict=True):
        widths = np.array([float(row[stage]) * scale for _, row in rows])
        axes.barh(names, widths, 0.62, left, color=colour, hatch=hatch, edgecolor="white", linewidth=0.3, label=stage)
        left += widths
    for name, end in zip(names, left, strict=True):
        axes.annotate(
            digits(float(end)), (end, name), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7
        )
    axes.set_xlim(0, float(left.max()) * 1.12 or 1.0)
    axes.invert_yaxis()
    for text, world in zip(axes.get_yticklabels(), [w for w in WORLDS if w in means.index], strict=True):
        text.set_color(COLOUR[world])
    axes.grid(visible=False, axis="y")


@styled
def breakdown(means: pd.DataFrame) -> Figure:
    """Draw `stage_means(...)`: a panel for each dispatch mode with its own time axis in milliseconds."""
    modes = [mode for mode in ("watch", "poll") if mode in means.index.get_level_values(0)]
    result, panels = new_figure(1, 0.7 + 0.78 * len(modes), rows=len(modes))
    for axes, mode in zip(panels, modes, strict=True):
        _stack(axes, means.loc[mode], 1000.0)
        axes.set_title(mode_name(mode), loc="left")
    panels[-1].set_xlabel(gettext("mean time of a task, execution left out (ms)"))
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
            name = gettext("{world} (n = {count} tasks)", world=label(world), count=f"{len(values):,}")
            end = max(end, float(values.quantile(SHOWN_SHARE)) * 1000)
            axes.step(
                np.concatenate([[0.0], times * 1000]), np.concatenate([[0.0], shares]), where="post",
                label=name, **look(world),
            )  # fmt: skip
        axes.set(xlabel=gettext("submit to start (ms)"), ylim=(0, 1.02), xlim=(0, end * 1.04 or 1.0))
        axes.set_title(mode_name(mode), loc="left")
        axes.legend(loc="lower right")
    panels[0].set_ylabel(gettext("share of tasks"))
    return result


NINES = (0.5, 0.9, 0.99, 0.999, 0.9999)
LEAST_MS = 1e-3
"""A logarithmic axis has no 0."""


@styled
def spectrum(latencies: Mapping[tuple[str, World], pd.Series]) -> Figure:
    """Percentiles on an axis of 1 / (1 - p): every step to the right leaves a tenth of the tasks. Keys as in `ecdf`."""
    result, (axes,) = new_figure(1, 2.6)
    longest = max((len(values) for values in latencies.values()), default=0)
    for (mode, world), values in latencies.items():
        if len(values):
            shares = 1 - np.geomspace(1.0, 1.0 / len(values), 300)
            times = np.quantile(values.to_numpy(dtype=float), shares, method="inverted_cdf")
            axes.plot(
                1 / (1 - shares), np.maximum(times * 1000, LEAST_MS), color=COLOUR[world], linestyle=LINE[mode],
                label=in_world(gettext(MODES[mode]), world),
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = [share for share in NINES if 1 / (1 - share) <= longest * 1.01]
    axes.xaxis.set_major_locator(FixedLocator([1 / (1 - share) for share in ticks]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * (1 - 1 / value):.6g} %"))
    axes.xaxis.set_minor_locator(FixedLocator([]))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=gettext("percentile of the tasks"), ylabel=gettext("submit to start (ms)"), xlim=(1, None))
    axes.legend(loc="best", ncols=2)
    return result


BINS_OF_TIME, BINS_OF_LATENCY = 60, 36


@styled
def heat(series: Mapping[tuple[str, World], pd.DataFrame]) -> Figure:
    """How many tasks had which latency (ms, logarithmic) when: frames with `at_s` and `latency_s`, keys as in `ecdf`.

    A panel for each mode and world, the modes in rows.
    """
    modes = [mode for mode in ("watch", "poll") if any(key[0] == mode for key in series)]
    worlds = [world for world in WORLDS if any(key[1] == world for key in series)]
    result, panels = new_figure(len(worlds) or 1, 1.75 * (len(modes) or 1) + 0.3, rows=len(modes) or 1, sharex=True)
    for row, mode in enumerate(modes):
        found = [frame for key, frame in series.items() if key[0] == mode and len(frame)]
        if not found:
            continue
        values = np.maximum(pd.concat(found)["latency_s"].to_numpy(dtype=float) * 1000, LEAST_MS)
        edges = np.geomspace(values.min() * 0.95, values.max() * 1.05, BINS_OF_LATENCY + 1)
        end = max(float(frame["at_s"].max()) for frame in found)
        for column, world in enumerate(worlds):
            axes = panels[row * len(worlds) + column]
            _heat_panel(axes, series.get((mode, world)), np.linspace(0, end or 1.0, BINS_OF_TIME + 1), edges)
            axes.set_title(in_world(mode_name(mode), world), loc="left", color=COLOUR[world])
        panels[row * len(worlds)].set_ylabel(gettext("submit to start (ms)"))
    for axes in panels[-len(worlds) :]:
        axes.set_xlabel(gettext("time of the submit (s)"))
    return result


def _heat_panel(axes: Axes, frame: pd.DataFrame | None, times: np.ndarray, edges: np.ndarray) -> None:
    axes.set_yscale("log")
    axes.set_ylim(edges[0], edges[-1])
    axes.grid(visible=False)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if frame is None or not len(frame):
        return
    milliseconds = np.maximum(frame["latency_s"].to_numpy(dtype=float) * 1000, LEAST_MS)
    counts, _, _ = np.histogram2d(frame["at_s"].to_numpy(dtype=float), milliseconds, bins=(times, edges))
    shown = np.ma.masked_equal(counts.T, 0)
    axes.pcolormesh(times, edges, shown, cmap="cividis_r", rasterized=True, vmin=0)
