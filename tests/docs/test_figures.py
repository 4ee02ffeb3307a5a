"""Every figure of the report has a paragraph that says how to read it."""

import re

from tests.docs.pages import ROOT


def test_every_figure_is_explained() -> None:
    sections = (ROOT / "reports" / "templates" / "sections").glob("*.j2")
    drawn = {label for path in sections for label in re.findall(r"\{#fig:([\w-]+)", path.read_text())}
    page = (ROOT / "docs" / "reading-the-report.md").read_text()
    told = {
        name for bold in re.findall(r"^\*\*(`.*?)\*\*", page, re.MULTILINE) for name in re.findall(r"`([\w-]+)`", bold)
    }
    assert drawn
    assert drawn <= told, f"docs/reading-the-report.md does not say how to read {sorted(drawn - told)}"
