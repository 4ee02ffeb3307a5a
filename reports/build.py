"""`python -m reports.build --runs ROOT --out DIR`: write the report, its figures and numbers.json.

The English edition is report.md, report.html, report.pdf and figures.
The Chinese edition is report.zh.md, report.zh.html, report.zh.pdf, numbers.zh.json and figures.zh.
"""

import shutil
import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from reports import facts, language, provenance, render
from reports.composing import compose
from reports.drawing import FIGURES, draw
from reports.language import LANGUAGES, Language, gettext, mark
from reports.runs import ReportError, Runs, load_runs

TITLE = mark("Tandem: a task scheduler on etcd beside its model")
KINDS = ("md", "html", "pdf", "json")


def file_name(kind: str, lang: Language) -> str:
    """`report.html`, `report.zh.html`; `numbers.json`, `numbers.zh.json`."""
    stem = "numbers" if kind == "json" else "report"
    return f"{stem}.{kind}" if lang == "en" else f"{stem}.{lang}.{kind}"


def numbers_of(ledger: provenance.Ledger, commit: str | None) -> bytes:
    """numbers.json: every printed number with its sources."""
    return msgspec.json.format(msgspec.json.encode({"commit": commit, "numbers": ledger.rows()}), indent=1) + b"\n"


def figures_name(lang: Language) -> str:
    """The folder of an edition's figures."""
    return "figures" if lang == "en" else f"figures.{lang}"


def build(root: Path, out: Path, title: str = TITLE, languages: Sequence[Language] = LANGUAGES) -> list[Path]:
    """Build the editions of the report from the runs below `root`; returns the paths, four for each language.

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
    drawn = draw(runs, folder / figures_name(lang))
    with provenance.keeping(provenance.Ledger(lambda file: facts.commit_of_file(runs, file))) as ledger:
        source = compose(runs, drawn)
    pages = render.Pages(provenance.strip(source), head, folder, figures_name(lang))
    pointed = render.Pages(ledger.spans(source), head, folder, figures_name(lang))
    (folder / file_name("json", lang)).write_bytes(numbers_of(ledger, commit))
    (folder / file_name("md", lang)).write_text(render.to_gfm(pages), "utf-8")
    (folder / file_name("html", lang)).write_text(render.to_html(pointed), "utf-8")
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
