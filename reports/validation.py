"""`python -m reports.validation DIR`: the figures and the page of a validation, from DIR/validation.json.

Writes `errors.svg`, `latency.svg` and `validation.md` beside it.
"""

from pathlib import Path
from typing import Annotated, Any

import jinja2
import typer

from reports.figures import validation as figures
from reports.figures.style import save
from reports.render import TEMPLATES
from reports.runs import ReportError, read_json

FILE, PAGE = "validation.json", "validation.md"
MINUS = "\N{MINUS SIGN}"
MAP = {
    "throughput": ("throughput_per_s", "steady_throughput_per_s"),
    "overhead p50": ("latency_s.overhead.p50",),
    "overhead p95": ("latency_s.overhead.p95",),
    "overhead p99": ("latency_s.overhead.p99",),
    "recovery": ("recovery_s",),
    "CPU": ("cpu_s_per_1000",),
}
BOUND_SHARE = 3
"""Significant digits of a value."""


def load(folder: Path) -> dict[str, Any]:
    """What `tandem-bench validate` found. Raises ReportError where the file is broken or not there."""
    path = folder / FILE
    found = read_json(path)
    if not isinstance(found, dict) or not found.get("results"):
        raise ReportError(f"{path} is not of 'tandem-bench validate'.")
    return found


def write(folder: Path) -> Path:
    """Draw the figures and write the page; returns its path. Raises ReportError, OSError."""
    found = load(folder)
    save(figures.errors(found["results"]), folder / "errors.svg")
    save(figures.spectra(found["results"]), folder / "latency.svg")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - Markdown
    )
    environment.filters |= {"signed": signed, "share": share, "number": number}
    page = environment.get_template("validation.md.j2").render(
        found=found,
        results=found["results"],
        map_columns=list(MAP),
        map_cells=map_cells,
        alike=[one for one in found["results"] if one.get("alike")],
        alike_cells=alike_cells,
        predictors=predictors(found["results"]),
        totals=totals(found["results"]),
        verdict=verdict,
        outside=[one for one in found["bands"] if one["verdict"] in ("beyond", "not measured")],
    )
    path = folder / PAGE
    path.write_text(page.rstrip() + "\n", encoding="utf-8")
    return path


def map_cells(result: dict[str, Any]) -> list[str]:
    """The worst error of each group of figures: one that is beyond its limit before one that is not."""
    cells = []
    for keys in MAP.values():
        ones = [one for one in result["figures"] if one["key"] in keys and one["error"] is not None]
        worst = max(ones, key=lambda one: (one["met"] is False, abs(one["error"])), default=None)
        cells.append("" if worst is None else mark(signed(worst["error"]), worst["met"]))
    verdicts = [one["met"] for one in result["stages"] if one["met"] is not None]
    return [*cells, f"{sum(verdicts)} of {len(verdicts)}"]


def alike_cells(result: dict[str, Any]) -> list[str]:
    """Of each group the largest error: over all repetitions, then over those on a machine as quick as the profile's."""
    cells = []
    for keys in MAP.values():
        both = [
            max(
                (one["error"] for one in ones if one["key"] in keys and one["error"] is not None), key=abs, default=None
            )
            for ones in (result["figures"], result["alike"])
        ]
        cells.append(" / ".join(signed(one) for one in both) if None not in both else "")
    return [*cells, str(result["alike"][0]["n"])]


def predictors(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each trivial predictor how often the model beats it, and the mean sizes of both errors."""
    ones = [one for result in results for one in result["predictions"]]
    found = []
    for name in dict.fromkeys(one["predictor"] for one in ones):
        own = [one for one in ones if one["predictor"] == name]
        counts = {verdict: sum(one["verdict"] == verdict for one in own) for verdict in ("beaten", "tied", "lost")}
        sizes = {key: sum(abs(one[key]) for one in own) / len(own) for key in ("error", "model_error")}
        found.append({"name": name, **counts, **sizes})
    return found


def totals(results: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Met and judged: figures, stages."""
    found = {}
    for kind in ("figures", "stages"):
        verdicts = [one["met"] for result in results for one in result[kind] if one["met"] is not None]
        found[kind] = (sum(verdicts), len(verdicts))
    return found


def mark(text: str, met: bool | None) -> str:  # noqa: FBT001 - a value that is shown, not a switch
    """Bold where it is beyond its limit."""
    return f"**{text}**" if met is False else text


def verdict(met: bool | None) -> str:  # noqa: FBT001 - as above
    return {True: "met", False: "**missed**", None: ""}[met]


def signed(value: float | None) -> str:
    """A share as +2.1 % (whole per cents from 10 on)."""
    return "" if value is None else _percent(value, "+")


def share(value: float | None) -> str:
    return "" if value is None else _percent(value, "")


def _percent(value: float, sign: str) -> str:
    places = 0 if abs(value) >= 0.0995 else 1
    return f"{value * 100:{sign}.{places}f} %".replace("-", MINUS)


def number(value: float | None, scale: float = 1.0) -> str:
    """Three digits that matter, with a thousands separator and without an exponent."""
    if value is None:
        return ""
    rounded = float(f"{value * scale:.{BOUND_SHARE}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


def main(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where validation.json is.")]) -> None:
    """Draw the figures of a validation and write its page; it measures nothing."""
    try:
        path = write(folder)
    except (ReportError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(str(path))


if __name__ == "__main__":
    typer.run(main)
