"""What a change to a recorded run does; and what the two commands say to mistakes."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from experiments import scenario
from experiments.cli import app
from experiments.planning import recorded, whatif
from experiments.planning.fit import fit
from experiments.planning.reading import interval
from experiments.run import PROFILE, run_scenario, worlds_of
from experiments.scenario import ScenarioError
from experiments.sweep import values_of
from experiments.workload import draw
from sim.parameters import REFERENCE

RUN = """
name = "small"
[topology]
workers = 2
slots = 3
[workload]
count = 150
arrivals = {process = "poisson", rate_per_s = 100}
service = {distribution = "exponential", mean_s = 0.05}
[measure]
repetitions = 2
seed = 7
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the model: its recorded figures are the model's own, so that it must be right on it."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "small.toml").write_text(RUN)
    run_scenario(scenario.load(folder / "small.toml"), worlds_of(["sim"]), folder / "run")
    return folder / "run"


def test_the_recorded_tasks_are_those_that_were_drawn(run: Path) -> None:
    found = recorded.load(run)
    for repetition in (0, 1):
        replayed, drawn = found.workload(repetition), draw(found.scenario, repetition)
        assert replayed.ids == drawn.ids
        assert np.allclose(replayed.intended_s, drawn.intended_s, atol=1e-8)
        assert np.array_equal(replayed.service_s, drawn.service_s)
        assert np.array_equal(replayed.priority, drawn.priority)


def test_on_a_run_of_the_model_the_model_is_nearly_right_and_the_same_configuration_differs_by_nothing(
    run: Path,
) -> None:
    found = whatif.whatif(run, whatif.Change({"topology.workers": 2}), values_of(), simulations=2, n_jobs=1)
    total = next(row for row in found.rows if row.name == "latency_s.total.p50")
    assert total.error is not None
    assert abs(total.error) < 0.02  # the recorded moments are on a grid of 2**-30 s
    assert total.difference["value"] == 0.0
    assert not total.significant
    assert (found.world, found.repetitions, found.disturbed, found.simulations) == ("sim", 2, 0, 2)


def test_the_model_is_the_one_of_the_run_unless_another_is_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scaled for the machine of that hour, its profile lies beside the runs."""
    asked: list[Path | None] = []

    def asked_for(profile: Path | None, **_: object) -> None:
        asked.append(profile)
        raise ScenarioError("that is all")

    monkeypatch.setattr("experiments.sweep.values_of", asked_for)
    copy = shutil.copytree(run, tmp_path / "set" / "run")
    arguments = ["whatif", str(copy), "--load", "1.5"]
    CliRunner().invoke(app, arguments)
    for folder in (copy.parent, copy):
        shutil.copyfile(REFERENCE, folder / PROFILE)
        CliRunner().invoke(app, arguments)
    CliRunner().invoke(app, [*arguments, "--profile", str(REFERENCE)])
    assert asked == [None, copy.parent / PROFILE, copy / PROFILE, REFERENCE]


def test_more_workers_shorten_the_latency_significantly_and_more_load_lengthens_it(run: Path) -> None:
    better = whatif.whatif(run, whatif.Change({"topology.workers": 5}), values_of(), simulations=4, n_jobs=1)
    worse = whatif.whatif(run, whatif.Change({}, load=1.3), values_of(), simulations=4, n_jobs=1)
    for found, sign in ((better, -1), (worse, 1)):
        row = next(row for row in found.rows if row.name == "latency_s.overhead.p95")
        assert row.significant
        assert np.sign(row.difference["value"]) == sign
        assert row.difference["value"] == pytest.approx(row.changed["value"] - row.as_is["value"])
    assert worse.trust.sentence


def test_values_are_read_as_in_toml() -> None:
    assert whatif.parse(["topology.workers=5", "topology.dispatch=poll", "settings.worker.max_batch = 1"]) == {
        "topology.workers": 5,
        "topology.dispatch": "poll",
        "settings.worker.max_batch": 1,
    }


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("topology.wrkers=3", "topology.wrkers: unknown key; did you mean 'workers'?"),
        ("settings.worker.max_bach=3", "settings.worker.max_bach: unknown key; did you mean 'max_batch'?"),
        ("settings.worker.slots=3", "settings.worker.slots belongs to the topology"),
        ("topology.workers=none", "topology.workers: Expected `int`"),
        ("topology.workers", "expected a key and a value"),
        ("workload.count=5", "the recorded tasks are replayed"),
        ("workload.arrivals.rate_per_s=5", "the recorded tasks are replayed"),
        ("measure.seed=5", "changes nothing"),
    ],
)
def test_a_mistake_in_set_ends_in_one_sentence(run: Path, change: str, sentence: str) -> None:
    done = CliRunner().invoke(app, ["whatif", str(run), "--set", change])
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stderr.startswith("tandem-bench: --set")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["plan"], 2, "--target is missing: expected 'p99<0.2'"),
        (["plan", "--target", "p99<1"], 2, "--arrivals is missing"),
        (["plan", "--target", "p99<1", "--from", "/nowhere"], 2, "/nowhere is no run"),
        (["plan", "--check", "--out", "/nowhere"], 3, "/nowhere holds no plan"),
        (
            ["plan", "--target", "p99<1", "--arrivals", "poisson:1", "--service", "constant:1"],
            2,
            "tasks alone take longer",
        ),
        (["whatif", "/nowhere", "--load", "2"], 2, "/nowhere is no run"),
        (["whatif", "/nowhere"], 2, "what is to change?"),
    ],
)
def test_mistakes_end_in_one_sentence(words: list[str], code: int, sentence: str) -> None:
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stderr.count("\n")) == (code, 1)
    assert sentence in done.stderr


def test_a_load_is_fitted_to_a_run(run: Path, tmp_path: Path) -> None:
    found = fit(recorded.load(run), tmp_path)
    assert msgspec.to_builtins(found.arrivals)["process"] == "poisson"
    assert msgspec.to_builtins(found.service)["distribution"] == "exponential"
    assert [note.partition(":")[0] for note in found.notes] == ["arrivals", "service"]


def test_a_run_that_is_broken_is_told(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="is no run"):
        recorded.load(tmp_path)
    for name in ("scenario.toml", "metrics.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    with pytest.raises(ScenarioError, match="holds no repetition"):
        recorded.load(tmp_path)
    (tmp_path / "sim/0").mkdir(parents=True)
    (tmp_path / "sim/0/trace.parquet").write_text("nonsense")
    with pytest.raises(ScenarioError, match=r"trace\.parquet"):
        recorded.load(tmp_path)


def test_an_interval_may_lie_below_zero() -> None:
    figure = interval([-2.0, -1.0, -3.0])
    assert figure["low"] < -3.0 < figure["value"] == -2.0 < figure["high"] < 1.0
    assert interval([-2.0]) == {"value": -2.0, "low": None, "high": None, "n": 1}
    assert interval([]) == {"value": None, "low": None, "high": None, "n": 0}
