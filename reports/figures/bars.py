"""Real beside model for a few figures of a few scenarios: one against three members, and sizes past one machine."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from reports.figures.style import COLOUR, MARKER, label, new_figure, styled
from reports.runs import WORLDS, Scenario

TICKS = 4
DODGE = {"real": -0.14, "sim": 0.14}
Wanted = Sequence[tuple[str, str, float]]
"""Title, dotted key, scale."""


@styled
def figure(scenarios: Sequence[Scenario], wanted: Wanted, *, logarithmic: bool = False) -> Figure:
    """A panel for each figure, a row for each scenario, bars with the intervals."""
    names = [one.name for one in scenarios]
    result, panels = new_figure(len(wanted), 0.75 + 0.3 * len(names), sharey=True)
    for axes, (title, key, scale) in zip(panels, wanted, strict=True):
        most = 0.0
        for world in WORLDS:
            drawn = False
            for row, one in enumerate(scenarios):
                found = one.get(world, key)
                if found is None or found.value is None:
                    continue
                value = float(found.value) * scale
                low, high = (value if edge is None else float(edge) * scale for edge in (found.low, found.high))
                most = max(most, high)
                axes.errorbar(value, row + DODGE[world], xerr=[[max(value - low, 0)], [max(high - value, 0)]],
                              color=COLOUR[world], marker=MARKER[world], linestyle="none", capsize=2.5,
                              label=None if drawn else label(world))  # fmt: skip
                drawn = True
        axes.set_title(title, loc="left", fontsize=8)
        if logarithmic:
            axes.set_xscale("log")
            axes.margins(x=0.1)
            low, high = axes.get_xlim()  # within a decade there may be no power of ten to label
            axes.xaxis.set_major_locator(LogLocator(numticks=TICKS) if high >= 10 * low else MaxNLocator(TICKS))
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_xlim(0, most * 1.12 or 1.0)
            axes.xaxis.set_major_locator(MaxNLocator(TICKS))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.grid(visible=False, axis="y")
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    named = {text: handle for axes in panels for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    result.legend(list(named.values()), list(named), loc="outside upper center", ncols=2)
    return result
