"""What a fixed pull tick costs: throughput around the service time that just misses its tick."""

import pandas as pd
from matplotlib.figure import Figure

from reports.figures.style import BOUND, COLOUR, LABEL, MARKER, new_figure, styled
from reports.runs import WORLDS, World

TITLES = {"rate": "fixed-rate ticks", "delay": "fixed-delay ticks"}
DODGE: dict[World, float] = {"real": -0.08, "sim": 0.08}


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw `reports.figures.scaling.points(...)` of the polling scenarios: a panel for each kind of ticker."""
    tickers = [ticker for ticker in TITLES if ticker in set(data["ticker"])]
    result, panels = new_figure(len(tickers), 2.4, sharey=True)
    for axes, ticker in zip(panels, tickers, strict=True):
        rows = data[data["ticker"] == ticker]
        times = sorted(rows["service_s"].unique())
        place = {time: index for index, time in enumerate(times)}
        for world in WORLDS:
            part = rows[rows["world"] == world]
            if part.empty:
                continue
            axes.errorbar(
                part["service_s"].map(place) + DODGE[world],
                part["value"],
                yerr=[part["value"] - part["low"], part["high"] - part["value"]],
                color=COLOUR[world], marker=MARKER[world], linestyle="none", capsize=2.5, label=LABEL[world],
            )  # fmt: skip
        for column, style, label in (("slot_bound", "-", "slot bound"), ("tick_bound", ":", "tick bound")):
            bound = rows.drop_duplicates("service_s").set_index("service_s")[column]
            if column == "tick_bound" and ticker != "rate":
                continue
            for time in times:
                at = place[time]
                name = label if at == 0 else None
                axes.plot([at - 0.35, at + 0.35], [bound[time]] * 2, color=BOUND, linestyle=style, label=name, zorder=1)
        axes.set_xticks(range(len(times)), [f"{time:g}" for time in times])
        axes.set(xlabel="service time (s)", title=TITLES[ticker], xlim=(-0.6, len(times) - 0.4))
        axes.grid(visible=False, axis="x")
    panels[0].set_ylabel("throughput (tasks/s)")
    panels[0].set_ylim(0, float(data[["slot_bound", "high"]].max().max()) * 1.1)
    handles, labels = panels[0].get_legend_handles_labels()
    result.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return result
