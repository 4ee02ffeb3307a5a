"""Placement functions of users: found, checked, and run by the model as they are by the real scheduler."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from core.machine.replay import replay
from core.policy.placement import find_placement, least_loaded
from core.settings import SchedulerSettings, load_config
from experiments import scenario
from experiments.scenario import ScenarioError
from sim.config import SimConfig
from sim.run import simulate
from tests.sim.model import FREE, load, moments

PACKING = """
def most_loaded(worker):
    return -worker.load

def of_two(worker, other):
    return 0.0

number = 1
"""
SCENARIO = """
name = "packed"
[workload]
count = 10
arrivals = {process = "burst"}
[settings.scheduler]
placement = "PLACEMENT"
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of a user in the current folder."""
    (tmp_path / "packing_of_mine.py").write_text(PACKING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [entry for entry in __import__("sys").path if entry])
    yield "packing_of_mine"
    __import__("sys").modules.pop("packing_of_mine", None)


def test_a_placement_is_one_of_ours_or_a_function_in_the_current_folder(module: str) -> None:
    assert find_placement("least_loaded") is least_loaded
    assert find_placement(SchedulerSettings().placement) is least_loaded
    assert find_placement(f"{module}:most_loaded").__name__ == "most_loaded"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("least_loadd", "placement 'least_loadd' is neither one of least_loaded nor of the form module:name"),
        ("no_such_module:f", "placement 'no_such_module:f': ModuleNotFoundError: No module named 'no_such_module'"),
        ("packing_of_mine:absent", "is no function of one worker"),
        ("packing_of_mine:number", "is no function of one worker"),
        ("packing_of_mine:of_two", "is no function of one worker: missing a required argument: 'other'"),
    ],
)
def test_a_wrong_placement_is_one_sentence(module: str, tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        find_placement(name)
    file = tmp_path / "packed.toml"
    file.write_text(SCENARIO.replace("PLACEMENT", name))
    with pytest.raises(ScenarioError, match=f"settings.scheduler.placement: .*{sentence}"):
        scenario.load(file)


def test_scenario_and_settings_file_name_it_alike(module: str, tmp_path: Path) -> None:
    file = tmp_path / "packed.toml"
    file.write_text(SCENARIO.replace("PLACEMENT", f"{module}:most_loaded"))
    written = scenario.load(scenario.write(scenario.load(file), tmp_path / "run"))
    assert written.settings.changes() == {"scheduler": {"placement": f"{module}:most_loaded"}}
    (tmp_path / "config.toml").write_text(f'[scheduler]\nplacement = "{module}:most_loaded"\n')
    assert load_config(tmp_path / "config.toml").scheduler.placement == f"{module}:most_loaded"


def workers_used(placement: str) -> tuple[int, list[bytes]]:
    """How many of three workers run something when a task arrives every 0.1 s and takes 0.35 s: four at a time."""
    config = SimConfig(
        load=load([0.35] * 40, list(np.arange(40) * 0.1)),
        scheduler=replace(SchedulerSettings(), placement=placement),
        values=FREE,
        record=("scheduler-1",),
        check=True,
    )
    result = simulate(config)
    assert result.unfinished == 0
    assert len(moments(result, "executed")) == 40
    workers = {component for component, kind, _ in result.spool if kind == "executed"}
    return len(workers), result.recordings["scheduler-1"]


def test_the_model_runs_the_users_function_and_its_recording_replays(module: str) -> None:
    assert workers_used("least_loaded")[0] == 3
    used, recording = workers_used(f"{module}:most_loaded")
    assert used == 1  # all fit into the first one's ten slots
    steps, mismatch = replay(recording)
    assert steps > 40
    assert mismatch is None
