"""What `tandem-bench run` says below its figures."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments import scenario
from experiments.run_console import notes
from experiments.summary import SINGLE_PUTS

SUMMARY: dict[str, Any] = {"throughput_per_s": {"value": 50.0}}


def repetition(out: Path, number: int, world: str = "real", **facts: Any) -> None:
    folder = out / world / str(number)
    folder.mkdir(parents=True)
    (folder / "scenario.toml").write_text("")
    (folder / "environment.json").write_text(json.dumps(facts))


def test_a_disturbed_real_run_is_said_and_a_quiet_one_is_not(tmp_path: Path) -> None:
    one = scenario.load("scaling-3", quick=True)
    repetition(tmp_path, 0, disturbed=False)
    assert notes(one, tmp_path, {"real": SUMMARY}) == []
    repetition(tmp_path, 1, disturbed=True, foreign_cores=0.43)
    (line,) = notes(one, tmp_path, {"real": SUMMARY})
    assert line == (
        "warning: other processes used up to 0.4 cores during 1 of 2 real repetitions; run it again on a quiet machine"
    )


def test_of_the_model_it_is_said_how_far_it_was_validated(tmp_path: Path) -> None:
    near = notes(scenario.load("scaling-3", quick=True), tmp_path, {"sim": SUMMARY})
    assert near[0].startswith("validated: ")
    far = notes(scenario.load("fleet-300"), tmp_path, {"sim": SUMMARY})
    assert "OUTSIDE the validated region in" in far[0]
    assert "workers (300; validated: 1 to 10)" in far[0]


def test_tasks_that_did_not_end_are_told_in_the_table_and_below_it(tmp_path: Path) -> None:
    repetition(tmp_path, 0, disturbed=False)
    counts = {"submitted": 100, "completed": 38, "failed": 0, "lost": 1, "executed_twice": 0, "committed_twice": 0}
    (line,) = notes(scenario.load("scaling-3", quick=True), tmp_path, {"real": SUMMARY | counts})
    assert line == "warning: 61 of 100 tasks did not end (real): the figures are of those that did"
    assert notes(scenario.load("scaling-3", quick=True), tmp_path, {"real": SUMMARY | counts | {"completed": 99}}) == []


@pytest.mark.parametrize(("here_ms", "told"), [(1.2, False), (0.6, True), (2.5, True)])
def test_that_the_parameters_are_of_another_speed_is_said_with_the_remedy(
    tmp_path: Path, here_ms: float, told: bool
) -> None:
    repetition(tmp_path, 0, etcd={"put_p50_ms": here_ms})
    repetition(tmp_path, 0, "sim", model={"cells": [{"cell": SINGLE_PUTS, "p50_ms": 1.0}]})
    lines = notes(scenario.load("scaling-3", quick=True), tmp_path, {"real": SUMMARY, "sim": SUMMARY})
    assert any(f"1 ms there, {here_ms} ms here; 'tandem-bench calibrate --scale" in line for line in lines) is told


def test_that_the_model_was_brought_to_this_machines_speed_is_said_instead(tmp_path: Path) -> None:
    repetition(tmp_path, 0, etcd={"put_p50_ms": 2.5})
    scaled = {"profile": "reference", "python": 1.31, "etcd": 1.2, "disk": 2.0}
    repetition(tmp_path, 0, "sim", model={"scaled": scaled, "cells": [{"cell": SINGLE_PUTS, "p50_ms": 1.0}]})
    lines = notes(scenario.load("scaling-3", quick=True), tmp_path, {"real": SUMMARY, "sim": SUMMARY})
    (said,) = [line for line in lines if "speed" in line]
    assert said.startswith("the model was brought to this machine's speed: Python takes 1.31 times the CPU time")
