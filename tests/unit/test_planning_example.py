"""The plan of every report is made once, and again when something it rests on has changed."""

from pathlib import Path
from typing import Any

import pytest

from experiments.planning import answer, example
from sim.parameters import REFERENCE


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The questions that were put to the planner, which here answers at once."""
    asked: list[Any] = []

    def plan(question: Any, _values: Any, out: Path, **_: Any) -> None:
        asked.append(question)
        (out / answer.PLAN).write_text("{}")

    monkeypatch.setattr(answer, "plan", plan)
    return asked


def test_a_plan_that_is_there_is_kept(tmp_path: Path, plans: list[Any]) -> None:
    example.write(tmp_path, quick=True, profile=None)
    example.write(tmp_path, quick=True, profile=None)
    assert len(plans) == 1
    assert (tmp_path / answer.PLAN).read_text() == "{}"


def test_another_size_another_plan(tmp_path: Path, plans: list[Any]) -> None:
    example.write(tmp_path, quick=True, profile=None)
    example.write(tmp_path, quick=False, profile=None)
    assert [question.tasks for question in plans] == [example.QUICK_TASKS, None]


def test_code_that_has_changed_another_plan(tmp_path: Path, plans: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    example.write(tmp_path, quick=True, profile=None)
    monkeypatch.setattr(example, "digest", lambda _: "another")
    example.write(tmp_path, quick=True, profile=None)
    assert len(plans) == 2


def test_parameters_that_were_measured_anew_another_plan(tmp_path: Path, plans: list[Any]) -> None:
    profile = tmp_path / "profile.json"
    for change in (b"", b"", b"\n"):
        profile.write_bytes(REFERENCE.read_bytes() + change)
        example.write(tmp_path, quick=True, profile=profile)
    assert len(plans) == 2


def test_it_asks_what_the_documentation_asks() -> None:
    question = example.question(quick=False)
    assert question.rate_per_s == 100.0
    assert question.service_moments[0] == pytest.approx(0.1)
    assert [target.text for target in question.targets] == ["p99<0.6"]
