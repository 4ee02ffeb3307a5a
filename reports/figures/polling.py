"""What a fixed pull tick costs: throughput around the service time that just misses its tick."""

import pandas as pd
from matplotlib.figure import Figure

from reports.figures.style import BOUND, COLOUR, MARKER, label, new_figure, styled
from reports.language import gettext
from reports.runs import WORLDS, World

DODGE: dict[World, float] = {"real": -0.15, "sim": 0.15}
ROW_IN, FRAME_IN = 0.3, 0.75


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw `reports.figures.scaling.points(...)` of the polling scenarios, steady figures: a row for each of them."""
    cases = data.drop_duplicates("scenario").sort_values(["ticker", "service_s"], ascending=[False, True])
    place = {name: index for index, name in enumerate(cases["scenario"])}
    result, (axes,) = new_figure(1, FRAME_IN + ROW_IN * len(cases))
    for world in WORLDS:
        part = data[data["world"] == world]
        if len(part):
            axes.errorbar(
                part["steady"],
                part["scenario"].map(place) + DODGE[world],
                xerr=[part["steady"] - part["steady_low"], part["steady_high"] - part["steady"]],
                color=COLOUR[world], marker=MARKER[world], linestyle="none", capsize=2.5, label=label(world),
            )  # fmt: skip
    for column, style, name in (
        ("slot_bound", "-", gettext("slot bound")),
        ("tick_bound", ":", gettext("tick bound")),
    ):
        rows = cases if column == "slot_bound" else cases[cases["ticker"] == "rate"]
        at = rows["scenario"].map(place)
        axes.vlines(
            rows[column], at - 0.38, at + 0.38, color=BOUND, linestyle=style, linewidth=1.4, label=name, zorder=1
        )
    texts = {"rate": gettext("{service} s tasks, fixed rate"), "delay": gettext("{service} s tasks, fixed delay")}
    names = [texts[str(row.ticker)].format(service=f"{row.service_s:g}") for row in cases.itertuples()]
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel=gettext("throughput (tasks/s)"), ylim=(len(names) - 0.5, -0.5))
    axes.set_xlim(0, float(data[["slot_bound", "steady_high"]].max().max()) * 1.06)
    axes.grid(visible=False, axis="y")
    handles, labels = axes.get_legend_handles_labels()
    result.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return result
