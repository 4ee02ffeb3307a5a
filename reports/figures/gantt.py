"""Which slot ran which task when: a lane for each slot, workers one above the other."""

import heapq

import numpy as np
import pandas as pd
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from reports.figures.style import BOUND, COLOUR, new_figure, styled
from reports.language import gettext
from reports.runs import World

MOST = 900
"""More bars than this cannot be told apart."""
SHADES = (0.55, 0.95)


def lanes(attempts: pd.DataFrame) -> pd.DataFrame:
    """Give each attempt of one worker the lowest lane that is free when it starts."""
    ordered = attempts.sort_values("started", kind="stable")
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    chosen = []
    for start, end in zip(ordered["started"], ordered["ended"], strict=True):
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (end, lane))
        chosen.append(lane)
    return ordered.assign(lane=chosen)


def window(trace: pd.DataFrame) -> tuple[float, float]:
    """From the first start on as long as the bars can be told apart."""
    starts = np.sort(trace["started"].dropna().to_numpy(dtype=float))
    last = float(trace["finished"].max())
    return (float(starts[0]), last) if len(starts) <= MOST else (float(starts[0]), float(starts[MOST]))


@styled
def figure(trace: pd.DataFrame, world: World = "real") -> Figure:
    """Draw a trace's executions (rows with `worker`, `started` and `finished`) as far as they can be told apart."""
    ran = trace[trace["started"].notna() & (trace["worker"] != "")]
    start, end = window(ran)
    shown = ran[(ran["started"] <= end)].assign(ended=ran["finished"].fillna(ran["started"]))
    workers = sorted(shown["worker"].unique(), key=lambda name: (len(str(name)), str(name)))
    result, (axes,) = new_figure(1, 0.7 + 0.75 * len(workers))
    base, middles = 0, []
    for worker in workers:
        rows = lanes(shown[shown["worker"] == worker])
        height = int(rows["lane"].max()) + 1
        bars = [
            [
                (left, base + lane + 0.1),
                (right, base + lane + 0.1),
                (right, base + lane + 0.9),
                (left, base + lane + 0.9),
            ]
            for left, right, lane in zip(rows["started"], rows["ended"], rows["lane"], strict=True)
        ]
        shades = [SHADES[number % 2] for number in rows.groupby("lane").cumcount()]
        axes.add_collection(PolyCollection(bars, facecolors=COLOUR[world], alpha=shades, linewidths=0))
        middles.append(base + height / 2)
        base += height
        axes.axhline(base, color=BOUND, linewidth=0.6)
    axes.set(xlim=(start, end), ylim=(base, 0), xlabel=gettext("time (s)"))
    axes.set_yticks(middles, [str(name) for name in workers])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    return result
