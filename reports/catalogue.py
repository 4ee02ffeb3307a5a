"""`python -m reports.catalogue`: bring the catalogues of the other languages up to date with code and templates.

New messages are added without a translation, those no longer used are dropped. Ends with an error while any message
of any language has no translation, so that it can be looked up in the file.
"""

import re
import tomllib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import typer
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from reports.language import LANGUAGES, Language, catalogue_path, first_form

SOURCE = Path(__file__).parent
KEYWORDS: dict[str, Any] = {
    "gettext": None,
    "mark": None,
    "_": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}
METHODS = [("templates/**.j2", "jinja2"), ("**.py", "python")]
OPTIONS = {
    "templates/**.j2": {
        "trimmed": "true",
        "silent": "false",
        "newstyle_gettext": "true",
        "trim_blocks": "true",
        "lstrip_blocks": "true",
        "keep_trailing_newline": "true",
        "comment_start_string": "{##",
        "comment_end_string": "##}",
    }
}
FIELDS = {"template": re.compile(r"%(?:\((\w+)\)s|(%)|.?)"), "code": re.compile(r"\{(\w*)[^{}]*\}")}
WIDTH = 120
NOISE = tuple(f'"{name}' for name in (
    "POT-Creation-Date", "PO-Revision-Date", "Last-Translator", "Report-Msgid-Bugs-To", "Language-Team",
    "Project-Id-Version", "Generated-By",
))  # fmt: skip
"""Lines of the header that differ from one run to the next or name nobody."""


def wanted() -> Catalog:
    """Every message in the code, in the templates and in the list of claims."""
    found = Catalog(project="Tandem", copyright_holder="the Tandem authors", charset="utf-8")
    for file, _, message, comments, context in extract_from_dir(
        SOURCE, METHODS, OPTIONS, KEYWORDS, comment_tags=("Translators:",), strip_comment_tags=True
    ):
        found.add(message, None, [(f"reports/{file}", 0)], auto_comments=comments, context=context)
    for file, text in claim_texts():
        found.add(text, None, [(file, 0)])
    return found


def claim_texts() -> Iterator[tuple[str, str]]:
    """The statements of the claims, which are not code, with their file: `claims.json` carries them into the report."""
    for path in sorted((SOURCE.parent / "experiments").rglob("claims.toml")):
        for claim in tomllib.loads(path.read_text("utf-8"))["claim"]:
            for text in ("stated", "statement"):
                yield path.relative_to(SOURCE.parent).as_posix(), str(claim[text])


def current(language: Language) -> Catalog:
    """The catalogue of a language as it is in the repository."""
    with catalogue_path(language).open("rb") as file:
        return read_po(file, locale=language)


def fields(text: str, kind: str) -> list[str]:
    """The placeholders in a text, sorted; a lone % in a template's text is one too, named by itself: an error."""
    return sorted(found.group(0) for found in FIELDS[kind].finditer(text))


def kind_of(message: Message) -> str:
    """Whether the message is a template's, with `%(name)s`, or the code's, with `{name}`."""
    return "template" if any(file.endswith(".j2") for file, _ in message.locations) else "code"


def faults(language: Language) -> list[str]:
    """What keeps a catalogue from being complete, each in a sentence."""
    needed = {(one.context, first_form(one.id)): one for one in wanted() if one.id}
    have = {(one.context, first_form(one.id)): one for one in current(language) if one.id}
    found = [f"no longer used: {key[1]!r}" for key in have if key not in needed]
    for key, one in needed.items():
        translated = have.get(key)
        text = _text_of(translated)
        sources = one.id if isinstance(one.id, list | tuple) else [one.id]
        if translated is None or not text:
            found.append(f"no translation of {key[1]!r}")
        elif translated.fuzzy:
            found.append(f"not checked (fuzzy): {key[1]!r}")
        elif fields(text, kind_of(one)) not in [fields(source, kind_of(one)) for source in sources]:
            found.append(f"the placeholders differ: {key[1]!r} and {text!r}")
    return found


def _text_of(message: Message | None) -> str:
    return first_form(message.string) if message else ""


def update(language: Language) -> None:
    """Rewrite the catalogue of a language from the sources, keeping its translations."""
    path = catalogue_path(language)
    catalogue = current(language) if path.exists() else Catalog(locale=language, project="Tandem", charset="utf-8")
    catalogue.update(wanted(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.fuzzy = False  # the header
    catalogue.header_comment = "# The report's texts. `make catalogue` renews the messages."
    buffer = BytesIO()
    write_po(buffer, catalogue, width=WIDTH, sort_by_file=True, include_lineno=False, ignore_obsolete=True)
    lines = buffer.getvalue().decode().splitlines(keepends=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line for line in lines if not line.startswith(NOISE)), "utf-8")


def main() -> None:
    """Bring the catalogues up to date."""
    missing = []
    for language in LANGUAGES:
        if language != "en":
            update(language)
            missing += [f"{language}: {one}" for one in faults(language)]
    for one in missing:
        typer.echo(one, err=True)
    if missing:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
