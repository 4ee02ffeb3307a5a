"""Short tasks on more and more workers: throughput, the Universal Scalability Law with its band, and the slot bound."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from reports.figures.style import BOUND, COLOUR, MARKER, label, look, new_figure, styled
from reports.language import gettext
from reports.runs import WORLDS, World
from reports.usl import Fit

HEADROOM = 1.25
"""The slot bound of short tasks lies far above what is reached: what is reached must stay readable."""
Points = Mapping[int, Sequence[float]]


@styled
def figure(points: Mapping[World, Points], fits: Mapping[World, Fit | None], bound_per_worker: float | None) -> Figure:
    """Every repetition by the number of workers, and the law through the means; `bound_per_worker` in tasks/s."""
    result, (axes,) = new_figure(1, 2.9)
    highest, sizes = 0.0, set[int]()
    for world in WORLDS:
        each = [(size, value) for size, values in points.get(world, {}).items() for value in values]
        if not each:
            continue
        highest = max(highest, *(value for _, value in each))
        sizes |= {size for size, _ in each}
        dots: dict[str, Any] = {"color": COLOUR[world], "marker": MARKER[world], "linestyle": "none", "alpha": 0.8}
        axes.plot(*zip(*each, strict=True), label=gettext("{world}, each run", world=label(world)), **dots)
        fit = fits.get(world)
        if fit is not None:
            axes.plot(fit.n, fit.rate_per_s, label=gettext("{world}, law", world=label(world)), **look(world))
            if fit.band is not None:
                axes.fill_between(fit.n, *fit.band, color=COLOUR[world], alpha=0.15, linewidth=0)
    if bound_per_worker and sizes:
        ends = [0, max(sizes)]
        axes.plot(ends, [bound_per_worker * size for size in ends], color=BOUND, linewidth=0.9, zorder=1,
                  label=gettext("slot bound"))  # fmt: skip
    axes.set(xlabel=gettext("workers"), ylabel=gettext("throughput (tasks/s)"), ylim=(0, highest * HEADROOM or 1.0))
    axes.set_xlim(0, max(sizes, default=1) * 1.04)
    axes.set_xticks(sorted(sizes))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    result.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=5, columnspacing=1.2)
    return result
