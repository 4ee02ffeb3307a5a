"""The examples of docs/planning.md show what the saved answers say; their figures are drawn from these."""

from pathlib import Path

import pytest

from experiments.planning import answer
from experiments.planning.console import show_plan
from reports import planning

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["latency", "intervals"])
def test_an_example_is_what_its_saved_answer_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(answer.read(DOCS / "planning" / name))
    shown = "\n".join(line.rstrip() for line in capsys.readouterr().out.strip().splitlines())
    assert shown in (DOCS / "planning.md").read_text()


@pytest.mark.parametrize("name", ["latency", "intervals"])
def test_a_figure_is_drawn_from_the_answer_the_same_each_time(name: str, tmp_path: Path) -> None:
    saved = DOCS / "planning" / name
    (tmp_path / "plan.json").write_bytes((saved / "plan.json").read_bytes())
    assert planning.write(tmp_path).read_bytes() == (saved / "plan.svg").read_bytes()
