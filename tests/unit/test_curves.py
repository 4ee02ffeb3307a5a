"""Scaling curves: the rules on figures made up for them, and one small sweep on the real system, end to end."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest

from experiments import curves
from experiments.cli import CurveName
from experiments.curves_console import TimeLeft
from experiments.curves_probe import Probe
from experiments.curves_rows import COLUMNS, Row, Rows, summarise
from experiments.curves_rules import WAITING, binding, knee, steady, usl
from experiments.curves_sweeps import Sweep, SweepName, point, sweeps
from experiments.scenario import ScenarioError
from experiments.world import ExperimentError
from reports import curves as page
from reports.runs import ReportError

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300
"""A loaded machine starts interpreters slowly; on a quiet one each of these tests takes some seconds."""
NOTHING: dict[str, Any] = {
    "slot_utilisation": None,
    "processes": {"client": 0.5, "scheduler": 0.6, "worker": 0.2},
    "machine": 0.8,
    "others": 0.0,
    "fsync": 0.3,
    "completed_of_offered": 0.4,
}


# --- rules -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "what", "evidence"),
    [
        ({}, WAITING, "highest: scheduler 60%, cores 80%, fsync 30%"),
        ({"slot_utilisation": 0.96, "processes": {"client": 0.99}}, "slots", "96% of the slots' time is used"),
        ({"slot_utilisation": 0.94}, WAITING, "highest: slots 94%, scheduler 60%, cores 80%, fsync 30%"),
        (
            {"processes": {"client": 0.5, "scheduler": 0.93}, "machine": 0.97},
            "Python process scheduler",
            "93% of a core is used by it",
        ),
        ({"machine": 0.91, "fsync": 0.95}, "the machine's cores", "91% of all cores is used"),
        (
            {"machine": 0.91, "others": 0.3},
            "the machine's cores",
            "91% of all cores is used, 30% by other programs",
        ),
        ({"fsync": 0.9, "completed_of_offered": 0.99}, "etcd's fsync", "90% of the time a flush is under way"),
        ({"completed_of_offered": 0.96}, "offered load", "96% of what the client got acknowledged"),
        ({"completed_of_offered": None}, WAITING, "highest: "),
    ],
)
def test_the_first_resource_at_its_limit_binds(changes: dict[str, Any], what: str, evidence: str) -> None:
    found = binding(**(NOTHING | changes))
    assert found.what == what
    assert found.evidence.startswith(evidence)


@pytest.mark.parametrize(
    ("x", "y", "grows", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 40], True, None),
        ([1, 2, 3, 4], [10, 20, 21, 22], True, 2.0),
        ([1, 2, 4, 8], [10, 17, 20, 19], True, 2.0),
        ([1, 2, 3], [10, 9, 8], True, 1.0),
        ([1, 2, 3, 4], [10, 11, 30, 40], True, None),  # one bad point is no knee
        ([1, 2, 3, 4], [10, 15.1, 20.2, 25.3], True, None),  # just above half of proportional
        ([20, 200, 2000], [100, 99, 95], False, None),
        ([20, 200, 2000, 20000], [100, 99, 80, 20], False, 200.0),
        ([20, 200, 2000, 20000], [100, 80, 95, 40], False, 2000.0),  # it came back: the knee is where it stays down
        ([20, 200], [100, 10], False, 20.0),
    ],
)
def test_the_knee_is_where_more_stops_to_help(
    x: list[float], y: list[float], grows: bool, expected: float | None
) -> None:
    assert knee(x, y, grows=grows) == expected


def test_usl_finds_the_parameters_that_made_the_data_and_is_silent_where_it_does_not_fit() -> None:
    n = np.arange(1, 11, dtype=float)
    fit = usl(n.tolist(), (1000 * n / (1 + 0.1 * (n - 1) + 0.02 * n * (n - 1))).tolist())
    assert fit is not None
    assert (fit.unit_per_s, fit.sigma, fit.kappa) == pytest.approx((1000, 0.1, 0.02), rel=0.01)
    assert fit.peak == pytest.approx(np.sqrt(0.9 / 0.02), rel=0.01)
    line = usl(n.tolist(), (100 * n).tolist())
    assert line is not None
    assert line.peak is None
    assert usl(n.tolist(), [5, 50, 3, 80, 1, 60, 2, 90, 4, 70]) is None
    assert usl([1, 2, 3], [1, 2, 3]) is None


def test_the_steady_rate_cuts_both_ends_and_does_not_mind_waves() -> None:
    times = np.arange(0, 10.001, 0.01)
    ramp = np.clip((times - 2) * 100, 0, 500)  # 500 tasks: nothing, then 100 a second, then a long tail
    found = steady(times, ramp, 500)
    assert found.rate_per_s == pytest.approx(100)
    assert found.from_s == pytest.approx(2.5, abs=0.02)
    assert found.to_s == pytest.approx(6.5, abs=0.02)
    waves = np.floor(np.clip(times - 2, 0, 5) / 0.1 + 1e-9) * 10
    assert steady(times, waves, 500).rate_per_s == pytest.approx(100, rel=0.02)
    at_once = steady(np.array([1.0, 3.0]), np.array([0.0, 50.0]), 50)
    assert (at_once.rate_per_s, at_once.from_s, at_once.to_s) == (25.0, 1.0, 3.0)


# --- points, rows, page ------------------------------------------------------------------------------------------


def test_the_command_knows_every_sweep_and_quick_ones_are_smaller() -> None:
    full, quick = sweeps(quick=False), sweeps(quick=True)
    assert list(full) == list(quick) == list(SweepName)
    assert [name.value for name in CurveName] == [name.value for name in SweepName] == list(page.ORDER)
    assert sum(len(sweep.points) for sweep in quick.values()) < sum(len(sweep.points) for sweep in full.values()) / 2
    assert [len(life) for life in full[SweepName.WORKERS].lives] == [4] * 10
    assert max(one.tasks or 0 for one in full[SweepName.BACKLOG].points) == 1_000_000
    assert max(one.tasks or 0 for one in quick[SweepName.BACKLOG].points) == 100_000


def row(x: float, rate: float, repetition: int = 0, **changes: Any) -> Row:
    values: dict[str, Any] = {
        "sweep": "workers", "series": "10 ms", "x": x, "world": "real", "repetition": repetition, "tasks": 100,
        "throughput_per_s": rate, "elapsed_s": 1.0, "slot_bound_per_s": 1000 * x, "slot_utilisation": rate / 1000 / x,
        "offered_per_s": 9000.0, "cpu_client": 0.1, "cpu_scheduler": 0.2, "cpu_worker": 0.3, "cpu_etcd": 0.4,
        "cpu_watchers": 0.0, "cpu_machine": 0.5, "cpu_foreign": 0.01, "fsync_share": 0.2, "writes_per_task": 0.1,
    }  # fmt: skip
    return Row(**(values | changes))


def small_sweep(**changes: Any) -> Sweep:
    values: dict[str, Any] = {
        "name": SweepName.WORKERS,
        "title": "A small sweep",
        "x_label": "workers",
        "lives": [[point("10 ms", x, workers=x, service_s=0.01)] for x in (1, 2, 4)],
        "grows": True,
    }
    return Sweep(**(values | changes))


def test_repetitions_become_a_median_with_its_range_a_knee_and_what_binds(tmp_path: Path) -> None:
    rows = Rows(small_sweep(), tmp_path)
    for one in (
        *(row(1, rate, index) for index, rate in enumerate((980, 990, 970))),
        *(row(2, rate, index, cpu_scheduler=0.95) for index, rate in enumerate((1500, 1700, 1600))),
        *(row(4, rate, index, cpu_machine=0.99) for index, rate in enumerate((1700, 1650, 1800))),
        row(1, 995.0, world="sim", cpu_machine=None, fsync_share=None, writes_per_task=None, cpu_foreign=None),
    ):
        rows.add(one)
    with (tmp_path / "workers.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["throughput_per_s"] for line in lines[:2]] == ["980", "990"]
    assert lines[-1]["cpu_machine"] == ""
    found = summarise(rows.rows, rows.sweep, complete=True, quick=False, date="today", etcd="etcd 3")
    (curve,) = found.curves
    first, second, third, model = curve.spots
    rate = first.throughput_per_s
    assert (rate.median, rate.low, rate.high, rate.n) == (980, 970, 990, 3)
    assert [spot.binds for spot in curve.spots] == ["slots", "Python process scheduler", "the machine's cores", None]
    assert (second.x, third.x, model.world) == (2, 4, "sim")
    assert second.throughput_per_s.median == 1600
    assert curve.knee == {"real": 2.0}

    (tmp_path / "workers.json").write_bytes(msgspec.json.encode(found))
    text = page.write(tmp_path).read_text()
    assert "Real: knee at 2 (behind it binds: the machine's cores)." in text
    assert "| 1 | real | 980 | 970 to 990 | 3 | 10 % |" in text
    assert "**slots**: 98% of the slots' time is used |" in text
    assert "| 1 | model | 995 |" in text
    assert "Disturbed" not in text
    assert (tmp_path / "workers.svg").read_text().startswith("<?xml")


def test_the_page_says_when_the_machine_was_shared(tmp_path: Path) -> None:
    rows = [row(1, 900, cpu_foreign=0.2 * (psutil.cpu_count() or 1)), row(2, 1800)]
    found = summarise(rows, small_sweep(), complete=True, quick=False, date="today", etcd="etcd 3")
    (tmp_path / "workers.json").write_bytes(msgspec.json.encode(found))
    assert "**Disturbed**: at 1 of 2 points other programs used more" in page.write(tmp_path).read_text()


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "workers.csv").write_text("my,own,data\n")
    with pytest.raises(ExperimentError, match=r"workers\.csv is not from an earlier run: choose another folder"):
        Rows(small_sweep(), tmp_path)
    assert (tmp_path / "workers.csv").read_text() == "my,own,data\n"
    (tmp_path / "workers.csv").write_text(",".join(COLUMNS) + "\n1,2\n")
    assert Rows(small_sweep(), tmp_path).rows == []


def test_a_profile_that_cannot_be_used_is_named_before_anything_runs(tmp_path: Path) -> None:
    how = curves.plan(tmp_path / "out", quick=True, profile=tmp_path / "nowhere.json")
    with pytest.raises(ScenarioError, match=r"nowhere\.json"):
        curves.Runner(how).run([small_sweep(modelled=True)])
    assert not (tmp_path / "out").exists()


def test_the_page_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="holds no curves: 'tandem-bench curves' measures them"):
        page.write(tmp_path)
    (tmp_path / "backlog.json").write_text("[]")
    with pytest.raises(ReportError, match=r"backlog\.json is not a sweep"):
        page.write(tmp_path)


def test_time_left_follows_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([100.0, 100.0, 140.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    clock = TimeLeft()
    assert clock.left_s(curves.Progress("workers", "", 0.0, 60.0)) == 60.0
    assert clock.left_s(curves.Progress("workers", "", 20.0, 60.0)) == 80.0  # twice as slow as expected


def test_shares_are_means_between_two_moments() -> None:
    probe = Probe(dict, "")
    probe._used = [(at, {"worker-1": 0.5 * at, "probe": 0.0}) for at in (10.0, 11.0, 12.0)]
    probe._machine = [(10.0, 0.0), (12.0, 4.0 * 0.75)]
    probe._etcd = [(10.0, 1.0, 100.0), (12.0, 1.8, 140.0)]
    shares = probe.between(10.5, 11.5)
    assert shares.cores == {"worker-1": pytest.approx(0.5)}
    assert shares.machine == pytest.approx(1.5 / (psutil.cpu_count() or 1))
    assert shares.foreign_cores == pytest.approx(1.0)
    assert shares.fsync == pytest.approx(0.4)
    assert shares.proposals_per_s == pytest.approx(20)


# --- the real system ---------------------------------------------------------------------------------------------


@pytest.mark.timeout(PATIENCE_S)
def test_a_sweep_end_to_end_on_real_processes(tmp_path: Path) -> None:
    lives = [
        [point("0 ms", 1, workers=1, tasks=300), point("5 ms", 1, workers=1, service_s=0.005, tasks=150)],
        [point("0 ms", 2, workers=1, watchers=1, tasks=200, drain=150)],
    ]
    sweep = small_sweep(lives=lives, modelled=True)
    how = curves.Plan(tmp_path, quick=True, repetitions=1)
    steps: list[curves.Progress] = []
    seen: list[Row] = []
    found = curves.Runner(how, steps.append, seen.append).run([sweep])
    assert found == tmp_path / "curves.md"
    real = [one for one in seen if one.world == "real"]
    assert [(one.series, one.x, one.tasks) for one in real] == [("0 ms", 1, 300), ("5 ms", 1, 150), ("0 ms", 2, 150)]
    assert [one.world for one in seen] == ["real", "real", "sim", "sim", "real", "sim"]
    for one in real:
        assert one.throughput_per_s > 10
        assert one.writes_per_task is not None
        assert 0 < one.cpu_machine <= 1  # type: ignore[operator]
    assert real[1].slot_bound_per_s == 2000
    assert real[1].slot_utilisation == real[1].throughput_per_s / 2000
    assert (real[0].offered_per_s or 0) > 10
    assert real[2].offered_per_s is None
    assert [step.done_s for step in steps] == sorted(step.done_s for step in steps)
    summary = json.loads((tmp_path / "workers.json").read_text())
    assert summary["complete"]
    assert "3.4" in summary["etcd"] or "3.5" in summary["etcd"]
    assert all(spot["binds"] for curve in summary["curves"] for spot in curve["spots"] if spot["world"] == "real")
    assert "## A small sweep" in found.read_text()


@pytest.mark.timeout(PATIENCE_S)
def test_ctrl_c_keeps_what_is_finished_and_leaves_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.cli", "curves", "--quick", "--sweep", "schedulers"]
    arguments, environment = [*command, "--out", str(tmp_path)], {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("schedulers 1, 0 ms, real 1:")
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip().endswith("interrupted; everything that was started has been ended")
    _, alive = psutil.wait_procs(started, timeout=15)
    assert alive == []
    with (tmp_path / "schedulers.csv").open() as file:
        assert [line["world"] for line in csv.DictReader(file)][:1] == ["real"]
    assert "This sweep was ended before all of its points were measured." in (tmp_path / "curves.md").read_text()
