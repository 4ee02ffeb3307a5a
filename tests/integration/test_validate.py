"""`tandem-bench validate` once around: real etcd, real processes, the model beside them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 150
COMMAND = [sys.executable, "-m", "experiments.cli", "validate", "--quick", "--scenario", "workers-1"]


def validate(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--out", str(out), *options]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S)


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
