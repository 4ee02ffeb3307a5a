"""A plan: the latency asked for against the size of the system and against the load, with the target and the answer."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.figures.style import BOUND, COLOUR, MARKER, new_figure, styled
from reports.language import gettext, mark

X_LABELS = (
    mark("slots of each worker"), mark("arrivals per second"), mark("workers"),
)  # fmt: skip
"""What a plan's curves run over."""
CHOSEN = "#009E73"  # bluish green of Okabe and Ito
SHOWN_ABOVE = 3.0
"""What misses the target by more than this factor is cut off: the neighbourhood of the target must stay readable."""


@styled
def figure(plan: dict[str, Any]) -> Figure:
    """Draw a plan as `tandem-bench plan` saves it."""
    target = plan["targets"][0]
    curves = [curve for curve in plan["curves"] if curve["spots"]]
    result, panels = new_figure(max(len(curves), 1), 2.7)
    for axes, curve in zip(panels, curves, strict=False):
        _panel(axes, curve, target)
    if panels:
        _, unit = unit_of(target)
        panels[0].set_ylabel(f"{label_of(target)}{f' ({unit})' if unit else ''}")
    handles, labels = panels[0].get_legend_handles_labels()
    result.legend(handles, labels, loc="outside upper center", ncols=4)
    return result


def _panel(axes: Axes, curve: dict[str, Any], target: dict[str, Any]) -> None:
    scale, _ = unit_of(target)
    spots = [spot for spot in curve["spots"] if spot["value"] is not None]
    xs, values = [spot["x"] for spot in spots], [spot["value"] * scale for spot in spots]
    # with one repetition there is no interval: the bar has no length
    lows = [(spot["value"] if spot["low"] is None else spot["low"]) * scale for spot in spots]
    highs = [(spot["value"] if spot["high"] is None else spot["high"]) * scale for spot in spots]
    axes.fill_between(xs, lows, highs, color=COLOUR["sim"], alpha=0.15, linewidth=0)
    name = gettext("model, with 95 % interval")
    axes.plot(xs, values, color=COLOUR["sim"], marker=MARKER["sim"], label=name)
    bound = target["bound"] * scale
    axes.axhline(
        bound, color=BOUND, linestyle="--", linewidth=1.1, label=gettext("target: {text}", text=target["text"])
    )
    chosen = [(x, value) for x, value in zip(xs, values, strict=True) if x == curve["chosen"]]
    if chosen:
        axes.plot(
            *zip(*chosen, strict=True),
            "o",
            color=CHOSEN,
            markersize=10,
            markerfacecolor="none",
            label=gettext("chosen"),
        )
    runs_over = curve["x_label"]
    axes.set_xlabel(gettext(runs_over))
    if all(float(x).is_integer() for x in xs) and len(xs) < 20:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.set_ylim(0, min(max([bound, *highs]) * 1.1, bound * SHOWN_ABOVE) if target["below"] else None)


def unit_of(target: dict[str, Any]) -> tuple[float, str]:
    """Factor and unit in which a target's figure is drawn."""
    if not target["figure"].startswith("latency_s."):
        return (1.0, "tasks/s") if target["figure"].endswith("_per_s") else (100.0, "%")
    return (1.0, "s") if target["bound"] >= 1.0 else (1000.0, "ms")


def label_of(target: dict[str, Any]) -> str:
    """'total latency, p99'."""
    parts = target["figure"].split(".")
    if len(parts) == 3:
        return gettext("{stage} latency, {quantile}", stage=parts[1].replace("_", " "), quantile=parts[2])
    return str(parts[0]).replace("_", " ")
