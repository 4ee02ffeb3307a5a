"""What each optimisation is worth: the change of a figure when it is left out, with its interval."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.effects import Effect
from reports.figures.style import BOUND, COLOUR, MARKER, label, new_figure, styled
from reports.language import gettext
from reports.runs import WORLDS

TICKS = 4
DODGE = {"real": -0.14, "sim": 0.14}


@styled
def figure(found: Sequence[tuple[str, Sequence[Effect]]]) -> Figure:
    """A panel for each figure (its name, its effects), a row for each scenario."""
    names = list(dict.fromkeys(one.scenario.name for _, effects in found for one in effects))
    result, panels = new_figure(len(found), 0.75 + 0.3 * len(names), sharey=True)
    for axes, (title, effects) in zip(panels, found, strict=True):
        axes.axvline(0, color=BOUND, linewidth=0.9)
        for world in WORLDS:
            own = [one for one in effects if one.world == world and one.estimate.value is not None]
            for number, one in enumerate(own):
                value = float(one.estimate.value or 0.0) * 100
                low, high = (
                    value if edge is None else float(edge) * 100 for edge in (one.estimate.low, one.estimate.high)
                )
                axes.errorbar(value, names.index(one.scenario.name) + DODGE[world],
                              xerr=[[max(value - low, 0)], [max(high - value, 0)]], color=COLOUR[world],
                              marker=MARKER[world], linestyle="none", capsize=2.5,
                              label=None if number else label(world))  # fmt: skip
        axes.set_title(title, loc="left")
        axes.set_xlabel(gettext("change (%)"))
        axes.xaxis.set_major_locator(MaxNLocator(TICKS))
        axes.margins(x=0.1)
        axes.grid(visible=False, axis="y")
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    result.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return result
