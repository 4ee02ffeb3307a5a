"""Throughput against the number of workers, and its share of the slot bound."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import BOUND, COLOUR, LINE, MARKER, MODES, new_figure, styled
from reports.language import gettext
from reports.runs import WORLDS, Scenario, World, in_world

DODGE: dict[World, float] = {"real": -0.11, "sim": 0.11}
"""Real and model agree so well that their markers would cover each other: shift them by a ninth of a worker."""


def points(scenarios: Sequence[Scenario]) -> pd.DataFrame:
    """One row for each scenario and world: workers, dispatch, throughput (whole and steady), bounds (tasks/s)."""
    rows = []
    for scenario in scenarios:
        for world in WORLDS:
            found = scenario.get(world, "throughput_per_s") or scenario.get(world, "steady_throughput_per_s")
            if found is None:
                continue
            steady = scenario.get(world, "steady_throughput_per_s") or found
            low, high = (found.value if bound is None else bound for bound in (found.low, found.high))
            steady_low, steady_high = (steady.value if bound is None else bound for bound in (steady.low, steady.high))
            rows.append(
                {
                    "scenario": scenario.name, "world": world, "workers": scenario.workers,
                    "dispatch": scenario.dispatch, "ticker": scenario.ticker, "service_s": scenario.service_s,
                    "value": found.value, "low": low, "high": high, "n": found.n,
                    "steady": steady.value, "steady_low": steady_low, "steady_high": steady_high,
                    "slot_bound": scenario.slot_bound_per_s, "tick_bound": scenario.tick_bound_per_s,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _series(axes: Axes, rows: pd.DataFrame, world: World, dispatch: str, column: str | None) -> None:
    rows = rows.sort_values("workers")
    scale = 100 / rows[column] if column else 1.0
    value, low, high = (rows[name] * scale for name in ("value", "low", "high"))
    axes.errorbar(
        rows["workers"] + DODGE[world],
        value,
        yerr=[(value - low).clip(lower=0), (high - value).clip(lower=0)],
        color=COLOUR[world],
        marker=MARKER[world],
        linestyle=LINE[dispatch],
        markerfacecolor=COLOUR[world] if dispatch == "watch" else "white",
        capsize=2.5,
        elinewidth=1,
        label=in_world(gettext(MODES[dispatch]), world),
    )


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw `points(...)`: left the throughput and its bounds, right the share of the slot bound."""
    result, (left, right) = new_figure(2, 2.3)
    for dispatch in ("watch", "poll"):
        for world in WORLDS:
            rows = data[(data["dispatch"] == dispatch) & (data["world"] == world)]
            if len(rows):
                _series(left, rows, world, dispatch, None)
                _series(right, rows, world, dispatch, "slot_bound")
    bounds = data.drop_duplicates("workers").sort_values("workers")
    left.plot(
        bounds["workers"], bounds["slot_bound"], color=BOUND, linewidth=0.9, label=gettext("slot bound"), zorder=1
    )
    ticks = data.dropna(subset=["tick_bound"])
    if len(ticks):
        share = float((ticks["tick_bound"] / ticks["slot_bound"]).iloc[0])
        look: dict[str, Any] = {"color": BOUND, "linewidth": 0.9, "linestyle": ":"}
        left.plot(bounds["workers"], bounds["slot_bound"] * share, label=gettext("tick bound"), zorder=1, **look)
        right.axhline(share * 100, **look)
    right.axhline(100, color=BOUND, linewidth=0.9)
    left.set(xlabel=gettext("workers"), ylabel=gettext("throughput (tasks/s)"))
    right.set(xlabel=gettext("workers"), ylabel=gettext("share of the slot bound (%)"), ylim=(0, 108))
    for axes in (left, right):
        axes.set_xticks(sorted(data["workers"].unique()))
        axes.set_xlim(data["workers"].min() - 0.6, data["workers"].max() + 0.6)
    left.set_ylim(bottom=0)
    handles, labels = left.get_legend_handles_labels()
    result.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 6), columnspacing=1.2)
    return result
