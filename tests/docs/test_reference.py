"""The tables and the diagram in the docs are those of the code."""

import re

import pytest

from experiments import reference

SCENARIOS = reference.DOCS / "scenarios.md"


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_page_is_what_the_generator_writes(name: str) -> None:
    text = (reference.DOCS / name).read_text()
    assert reference.written(name, text) == text, "renew it: python -m experiments.reference"


def test_a_page_without_a_table_is_refused() -> None:
    text = SCENARIOS.read_text().replace("<!-- table: measure -->", "")
    with pytest.raises(ValueError, match=r"scenarios.md has places for"):
        reference.written(SCENARIOS.name, text)


def test_a_table_says_what_the_code_says() -> None:
    """Known answers: a limit, a default and a unit, read off the code by a person."""
    rows = {row.split("|")[1].strip(): row for row in SCENARIOS.read_text().splitlines() if row.startswith("| `")}
    assert re.search(r"\| number \| `5.0` \| s \| >= 2 \|", rows["`topology.lease_ttl_s`"])
    assert re.search(r"\| whole number \| `0` \| bytes \| >= 0, <= 262,144 \|", rows["`workload.payload_bytes`"])
    assert "(required)" in rows["`workload.arrivals`"]
    assert "tasks/s" in rows['`"poisson"`']
    assert "`settings.worker.slots`" not in rows, "what the topology fixes cannot be set"
