"""Links between the pages lead somewhere, and files that are named exist."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, code_words, links, name_of

FILE = re.compile(r"(core|sim|experiments|reports|tests|docs|notebooks|\.ci)/[\w./-]*")
MADE_BY_RUNS = ("reports/latest",)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target, line in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        if not to.exists() or (anchor and to.suffix == ".md" and anchor not in anchors(to)):
            broken.append(f"line {line}: {target}")
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_exist(page: Path) -> None:
    named = [(text, line) for text, line in code_words(page) if FILE.fullmatch(text)]
    missing = [
        f"line {line}: {text}"
        for text, line in named
        if not text.startswith(MADE_BY_RUNS) and not (ROOT / text).exists()
    ]
    assert not missing
