"""From one Markdown source to three files, with pandoc and typst; nothing is taken from the system or the network."""

import re
from dataclasses import dataclass
from pathlib import Path

import pypandoc
import typst

from reports.runs import ReportError

TEMPLATES = Path(__file__).parent / "templates"
SOURCE_FORMAT = "markdown"  # @fig:name parses as a citation; the filter resolves it
FILTER = TEMPLATES / "crossref.lua"
_FILTER_ERROR = re.compile(r"report: (.+)")


@dataclass(frozen=True)
class Title:
    """The title block."""

    title: str
    subtitle: str
    date: str


def _pandoc(source: str, to: str, folder: Path, arguments: list[str]) -> str:
    """Convert with the cross-reference filter; `folder` is where figures are found.

    Raises ReportError with the filter's sentence, for instance about an unknown label.
    """
    options = ["--wrap=none", "--columns=10000", f"--lua-filter={FILTER}", f"--resource-path={folder}", *arguments]
    try:
        return str(pypandoc.convert_text(source, to, format=SOURCE_FORMAT, extra_args=options))
    except RuntimeError as error:
        found = _FILTER_ERROR.search(str(error))
        reason = found.group(1) if found else " ".join(str(error).split())
        raise ReportError(f"the report cannot be built: {reason}") from error


def _metadata(title: Title) -> list[str]:
    pairs = {"title": title.title, "subtitle": title.subtitle, "date": title.date, "lang": "en"}
    return [item for key, value in pairs.items() for item in ("--metadata", f"{key}={value}")]


def to_gfm(source: str, title: Title, folder: Path) -> str:
    """GitHub Markdown with explicit anchors and a table of contents."""
    template = TEMPLATES / "report.gfm"
    arguments = ["--standalone", "--toc", "--toc-depth=2", f"--template={template}", *_metadata(title)]
    return _pandoc(source, "gfm-smart", folder, arguments)


def to_html(source: str, title: Title, folder: Path) -> str:
    """One file: figures and style inside, formulas as MathML."""
    arguments = [
        "--standalone", "--embed-resources", "--mathml", "--toc", "--toc-depth=2", "--section-divs",
        f"--css={TEMPLATES / 'report.css'}", *_metadata(title),
    ]  # fmt: skip
    return _pandoc(source, "html5", folder, arguments)


def to_typst(source: str, title: Title, folder: Path) -> str:
    """The source of the PDF."""
    arguments = ["--standalone", f"--template={TEMPLATES / 'report.typ'}", *_metadata(title)]
    return _pandoc(source, "typst-smart", folder, arguments)


def to_pdf(typst_source: str, folder: Path, timestamp: int) -> bytes:
    """Compile; the fonts are typst's own, the date is `timestamp` (seconds since the epoch). Raises ReportError."""
    path = folder / "report.typ"
    path.write_text(typst_source, "utf-8")
    try:
        return bytes(typst.compile(str(path), root=str(folder), ignore_system_fonts=True, timestamp=timestamp))
    except typst.TypstError as error:
        raise ReportError(f"typst cannot typeset the report: {' '.join(str(error).split())}") from error
    finally:
        path.unlink()
