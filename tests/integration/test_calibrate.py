"""Calibration on a real etcd gives a profile that the model takes, with a source for every number."""

from pathlib import Path

import pytest

from core.etcd.binary import Server, find_server
from core.etcd.embedded import EmbeddedEtcd
from experiments import calibrate
from experiments.calibration import scaling
from experiments.calibration.cells import Cell
from experiments.calibration.etcd import Bench, Place
from experiments.validation.engine import Step
from experiments.world import ExperimentError
from sim import parameters
from sim.config import Load, SimConfig
from sim.hunt import hostile
from sim.run import simulate


@pytest.mark.timeout(180)
def test_a_calibrated_profile_drives_the_model(tmp_path: Path, durable_server: Server) -> None:
    path = tmp_path / "profiles" / "here.json"
    steps: list[Step] = []
    profile = calibrate.run(path, quick=True, on_step=steps.append)
    assert parameters.load(path) == profile
    assert [one.done_s for one in steps] == pytest.approx([0.6 * number for number in range(len(steps))])
    assert steps[-1].what.startswith("fitting")
    assert steps[-1].done_s == pytest.approx(steps[-1].total_s - calibrate.FIT_QUICK_S), "all before it was announced"
    assert "--max-txn-ops=4096" in profile.about["etcd_flags"]
    assert profile.about["etcd_metrics"]["fsyncs"] > 0
    assert profile.about["etcd"]["version"] == durable_server.version_text
    assert all(one.source and one.when for one in profile.parameters.values())
    values = profile.values()
    assert values.etcd_fsync_s > 0
    # On a noisy machine a fitted line may lie wholly in one of its two coefficients; both cannot be nothing.
    assert values.scheduler_event_s + values.scheduler_item_s > 0
    assert values.send_s + values.send_item_s > 0
    assert values.watch_s + values.watch_item_s > 0
    assert "stolen_per_s" in profile.parameters
    assert bool(values.stolen_s) == bool(values.stolen_per_s), "how often without how long"
    load = hostile(1).load
    specs = load.specs[:50]
    result = simulate(SimConfig(Load(specs, [0.0] * 50, [0.0] * 50), values=values))
    assert result.unfinished == 0


def test_the_reference_is_scaled_to_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "here.json"
    steps: list[Step] = []
    profile = calibrate.run_scaled(path, on_step=steps.append)
    assert parameters.load(path) == profile
    assert len(steps) == scaling.STEPS
    assert steps[-1].done_s < steps[-1].total_s
    known = parameters.load()
    factors = profile.about["scaled"]
    assert 0.1 < factors["python"] < 50.0, "another machine, not another planet"
    assert profile.values().send_s == pytest.approx(known.values().send_s * factors["python"], rel=1e-3)
    assert profile.values().worker_start_s != known.values().worker_start_s
    (said,) = [
        line for line in calibrate.advice(profile) if line.startswith("scaled: ") and "profile reference" in line
    ]
    assert f"{factors['disk']:.2f}" in said


def test_an_etcd_that_acknowledges_too_early_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def find(*, durable: bool = False) -> Server:
        asked.append(durable)
        return find_server(durable=durable)

    monkeypatch.setattr(calibrate, "find_server", find)
    monkeypatch.setenv("TANDEM_ETCD", str(tmp_path / "no-such-etcd"))
    with pytest.raises(ExperimentError):
        calibrate.run(tmp_path / "never.json")
    assert asked == [True]
    assert not (tmp_path / "never.json").exists()


def test_in_brief_two_cells_are_measured_and_starts_go_with_python() -> None:
    profile = calibrate.scaled_in_brief()
    assert [row["cell"] for row in profile.about["cells"]] == [cell.name for cell in scaling.BRIEF]
    python = profile.about["scaled"]["python"]
    assert python != 1.0, "nothing was measured"
    known = parameters.load().values()
    assert profile.values().worker_start_s == pytest.approx(known.worker_start_s * python, rel=1e-3)


def test_what_a_server_uses_at_rest_is_taken_off_what_cells_cost_it(etcd: EmbeddedEtcd) -> None:
    """A server that used two cores at rest would have been paid to take puts."""
    bench = Bench(Place(",".join(etcd.endpoints), "/calibrate-rest/", etcd.pid(), etcd.metrics_url()))
    try:
        assert 0.0 < bench.at_rest(0.2).server_cpu < 2.0
        cell = Cell(1, 1, 0.02, 1)
        bench._idle_cpu = 0.0
        assert bench.measure(cell, 0.3).server_cpu_s > 0.0
        bench._idle_cpu = 2.0
        assert bench.measure(cell, 0.3).server_cpu_s < -0.01
    finally:
        bench.close()
