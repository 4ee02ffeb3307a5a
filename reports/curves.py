"""`python -m reports.curves DIR`: the figures and the page of scaling curves, from the files in DIR.

Reads `<sweep>.json` as `tandem-bench curves` writes it; writes `<sweep>.svg` and `curves.md` beside it.
"""

from pathlib import Path
from typing import Annotated, Any

import jinja2
import typer

from reports.figures import curves as figures
from reports.figures.style import save
from reports.render import TEMPLATES
from reports.runs import ReportError, read_json

ORDER = ("workers", "schedulers", "payload", "backlog", "watchers")
DISTURBED_SHARE = 0.10
"""As for whole runs: an idle desktop stays under a tenth of its cores."""
WORLDS = {"real": "Real", "sim": "Model"}


def load(folder: Path) -> list[dict[str, Any]]:
    """The sweeps in a folder, in the page's order.

    Raises ReportError where a file is broken or there is none.
    """
    found = []
    for name in ORDER:
        path = folder / f"{name}.json"
        if path.is_file():
            sweep = read_json(path)
            if not isinstance(sweep, dict) or "curves" not in sweep:
                raise ReportError(f"{path} is not a sweep of 'tandem-bench curves'.")
            found.append(sweep)
    if not found:
        raise ReportError(f"{folder} holds no curves: 'tandem-bench curves' measures them.")
    return found


def write(folder: Path) -> Path:
    """Draw every sweep in `folder` and write the page; returns its path. Raises ReportError, OSError."""
    sweeps = load(folder)
    for sweep in sweeps:
        save(figures.figure(sweep), folder / f"{sweep['sweep']}.svg")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - Markdown
    )
    page = environment.get_template("curves.md.j2").render(
        sweeps=sweeps, knee_of=knee_of, disturbed=disturbed, integer=integer, percent=percent, number=number
    )
    path = folder / "curves.md"
    path.write_text(page.rstrip() + "\n", encoding="utf-8")
    return path


def knee_of(curve: dict[str, Any]) -> str:
    """The knee of a curve in each world, in words, and the Universal Scalability Law where it fits."""
    sentences = []
    for world, title in WORLDS.items():
        spots = [spot for spot in curve["spots"] if spot["world"] == world]
        if not spots:
            continue
        at = curve["knee"].get(world)
        text = f"no knee up to {integer(spots[-1]['x'])}" if at is None else f"knee at {integer(at)}"
        if world == "real" and at is not None and (binds := _binding_behind(spots, at)):
            text += f" (behind it binds: {binds})"
        sentences.append(f"{title}: {text}.")
        if fit := curve["usl"].get(world):
            peak = f"N* = {fit['peak']:.1f}" if fit["peak"] is not None else "no peak in sight of the data"
            sentences.append(
                f"Universal Scalability Law: sigma = {fit['sigma']:.3g}, kappa = {fit['kappa']:.2g}, "
                f"{peak} (R² = {fit['r2']:.3f})."
            )
    return " ".join(sentences)


def _binding_behind(spots: list[dict[str, Any]], knee: float) -> str:
    """What binds at the points behind the knee, each once."""
    return ", ".join(dict.fromkeys(str(spot["binds"]) for spot in spots if spot["x"] > knee))


def disturbed(sweep: dict[str, Any]) -> str:
    """The points at which other programs used more than a tenth of the machine; empty where there are none."""
    points = {
        f"{integer(spot['x'])} ({curve['series']})"
        for curve in sweep["curves"]
        for spot in curve["spots"]
        if (spot["cpu"]["foreign"] or 0.0) > DISTURBED_SHARE * sweep["cores"]
    }
    total = sum(spot["world"] == "real" for curve in sweep["curves"] for spot in curve["spots"])
    return f"{len(points)} of {total}" if points else ""


def integer(value: float) -> str:
    return f"{value:,.0f}"


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.0f} %"


def main(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files of the sweeps are.")]) -> None:
    """Draw the scaling curves in DIR and write the page; it measures nothing."""
    try:
        path = write(folder)
    except (ReportError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(str(path))


if __name__ == "__main__":
    typer.run(main)
