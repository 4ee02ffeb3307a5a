"""The parts of the report that compute something: effects, the law of scaling, what binds, recoveries, lanes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports import attribution, effects, selection, usl
from reports.estimate import Estimate
from reports.figures import gantt, recovery
from reports.provenance import Known
from reports.runs import Runs, Scenario, load_runs
from tests.unit.reports_synthetic import WHOLE, Toy, write_runs


def with_values(root: Path, name: str, key: str, values: list[float]) -> Scenario:
    """A scenario whose real repetitions have these values of a figure."""
    write_runs(root, (Toy(name, count=20, claims=("OPT-1",)),), repetitions=len(values))
    for number, value in enumerate(values):
        file = root / name / "real" / str(number) / "metrics.json"
        data = json.loads(file.read_text())
        data["real"][key] = {"value": value, "low": None, "high": None, "n": 1}
        file.write_text(json.dumps(data))
    return load_runs(root).scenarios[name]


def test_an_effect_is_the_change_of_the_means_with_an_interval_from_the_repetitions(tmp_path: Path) -> None:
    base = with_values(tmp_path, "base", "cpu_s_per_1000", [10.0, 11.0, 9.0, 10.0])
    other = with_values(tmp_path, "other", "cpu_s_per_1000", [20.0, 21.0, 19.0, 20.0])
    found = effects.effect(other, base, "real", "cpu_s_per_1000")
    assert found is not None
    assert found.estimate.value == pytest.approx(1.0)
    assert found.estimate.low is not None
    assert found.estimate.high is not None
    assert 0.8 < found.estimate.low < 1.0 < found.estimate.high < 1.25
    assert isinstance(found.estimate.value, Known)
    files = {source.file for source in found.estimate.value.sources}
    assert {"base/real/0/metrics.json", "other/real/3/metrics.json"} <= files
    assert found == effects.effect(other, base, "real", "cpu_s_per_1000")


def test_two_repetitions_give_an_effect_without_an_interval(tmp_path: Path) -> None:
    base = with_values(tmp_path, "base", "cpu_s_per_1000", [10.0, 10.0])
    other = with_values(tmp_path, "other", "cpu_s_per_1000", [5.0, 5.0])
    found = effects.effect(other, base, "real", "cpu_s_per_1000")
    assert found is not None
    assert found.estimate == Estimate(-0.5, n=2)
    assert effects.effect(other, base, "sim", "no_such_figure") is None


def test_what_is_left_out_is_said_once_for_all_components() -> None:
    spec = {"settings": {"scheduler": {"max_batch": 1}, "worker": {"max_batch": 1}, "client": {"window": 3}}}
    shown = effects.changes_of(Scenario(Path("one"), spec, {}))
    assert shown == "tasks in a transaction: at most 1; ready tasks held in memory: 3"


def test_the_law_is_found_again_in_its_own_points() -> None:
    sizes = np.array([1.0, 2.0, 3.0, 5.0, 10.0])
    points = {int(n): [float(usl.law(np.array([n]), 100, 0.05, 0.002)[0])] * 2 for n in sizes}
    fit = usl.fit(points)
    assert fit is not None
    assert (fit.unit_per_s, fit.sigma, fit.kappa) == pytest.approx((100, 0.05, 0.002))
    assert fit.peak == pytest.approx(21.79, abs=0.01)
    assert fit.band is not None
    assert np.allclose(fit.band[0], fit.rate_per_s)


def test_the_band_of_the_law_holds_the_spread_of_the_repetitions() -> None:
    points = {n: [100.0 * n * f for f in (0.9, 1.0, 1.1)] for n in (1, 2, 3, 5, 10)}
    fit = usl.fit(points)
    assert fit is not None
    assert fit.band is not None
    low, high = (float(edge[-1]) for edge in fit.band)
    assert low < 950
    assert high > 990
    assert fit.peak is None


def test_too_few_points_or_single_runs_are_no_fit_or_no_band() -> None:
    assert usl.fit({1: [1.0], 2: [2.0], 3: [3.0]}) is None
    fit = usl.fit({n: [10.0 * n] for n in (1, 2, 3, 4)})
    assert fit is not None
    assert fit.band is None
    assert fit.sigma_bounds is None


def use(**figures: float) -> attribution.Use:
    metrics = {"real": {"throughput_per_s": 100.0, "cpu_share_of": {}, "etcd": {}, **figures}}
    return attribution.use_of(Scenario(Path("one"), {}, metrics, "one/metrics.json"), "real", 2)


def test_what_is_used_most_binds_if_that_is_much() -> None:
    assert use(slot_efficiency=0.97, cpu_s_per_1000=1.0).binding == "slots"
    assert use(slot_efficiency=0.5, cpu_s_per_1000=18.0).binding == "cores"
    assert use(slot_efficiency=0.5, cpu_s_per_1000=18.0).shares["cores"] == pytest.approx(0.9)
    assert use(slot_efficiency=0.5, cpu_s_per_1000=1.0).binding is None
    busy = use(cpu_share_of={"scheduler": 0.93}, etcd={"fsyncs_per_task": 0.5, "fsync_mean_s": 0.001})  # type: ignore[arg-type]
    assert busy.binding == "scheduler"
    assert busy.shares["fsync"] == pytest.approx(0.05)


def test_scenarios_are_found_by_claims_and_by_what_they_vary(tmp_path: Path) -> None:
    runs = load_runs(write_runs(tmp_path, WHOLE, repetitions=1))
    names = {
        "knee": selection.knee(runs), "schedulers": selection.schedulers(runs), "failures": selection.failures(runs),
        "sustained": selection.sustained(runs), "members": selection.members(runs), "fleets": selection.fleets(runs),
        "what_ifs": selection.what_ifs(runs), "tuning": selection.tuning(runs),
    }  # fmt: skip
    assert {key: [one.name for one in found] for key, found in names.items()} == {
        "knee": ["knee-1", "knee-2", "knee-3", "knee-5", "knee-10"], "schedulers": ["schedulers-1", "schedulers-2"],
        "failures": ["failure-host"], "sustained": ["sustained"], "members": ["members-1", "members-3"],
        "fleets": ["fleet-100"], "what_ifs": ["latency-watch", "disk-slow"],
        "tuning": ["latency-poll", "tuning-pull-100"],
    }  # fmt: skip
    base, others = selection.ablations(runs)
    assert base is not None
    assert (base.name, [one.name for one in others]) == ("ablation-baseline", ["ablation-no-batching"])


def test_a_recovery_runs_from_the_last_fault_to_the_restart() -> None:
    spec = {"faults": [{"kind": "host_kill", "at_s": at} for at in (2.0, 10.0)] + [{"kind": "etcd_kill", "at_s": 11.0}]}
    nan = np.nan
    rows = [
        (0, 1, False, "lost", 1.0, 1.1, 1.2, nan), (0, 2, True, "succeeded", 4.9, 5.0, 5.5, 6.0),
        (1, 1, False, "lost", 9.0, 9.1, nan, nan), (1, 2, True, "succeeded", 12.0, 12.1, 12.5, 13.0),
        (2, 1, True, "succeeded", 1.0, 1.1, 1.2, 2.0), (3, 1, False, "retried", 1.0, 1.1, 1.2, 2.0),
        (3, 2, True, "succeeded", 3.0, 3.1, 3.2, 4.0),
    ]  # fmt: skip
    columns = ["index", "attempt", "final", "outcome", "assign_sent", "assigned", "started", "finished"]
    found = recovery.restarts(Scenario(Path("one"), spec, {}), pd.DataFrame(rows, columns=columns))
    assert dict(zip(found["index"], found["recovery_s"], strict=True)) == {0: 3.5, 1: 2.5}


def test_tasks_that_overlap_get_lanes_of_their_own() -> None:
    attempts = pd.DataFrame({"started": [0.0, 1.0, 2.0, 2.5], "ended": [2.0, 3.0, 4.0, 5.0]})
    assert gantt.lanes(attempts)["lane"].tolist() == [0, 1, 0, 2]


def test_only_scenarios_with_figures_are_read(tmp_path: Path) -> None:
    write_runs(tmp_path, (Toy("one", count=20), Toy("two", count=20)), repetitions=1)
    (tmp_path / "two" / "metrics.json").write_text("{}")
    runs: Runs = load_runs(tmp_path)
    assert list(runs.scenarios) == ["one"]
