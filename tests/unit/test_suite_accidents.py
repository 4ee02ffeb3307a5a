"""Real repetitions that fail or are disturbed, without a real world."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.etcd import slow_flush
from experiments import metrics, scenario, suite, suite_console
from experiments.suite import Job, Plan
from experiments.validation.store import DONE
from experiments.world import ExperimentError
from tests.unit.suite_bench import plan, small

# --- real repetitions, without a real world


class Broken:
    """Real repetitions that fail, or are disturbed, as they are told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, failing: Sequence[str] = (), foreign: float = 0.0) -> None:
        self.run: list[str] = []
        self.failing, self.foreign = failing, foreign
        monkeypatch.setattr(suite, "_run_real", self._run)

    def _run(self, _plan: Plan, job: Job, _tell: Any) -> None:
        if job.scenario.name in self.failing:
            raise ExperimentError("no etcd")
        self.run.append(job.title)
        job.directory.mkdir(parents=True, exist_ok=True)
        scenario.write(job.scenario, job.directory)
        facts = {"etcd": {"version": "3"}, "disturbed": self.foreign > 0, "foreign_cores": self.foreign}
        (job.directory / "environment.json").write_text(json.dumps(facts))
        figure = {"value": 1.0, "low": None, "high": None, "n": 1}
        values = {"throughput_per_s": figure, "steady_throughput_per_s": figure, "submitted": 1, "completed": 1}
        values |= {"lost": 0, "executed_twice": 0, "committed_twice": 0}
        metrics.write({"real": values}, job.directory / "metrics.json")
        (job.directory / DONE).write_bytes(msgspec.json.encode({"key": job.key}))


def test_one_that_fails_does_not_end_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = Broken(monkeypatch, failing=["bad"])
    how = plan(tmp_path, small(tmp_path, "bad", 1), small(tmp_path, "good", 1), worlds=["real"])
    outcome = suite.run(how)
    assert (outcome.run, outcome.failed) == (1, {"bad 1 of 1": "no etcd"})
    assert "bad 1 of 1 could not be run: no etcd" in suite_console.advice(how, outcome)
    world.failing = ()
    assert suite.run(how).run == 1


def test_three_failures_in_a_row_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Broken(monkeypatch, failing=["a", "b", "c"])
    ones = [small(tmp_path, name, 1) for name in ("a", "b", "c")]
    with pytest.raises(ExperimentError, match="no etcd"):
        suite.run(plan(tmp_path, *ones, worlds=["real"]))


def test_disturbed_repetitions_are_told_and_run_again_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Broken(monkeypatch, foreign=0.7)
    how = plan(tmp_path, worlds=["real"])
    outcome = suite.run(how)
    (sentence,) = suite_console.advice(how, outcome)
    assert sentence.startswith("2 of 2 real repetitions were disturbed: others used up to 0.7 cores")
    assert "--repeat-disturbed" in sentence
    assert "small/0, small/1" in json.loads((tmp_path / "runs/environment.json").read_text())["disturbance"]
    assert suite.missing(how) == []
    world.foreign = 0.0
    again = plan(tmp_path, worlds=["real"], repeat_disturbed=True)
    assert suite.run(again).run == 2
    assert suite_console.advice(again, suite.run(again)) == []


def test_a_world_that_is_not_asked_for_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Broken(monkeypatch)
    suite.run(plan(tmp_path, worlds=["real"]))
    suite.run(plan(tmp_path, worlds=["sim"]))
    assert set(metrics.read(tmp_path / "runs/small/metrics.json")) == {"real", "sim"}


MODEL = '[model]\ncores = 64\n[[faults]]\nkind = "partition"\ntarget = "worker-1"\nat_s = 0.0\nduration_s = 1.0\n'
ETCD = '[[faults]]\nkind = "etcd_kill"\ntarget = "etcd-1"\nat_s = 0.0\nduration_s = 1.0\n'


def test_where_a_scenario_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both, model, etcd = small(tmp_path), small(tmp_path, "m", more=MODEL), small(tmp_path, "e", more=ETCD)
    topology = msgspec.structs.replace(both.topology, etcd_flush_delay_s=0.01)
    disk = msgspec.structs.replace(both, topology=topology)
    how = plan(tmp_path, worlds=["real", "sim"])
    monkeypatch.setattr(slow_flush, "supported", lambda: True)
    asked = (both, model, etcd, disk)
    assert [how.worlds_for(one) for one in asked] == [["real", "sim"], ["sim"], ["real", "sim"], ["real", "sim"]]
    given = plan(tmp_path, worlds=["real", "sim"], endpoints="127.0.0.1:1")
    assert [given.worlds_for(one) for one in asked] == [["real", "sim"], ["sim"], ["sim"], ["sim"]]
    monkeypatch.setattr(slow_flush, "supported", lambda: False)
    assert [how.worlds_for(one) for one in asked] == [["real", "sim"], ["sim"], ["real", "sim"], ["sim"]]
