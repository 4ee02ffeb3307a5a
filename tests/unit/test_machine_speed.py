"""Whose speed the model has: this machine's where both worlds run on it, unless a profile is named."""

import shutil
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from experiments import calibrate, machine_speed, run, scenario
from experiments.cli import app
from experiments.run import PROFILE, profile_of
from experiments.world import WorldName
from sim.parameters import REFERENCE, Profile, load

BOTH: tuple[WorldName, ...] = ("real", "sim")


def scaled(python: float, disk: float) -> Profile:
    profile = load(REFERENCE)
    factors = {"profile": "reference", "python": python, "etcd": 1.0, "disk": disk, "latency": 1.0}
    return msgspec.structs.replace(profile, about=profile.about | {"scaled": factors, "when": "now"})


@pytest.mark.parametrize(("python", "disk", "kept"), [(1.1, 0.9, False), (1.3, 1.0, True), (1.0, 0.7, True)])
def test_a_single_run_keeps_scaled_parameters_where_the_speed_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: float, disk: float, kept: bool
) -> None:
    monkeypatch.setattr(calibrate, "scaled_in_brief", lambda: scaled(python, disk))
    one = scenario.load("scaling-3", quick=True)
    with machine_speed.model_at_speed(tmp_path)(one):
        assert (profile_of(tmp_path) == tmp_path / PROFILE) is kept
    if kept:
        assert load(tmp_path / PROFILE) == scaled(python, disk)
        run.clear(tmp_path)
        assert profile_of(tmp_path) is None, "the next run must not take it for its own"


def test_a_set_is_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[Path] = []

    def measure(path: Path, **_: object) -> Profile:
        measured.append(path)
        shutil.copyfile(REFERENCE, path)
        return scaled(1.25, 1.0)

    monkeypatch.setattr(calibrate, "run_scaled", measure)
    profile = machine_speed.profile_for(tmp_path, BOTH, None, None)
    for _ in range(2):
        machine_speed.measure(tmp_path, profile)
    assert measured == [tmp_path / PROFILE]
    assert "Python takes 1.25 times the CPU time of the profile reference" in capsys.readouterr().err
    assert profile_of(tmp_path / "scaling-3") == tmp_path / PROFILE


def test_parameters_that_were_named_one_world_and_another_etcd_are_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    assert machine_speed.profile_for(tmp_path, BOTH, None, mine) == mine
    assert machine_speed.profile_for(tmp_path, ("sim",), None, None) is None
    assert machine_speed.profile_for(tmp_path, BOTH, "127.0.0.1:2379", None) is None
    machine_speed.measure(tmp_path, mine)
    machine_speed.measure(tmp_path, None)
    assert not list(tmp_path.iterdir())


def test_run_measures_the_speed_for_both_worlds_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def world(name: str) -> run.MakeWorld:
        def make(_: object) -> None:
            asked.append(name)
            raise KeyboardInterrupt

        return make  # type: ignore[return-value]

    monkeypatch.setattr("experiments.run.worlds_of", lambda names, *_: {name: world(name) for name in reversed(names)})
    monkeypatch.setattr(machine_speed, "model_at_speed", lambda _: world("at this speed"))
    for arguments in ([], ["--world", "sim"], ["--profile", str(REFERENCE)]):
        CliRunner().invoke(app, ["run", "scaling-3", "--quick", "--out", str(tmp_path / "out"), *arguments])
    assert asked == ["at this speed", "sim", "sim"]
