"""`tandem-bench validate` once around: real etcd, real processes, the model beside them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 150
COMMAND = [sys.executable, "-m", "experiments.cli", "validate"]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *options], check=False, capture_output=True, text=True, timeout=PATIENCE_S)


def validate(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run("--quick", "--scenario", "workers-1", "--out", str(out), *options)


def result(out: Path) -> dict[str, Any]:
    (found,) = json.loads((out / "validation.json").read_text())["results"]
    return dict(found)


@pytest.mark.timeout(2 * PATIENCE_S)
def test_real_system_and_model_are_compared_on_the_same_load_and_real_runs_serve_again(tmp_path: Path) -> None:
    done = validate(tmp_path / "first", "--real", "1", "--simulated", "2")
    assert done.returncode in (0, 1), done.stderr  # 1: this machine is not the one that the bands are of
    found = result(tmp_path / "first")
    assert (found["real"], found["simulated"], found["unfinished"]) == (1, 2, 0)
    figures = {one["key"]: one for one in found["figures"]}
    assert 20 < figures["throughput_per_s"]["real"] < 55  # ten slots and tasks of 0.2 s: 50/s at most
    assert 20 < figures["throughput_per_s"]["model"] < 55
    assert {"slot bound", "constant latency"} <= {one["predictor"] for one in found["predictions"]}
    assert (tmp_path / "first" / "validation.md").is_file()
    assert (tmp_path / "first" / "errors.svg").is_file()

    again = validate(
        tmp_path / "second", "--real", "1", "--simulated", "1", "--sim-only", "--runs", str(tmp_path / "first")
    )
    assert again.returncode in (0, 1), again.stderr
    assert result(tmp_path / "second")["figures"][0]["real"] == figures["throughput_per_s"]["real"]
    assert not (tmp_path / "second" / "runs" / "workers-1" / "real").exists()


@pytest.mark.timeout(PATIENCE_S)
def test_scenarios_are_drawn_and_compared(tmp_path: Path) -> None:
    """Without bands: nothing is known about them, so nothing is wrong."""
    done = run("--random", "1", "--seed", "4", "--real", "1", "--simulated", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = result(tmp_path)
    assert (found["name"], found["group"], found["real"], found["simulated"]) == ("random-4-1", "random", 1, 1)
    assert (tmp_path / "runs" / "random-4-1" / "scenario.toml").is_file()
    assert "--record" not in done.stdout, "nobody can record bands for them"


@pytest.mark.parametrize("other", [("--stress",), ("--quick",), ("--scenario", "idle"), ("--record", "why")])
def test_random_scenarios_are_a_list_of_their_own(other: tuple[str, ...]) -> None:
    done = run("--random", "2", *other)
    assert done.returncode == 2
    assert "--random goes with neither" in done.stderr
