"""From one Markdown source to three files, with pandoc and typst; nothing is taken from the system or the network."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pypandoc
import typst

from reports import fonts
from reports.language import TAGS, current, gettext
from reports.runs import ReportError

TEMPLATES = Path(__file__).parent / "templates"
SOURCE_FORMAT = "markdown+east_asian_line_breaks"  # @fig:name parses as a citation; the filter resolves it
FILTER = TEMPLATES / "crossref.lua"
_MATH_TEXT = re.compile(r'(?<=<mtext mathvariant="italic">)[^<]+')
_FILTER_ERROR = re.compile(r"report: (.+)")


@dataclass(frozen=True)
class Title:
    """The title block."""

    title: str
    subtitle: str
    date: str


@dataclass(frozen=True)
class Pages:
    """What every form of an edition is made from: pandoc Markdown, in which figures are `figures/<name>.svg`."""

    source: str
    title: Title
    folder: Path
    """Where the folder of figures is."""
    figures: str
    """That folder's name."""


def _pandoc(pages: Pages, to: str, arguments: list[str]) -> str:
    """Convert with the cross-reference filter.

    Raises ReportError with the filter's sentence, for instance about an unknown label.
    """
    options = ["--wrap=none", "--columns=10000", f"--lua-filter={FILTER}", f"--resource-path={pages.folder}",
               *_metadata(pages), *arguments]  # fmt: skip
    try:
        return str(pypandoc.convert_text(pages.source, to, format=SOURCE_FORMAT, extra_args=options))
    except RuntimeError as error:
        found = _FILTER_ERROR.search(str(error))
        reason = found.group(1) if found else " ".join(str(error).split())
        raise ReportError(f"the report cannot be built: {reason}") from error


def _metadata(pages: Pages) -> list[str]:
    """The title block, and the words that the filter numbers with; in them, # is the number."""
    title = pages.title
    pairs = {
        "title": title.title, "subtitle": title.subtitle, "date": title.date, "lang": TAGS[current()],
        "figures": pages.figures,
        "label-fig": gettext("Figure #"), "label-tbl": gettext("Table #"), "label-sec": gettext("Section #"),
        "caption-lead": gettext("#."), "list-separator": gettext(", "),
    }  # fmt: skip
    return [item for key, value in pairs.items() for item in ("--metadata", f"{key}={value}")]


def to_gfm(pages: Pages) -> str:
    """GitHub Markdown with explicit anchors and a table of contents."""
    template = TEMPLATES / "report.gfm"
    return _pandoc(pages, "gfm-smart", ["--standalone", "--toc", "--toc-depth=2", f"--template={template}"])


def to_html(pages: Pages) -> str:
    """One file: figures, style, script and, for Chinese, fonts inside; formulas as MathML."""
    words = {
        "contents": gettext("Contents"), "skip": gettext("To the text"), "enlarge": gettext("Enlarge"),
        "close": gettext("Close"), "previous": gettext("Previous figure"), "next": gettext("Next figure"),
    }  # fmt: skip
    files = {"stylesheet": "report.css", "script": "report.js"}
    variables = {f"word-{key}": word for key, word in words.items()} | {
        key: str(TEMPLATES / name) for key, name in files.items()
    }
    arguments = [
        "--standalone", "--embed-resources", "--mathml", "--toc", "--toc-depth=2", "--section-divs",
        f"--template={TEMPLATES / 'report.html'}", *(f"--variable={key}:{value}" for key, value in variables.items()),
    ]  # fmt: skip
    text = _MATH_TEXT.sub(_plain_letters, _pandoc(pages, "html5", [*arguments, *_cjk()]))
    if current() != "zh":
        return text
    return text.replace("</head>", f"<style>\n{fonts.css(text)}\n</style>\n</head>", 1)


def _plain_letters(found: re.Match[str]) -> str:
    """Words in formulas in letters that every font has; pandoc writes mathematical ones, the style makes them slant."""
    return unicodedata.normalize("NFKC", found.group(0))


def _cjk() -> list[str]:
    """For the templates: fonts with Chinese characters are needed."""
    return ["--variable=cjk"] if current() == "zh" else []


def to_typst(pages: Pages) -> str:
    """The source of the PDF."""
    arguments = ["--standalone", f"--template={TEMPLATES / 'report.typ'}", f"--variable=lang-code:{current()}"]
    return _pandoc(pages, "typst-smart", [*arguments, *_cjk()])


def to_pdf(typst_source: str, folder: Path, timestamp: int) -> bytes:
    """Compile; the date is `timestamp` (seconds since the epoch). Raises ReportError.

    The fonts are typst's own and, for Chinese, those of `reports.fonts`; the system's are not looked at.
    """
    path = folder / "report.typ"
    path.write_text(typst_source, "utf-8")
    own = [str(fonts.SANS.parent), str(fonts.SYMBOLS.parent)] if current() == "zh" else []
    try:
        return bytes(
            typst.compile(str(path), root=str(folder), font_paths=own, ignore_system_fonts=True, timestamp=timestamp)
        )
    except typst.TypstError as error:
        raise ReportError(f"typst cannot typeset the report: {' '.join(str(error).split())}") from error
    finally:
        path.unlink()
