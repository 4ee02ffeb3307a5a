"""The messages that docs/troubleshooting.md explains are those of the code."""

import re

import pytest

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
NOT_OURS = {"Argument list too long", "Connection refused", "ModuleNotFoundError: No module named"}
VARIES = re.compile(
    r"\.\.\.|'[^']*'|\b[\d.]+\b|[():;?]|\bscaling-\d+|/tandem/|\b(?:TANDEM_ETCD|resize|worker|task|etcd)\b"
)


def messages() -> list[str]:
    """What stands in backquotes in headings and in the first column of tables, without the commands."""
    text = PAGE.read_text()
    places = re.findall(r"^### (.*)$|^\| (`.*?`) \|", text, re.MULTILINE)
    found = [code for heading, cell in places for code in re.findall(r"`([^`]+)`", heading + cell)]
    return [code for code in found if not re.match(r"(tandem|tandem-bench|make)\b", code)]


def source() -> str:
    """The code, with literals that go over several lines as one."""
    files = [
        path
        for package in ("core", "experiments", "reports")
        for path in (ROOT / package).rglob("*.*")
        if path.suffix in {".py", ".j2"}
    ]
    text = "\n".join(path.read_text() for path in [*files, ROOT / ".ci" / "bootstrap"])
    return " ".join(re.sub(r'"\s*\n\s*f?"', "", text).split())


@pytest.mark.parametrize("message", messages())
def test_a_message_is_one_of_the_code(message: str) -> None:
    code = source()
    pieces = [piece.strip() for piece in VARIES.split(message) if piece and len(piece.strip()) > 6]
    missing = [piece for piece in pieces if piece not in code and not any(piece in other for other in NOT_OURS)]
    assert pieces, "nothing left to look for"
    assert not missing
