"""The pages of the documentation, and what stands in them."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "core/DESIGN.md", "sim/VALIDATION.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
PROGRAMS = re.compile(r"(tandem|tandem-bench|make|python -m) ")
_PARSER = MarkdownIt("commonmark").enable("table")


class Place(NamedTuple):
    """Something in a page, and the line where it stands, from 1."""

    text: str
    line: int


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _tokens(page: Path) -> list[Token]:
    return _PARSER.parse(page.read_text(encoding="utf-8"))


def _inline(page: Path) -> Iterator[tuple[Token, int]]:
    for token in _tokens(page):
        for child in token.children or ():
            yield child, (token.map or [0])[0] + 1


def shell_lines(page: Path) -> Iterator[Place]:
    """Lines in blocks of code that start one of our programs, without the prompt."""
    for token in _tokens(page):
        if token.type not in {"fence", "code_block"} or token.info.strip() in {"python", "toml", "json"}:
            continue
        first = (token.map or [0])[0] + (2 if token.type == "fence" else 1)
        prompted = any(line.startswith("$ ") for line in token.content.splitlines())
        for number, line in enumerate(token.content.splitlines(), first):
            if prompted and not line.startswith("$ "):
                continue  # what was printed
            command = line.removeprefix("$ ").strip()
            if PROGRAMS.match(command):
                yield Place(command, number)


def code_words(page: Path) -> Iterator[Place]:
    """What stands in single backquotes."""
    for token, line in _inline(page):
        if token.type == "code_inline":
            yield Place(" ".join(token.content.split()), line)


def links(page: Path) -> Iterator[Place]:
    """Where links and pictures of the page lead."""
    for token, line in _inline(page):
        target = token.attrGet("href") or token.attrGet("src")
        if isinstance(target, str):
            yield Place(target, line)


def anchors(page: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    found: list[str] = []
    tokens = _tokens(page)
    for opening, heading in itertools.pairwise(tokens):
        if opening.type != "heading_open":
            continue
        words = "".join(child.content for child in heading.children or () if child.type in {"text", "code_inline"})
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return set(found)
