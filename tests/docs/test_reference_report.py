"""The reference report: there, whole, small enough, and what the README quotes of it is what it says."""

import fnmatch
import json
import re
import tarfile
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

REFERENCE = ROOT / "reports" / "reference"
README = ROOT / "README.md"
EDITIONS = [f"report{language}.{kind}" for language in ("", ".zh") for kind in ("md", "html", "pdf")]
LIMIT_BYTES = 20_000_000


def rows_of(page: Path) -> list[str]:
    """The rows of the table of the claims at a glance, cells apart by one space."""
    rows = [line for line in page.read_text("utf-8").splitlines() if re.match(r"\|\s*\*\*[A-Z]{3}-\d\*\*", line)]
    return [re.sub(r"\s*\|\s*", " | ", row).strip() for row in rows]


@pytest.mark.parametrize("name", [*EDITIONS, "numbers.json", "runs.tar.xz", "containers.json"])
def test_every_edition_is_there_with_its_numbers_and_its_runs(name: str) -> None:
    assert (REFERENCE / name).stat().st_size > 1000


def test_it_is_small_enough_to_be_cloned() -> None:
    assert sum(path.stat().st_size for path in REFERENCE.rglob("*") if path.is_file()) < LIMIT_BYTES


def test_every_number_in_it_comes_from_a_file_among_its_runs() -> None:
    with tarfile.open(REFERENCE / "runs.tar.xz") as runs:
        files = [name.removeprefix("./") for name in runs.getnames()]
    numbers = json.loads((REFERENCE / "numbers.json").read_text())["numbers"]
    asked = {source["file"] for row in numbers for source in row["sources"]}
    assert len(numbers) > 1000
    assert all(row["sources"] for row in numbers)
    assert [name for name in sorted(asked) if not fnmatch.filter(files, name)] == []


def test_the_readme_shows_its_claims_at_a_glance() -> None:
    told, shown = rows_of(REFERENCE / "report.md"), rows_of(README)
    claims = (ROOT / "experiments" / "claims" / "claims.toml").read_text("utf-8")
    assert len(shown) == claims.count("[[claim]]")
    assert shown == told[: len(shown)]


def test_the_readme_shows_three_of_its_figures() -> None:
    shown = re.findall(r"!\[[^\]]*\]\((reports/reference/figures/[\w-]+\.svg)\)", README.read_text("utf-8"))
    assert len(shown) == 3
    assert all((ROOT / path).is_file() for path in shown)
