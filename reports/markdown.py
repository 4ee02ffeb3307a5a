"""Pieces of pandoc Markdown: escaping, and tables that the filter numbers.

Data is untrusted text: everything the templates print is escaped unless it is `Md`.
"""

import re
from collections.abc import Sequence
from typing import Any

from reports.numbers import MISSING, number

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~^$@])")


class Md(str):
    """Text that already is Markdown."""

    __slots__ = ()


def escape(value: Any) -> Md:
    """Any value as Markdown text on one line: strings escaped, numbers rounded, nothing as a dash."""
    if isinstance(value, Md):
        return value
    if value is None:
        return Md(MISSING)
    if isinstance(value, bool):
        return Md("yes" if value else "no")
    if isinstance(value, float):
        return Md(number(value))
    text = _SPECIAL.sub(r"\\\1", " ".join(str(value).split(" ")).replace("\n", " ").replace("\r", ""))
    return Md(text.replace("--", r"\-\-").replace("...", "…"))


def code(value: Any) -> Md:
    """A path, name or command in a fixed font."""
    text = str(value).replace("\n", " ").replace("|", r"\|")
    fence = "``" if "`" in text else "`"
    return Md(f"{fence}{text}{fence}") if text else Md(MISSING)


def table(
    label: str,
    caption: str,
    header: Sequence[str],
    rows: Sequence[Sequence[Any]],
    align: str,
    *,
    widths: Sequence[int] | None = None,
    small: bool = False,
) -> Md:
    """A captioned table `tbl:<label>`.

    `align` has a letter (l, c, r) for each column. `widths` are percentages of the text width for tables whose cells
    wrap; without them the columns take what they need. `small` sets a smaller font on paper.
    """
    rule = {"l": ":--", "c": ":-:", "r": "--:"}
    attributes = [".table"]
    if widths:
        attributes.append(f'widths="{" ".join(map(str, widths))}"')
    if small:
        attributes.append('small="1"')
    lines = [
        "::: {" + " ".join(attributes) + "}",
        "",
        "| " + " | ".join(escape(name) for name in header) + " |",
        "|" + "|".join(rule[letter] for letter in align) + "|",
        *("| " + " | ".join(escape(cell) for cell in row) + " |" for row in rows),
        "",
        f": {caption} {{#tbl:{label}}}",
        "",
        ":::",
    ]
    return Md("\n".join(lines))
