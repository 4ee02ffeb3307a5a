"""One look for all figures: the real system and the model keep their colour and marker everywhere.

Figures are made without pyplot: nothing global is opened, nothing needs closing.
"""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports import fonts, language
from reports.language import gettext, mark
from reports.runs import WORLD_NAMES, World

COLOUR: dict[World, str] = {"real": "#0072B2", "sim": "#D55E00"}  # blue and vermillion of Okabe and Ito
MARKER: dict[World, str] = {"real": "o", "sim": "^"}
LABEL = WORLD_NAMES
MODES = {"watch": mark("watch"), "poll": mark("poll")}
LINE: dict[str, str] = {"watch": "-", "poll": "--"}
LINE_OF_WORLD: dict[World, str] = {"real": "-", "sim": "--"}
"""Where both lines of a panel are of one dispatch mode."""
P = ParamSpec("P")
R = TypeVar("R")

BOUND = "#555555"

PARTS = ("#E69F00", "#009E73", "#F0E442", "#CC79A7", "#999999", "#7B52AB", "#8A5A2B", "#4D4D4D")
"""Of a whole: stages, kinds of process. Neither of the worlds' colours is among them."""
HATCHES = ("", "///", "", "\\\\\\", "", "...", "", "xxx")

WIDTH_IN = 6.6
"""The text width of the PDF page (A4 less margins), so that fonts keep their size."""

RC: Any = {
    "svg.hashsalt": "tandem",
    "svg.fonttype": "path",
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "legend.fontsize": 7.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.prop_cycle": mpl.rcParamsDefault["axes.prop_cycle"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
    "hatch.linewidth": 0.4,
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def label(world: World) -> str:
    """What a legend calls a world."""
    return gettext(LABEL[world])


def look(world: World, **more: Any) -> dict[str, Any]:
    """Colour and line of a world, where both lines of a panel are of one dispatch mode."""
    return {"color": COLOUR[world], "linestyle": LINE_OF_WORLD[world], **more}


def mode_name(mode: str) -> str:
    """A dispatch mode as a panel's title."""
    return gettext("watch dispatch") if mode == "watch" else gettext("poll dispatch")


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run a figure function under the common settings, whatever the caller's are, with the language's fonts."""

    @wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        settings = dict(RC)
        if language.current() == "zh":
            fonts.add_to_matplotlib()
            settings["font.family"] = [*settings["font.family"], fonts.SANS_NAME]
        with mpl.rc_context(settings):
            return function(*args, **kwargs)

    return inner


def new_figure(columns: int = 1, height_in: float = 2.8, rows: int = 1, **kwargs: Any) -> tuple[Figure, list[Axes]]:
    """A figure of the page's width with `rows` x `columns` panels; the panels row by row."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, **kwargs)
    return figure, [axes for row in panels for axes in row]


@styled
def save(figure: Figure, path: Path) -> Path:
    """Write an SVG that depends on nothing but the figure: no date, no random ids, no fonts to look up."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})
    return path
