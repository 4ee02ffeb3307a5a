"""The runner with the model as its world: files, figures, determinism."""

import json
from pathlib import Path

import pytest

from experiments import claims, environment, metrics, scenario, suite
from experiments.run import Step, run_scenario, worlds_of
from experiments.world import ExperimentError

SMALL = """
name = "small"
[topology]
workers = 2
slots = 3
[workload]
count = 60
arrivals = {process = "poisson", rate_per_s = 100}
service = {distribution = "exponential", mean_s = 0.02}
[measure]
repetitions = 2
seed = 7
"""


def run(tmp_path: Path, name: str, *, seed: int | None = None) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    run_scenario(scenario.load(path), worlds_of(["sim"]), tmp_path / name, seed=seed)
    return tmp_path / name


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    one, two, other = run(tmp_path, "one"), run(tmp_path, "two"), run(tmp_path, "other", seed=8)
    for repetition in ("0", "1"):
        for file in ("trace.parquet", "resources.parquet", "metrics.json", "scenario.toml"):
            part = Path("sim") / repetition / file
            assert (one / part).read_bytes() == (two / part).read_bytes(), part
        part = Path("sim") / repetition / "trace.parquet"
        assert (one / part).read_bytes() != (other / part).read_bytes()
    assert (one / "metrics.json").read_bytes() == (two / "metrics.json").read_bytes()
    assert (one / "sim/0/trace.parquet").read_bytes() != (one / "sim/1/trace.parquet").read_bytes()


def test_a_run_directory_is_complete_and_its_scenario_repeats_it(tmp_path: Path) -> None:
    out = run(tmp_path, "one", seed=9)
    facts = json.loads((out / "sim/1/environment.json").read_text())
    assert (facts["world"], facts["seed"], facts["repetition"], facts["disturbed"]) == ("sim", 9, 1, False)
    summary = metrics.read(out / "metrics.json")
    assert list(summary) == ["sim"]
    assert (summary["sim"]["submitted"], summary["sim"]["completed"], summary["sim"]["lost"]) == (120, 120, 0)
    assert summary["sim"]["throughput_per_s"]["n"] == 2
    again = tmp_path / "again"
    run_scenario(scenario.load(out / "scenario.toml"), worlds_of(["sim"]), again)
    assert (again / "sim/1/trace.parquet").read_bytes() == (out / "sim/1/trace.parquet").read_bytes()


def test_what_an_earlier_run_left_is_replaced(tmp_path: Path) -> None:
    out = run(tmp_path, "one")
    (out / "sim").rename(out / "real")
    run(tmp_path, "one")
    assert not (out / "real").exists()


@pytest.mark.parametrize("strange", ["sim/run.py", "real/0/notes.txt", "sim"])
def test_files_that_are_not_from_a_run_are_never_removed(tmp_path: Path, strange: str) -> None:
    file = tmp_path / "one" / strange
    file.parent.mkdir(parents=True)
    file.write_text("precious")
    with pytest.raises(ExperimentError, match="choose another folder"):
        run(tmp_path, "one")
    assert file.read_text() == "precious"


def test_progress_counts_up_to_all_repetitions(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    steps: list[Step] = []
    run_scenario(scenario.load(path), worlds_of(["sim"]), tmp_path / "out", on_step=steps.append)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert (steps[-1].done, steps[-1].total) == (2, 2)


def test_a_suite_writes_what_the_report_reads(tmp_path: Path) -> None:
    suite.run(suite.Plan(suite.load(["burst"], quick=True), tmp_path, ["sim"], jobs=1))
    assert metrics.read(tmp_path / "burst" / "metrics.json")["sim"]["completed"] == 2000
    verdicts = {row["id"]: row["verdict"] for row in json.loads((tmp_path / claims.FILE).read_text())}
    assert verdicts["BUR-1"] == "not run"  # nothing real was measured
    assert "commit" in json.loads((tmp_path / "environment.json").read_text())


@pytest.mark.parametrize(("foreign_s", "disturbed"), [(0.0, False), (100.0, True)])
def test_a_run_is_disturbed_when_others_used_the_cores(*, foreign_s: float, disturbed: bool) -> None:
    before = environment.Load(1000.0, 50.0, (0.0, 0.0, 0.0))
    after = environment.Load(1000.0 + 12.0 + foreign_s, 60.0, (1.0, 0.0, 0.0), stolen_s=foreign_s / 4)
    facts = environment.disturbance(before, after, own_cpu_s=12.0)
    assert facts["disturbed"] is disturbed
    assert facts["foreign_cores"] == pytest.approx(foreign_s / 10)
    assert facts["stolen_cores"] == pytest.approx(foreign_s / 40)
