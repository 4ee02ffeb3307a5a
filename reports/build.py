"""`python -m reports.build --runs ROOT --out DIR`: write report.md, report.html, report.pdf and the figures.

The Chinese edition is report.zh.md, report.zh.html, report.zh.pdf and figures.zh.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import jinja2
import typer
from matplotlib.figure import Figure

from reports import facts, headline, language, numbers, render, tables, tables_setting
from reports.figures import burst, latency, polling, scaling
from reports.figures.style import save
from reports.language import LANGUAGES, Language, gettext, mark
from reports.markdown import Md, code, escape
from reports.runs import WORLDS, ReportError, Runs, Scenario, load_runs

TITLE = mark("Tandem: a task scheduler on etcd beside its model")
KINDS = ("md", "html", "pdf")
FIGURES = ("scaling", "polling", "stages", "dispatch", "queue")


def _latencies(scenarios: list[Scenario]) -> Callable[[], Figure]:
    values = {(one.dispatch, world): one.latencies(world, "dispatch") for one in scenarios for world in WORLDS}
    return lambda: latency.ecdf({key: series for key, series in values.items() if len(series)})


def draw(runs: Runs, folder: Path) -> set[str]:
    """Write every figure that the runs have data for; returns their names."""
    points = scaling.points(runs.scaling())
    polled = scaling.points(runs.polling())
    delays = runs.latency()
    means = latency.stage_means(delays)
    bursts = [one for one in runs.select("burst") if any(next(one.traces(world), None) is not None for world in WORLDS)]
    traced = [one for one in delays if any(len(one.latencies(world, "dispatch")) for world in WORLDS)]
    wanted: dict[str, tuple[bool, Callable[[], Figure]]] = {
        "scaling": (len(points) > 0, lambda: scaling.figure(points)),
        "polling": (len(polled) > 0, lambda: polling.figure(polled)),
        "stages": (len(means) > 0, lambda: latency.breakdown(means)),
        "dispatch": (bool(traced), _latencies(traced)),
        "queue": (bool(bursts), lambda: burst.figure(bursts)),
    }
    drawn = {name: make() for name, (available, make) in wanted.items() if available}
    for name, figure in drawn.items():
        save(figure, folder / f"{name}.svg")
    return set(drawn)


def compose(runs: Runs, figures: set[str]) -> str:
    """The report as pandoc Markdown."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(render.TEMPLATES),
        undefined=jinja2.StrictUndefined,
        finalize=escape,
        comment_start_string="{##",  # "{#" opens a label in pandoc's Markdown
        comment_end_string="##}",
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - not HTML: `finalize` escapes for Markdown
    )
    language.install(environment, escape, Md)
    environment.tests["sampled"] = lambda one: one.get("real", "cpu_s_per_1000") is not None
    environment.tests["unrepeated"] = lambda one: any(
        found.n == 1 for world in WORLDS if (found := one.get(world, "throughput_per_s"))
    )
    names: dict[str, Any] = {
        name: getattr(numbers, name)
        for name in ("number", "integer", "interval", "value_of", "duration", "percent", "signed_percent", "error_of")
    }
    names |= {"tables": tables, "setting": tables_setting, "facts": facts, "headline": headline, "code": code}
    names |= {name: getattr(headline, name) for name in ("repetitions", "notation", "bars")}
    date = facts.date_of(runs)
    return environment.get_template("report.md.j2").render(
        **names,
        runs=runs,
        figures=figures,
        warnings=facts.warnings(runs),
        etcd=facts.etcd_of(runs),
        commit=facts.commit_of(runs),
        date=date.strftime("%Y-%m-%d %H:%M UTC") if date else "date unknown",
        everything=list(runs.scenarios.values()),
        scaling=runs.scaling(),
        polling=runs.polling(),
        latency=runs.latency(),
        burst=runs.select("burst"),
        both=[one for one in runs.scenarios.values() if one.has("real") and one.has("sim")],
    )


def file_name(kind: str, lang: Language) -> str:
    """`report.html`, `report.zh.html`."""
    return f"report.{kind}" if lang == "en" else f"report.{lang}.{kind}"


def figures_name(lang: Language) -> str:
    """The folder of an edition's figures."""
    return "figures" if lang == "en" else f"figures.{lang}"


def build(root: Path, out: Path, title: str = TITLE, languages: Sequence[Language] = LANGUAGES) -> list[Path]:
    """Build the editions of the report from the runs below `root`; returns the paths, three for each language.

    Everything is made in a temporary folder first: a failing build leaves an earlier report alone. Raises ReportError.
    """
    runs = load_runs(root)
    with tempfile.TemporaryDirectory(prefix="tandem-report-") as name:
        folder = Path(name)
        for lang in languages:
            with language.speaking(lang):
                _edition(runs, folder, title)
        return [path for lang in languages for path in _publish(folder, out, lang)]


def _edition(runs: Runs, folder: Path, title: str) -> None:
    """Write the files of the current language into `folder`."""
    lang = language.current()
    date = facts.date_of(runs)
    commit = facts.commit_of(runs)
    etcd = facts.etcd_of(runs).get("version")
    parts = [gettext("commit {commit}", commit=commit) if commit else "", f"etcd {etcd}" if etcd else ""]
    head = render.Title(
        gettext(title),
        " · ".join(part for part in parts if part),
        date.strftime("%Y-%m-%d") if date else gettext("date unknown"),
    )
    source = compose(runs, draw(runs, folder / figures_name(lang)))
    pages = render.Pages(source, head, folder, figures_name(lang))
    (folder / file_name("md", lang)).write_text(render.to_gfm(pages), "utf-8")
    (folder / file_name("html", lang)).write_text(render.to_html(pages), "utf-8")
    pdf = render.to_pdf(render.to_typst(pages), folder, facts.build_timestamp(runs))
    (folder / file_name("pdf", lang)).write_bytes(pdf)


def _publish(folder: Path, out: Path, lang: Language) -> list[Path]:
    """Move the finished files of an edition to `out`, replacing an earlier report and nothing else."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        figures = folder / figures_name(lang)
        figures.mkdir(exist_ok=True)  # runs that no figure shows have none
        for name in FIGURES:  # an earlier report's, which this one may not have
            (out / figures.name / f"{name}.svg").unlink(missing_ok=True)
        shutil.copytree(figures, out / figures.name, dirs_exist_ok=True)
        names = [file_name(kind, lang) for kind in KINDS]
        return [Path(shutil.copyfile(folder / name, out / name)) for name in names]
    except OSError as error:
        raise ReportError(f"cannot write to {out}: {error.strerror or error}.") from error


Lang = StrEnum("Lang", list(LANGUAGES))  # type: ignore[misc]  # typer wants an enumeration


def main(
    runs: Annotated[Path, typer.Option(help="Folder of runs: ROOT/<scenario>/metrics.json and so on.")],
    out: Annotated[Path, typer.Option(help="Where report.md, report.html, report.pdf and figures/ go.")],
    title: Annotated[str, typer.Option(help="Title of the report.")] = TITLE,
    lang: Annotated[
        list[Lang] | None, typer.Option(help="Edition to write: English, or Chinese (report.zh.*). Default: both.")
    ] = None,
) -> None:
    """Build the report from saved runs; it measures nothing."""
    try:
        wanted = [one for one in LANGUAGES if not lang or one in {chosen.value for chosen in lang}]
        paths = build(runs, out, title, wanted)
    except ReportError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    for path in paths:
        typer.echo(str(path))


if __name__ == "__main__":
    typer.run(main)
