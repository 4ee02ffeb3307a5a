"""The claims' rules, one by one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import metrics, trace
from experiments.claims.endurance import waiting
from experiments.claims.reading import Runs
from experiments.claims.verdict import change
from tests.unit.claim_runs import COUNTS, fig, good, latencies, queue, rates, run, scenario_file, verdicts

# --- the rules, one by one


def test_short_tasks_are_a_condition_of_linear_scaling(tmp_path: Path) -> None:
    good(tmp_path)
    rates(tmp_path, knee_1=900, knee_2=1800, knee_3=2600, knee_5=4000, knee_10=5000)
    got = verdicts(tmp_path)["SCA-1"]
    assert got.verdict == "holds only if"
    assert got.condition.endswith("tasks are long: with tasks of 10 ms, ten workers bring 5.56 times what one does")
    rates(tmp_path, knee_10=8800)
    assert "tasks are long" not in verdicts(tmp_path)["SCA-1"].condition


def test_a_task_that_runs_twice_refutes_the_schedulers(tmp_path: Path) -> None:
    rates(tmp_path, schedulers_1=5000, schedulers_2=5100, schedulers_3=4900)
    assert verdicts(tmp_path)["SCA-2"].verdict == "holds"
    run(tmp_path, "schedulers-3-kill", **(COUNTS | {"executed_twice": 1}), **latencies(dispatch=0.1))
    got = verdicts(tmp_path)["SCA-2"]
    assert got.verdict == "does not hold"
    assert "1 of 400 tasks run twice" in got.measured


def lost_worker(root: Path, *, latest: float, spread: float, lost: int = 0) -> None:
    recovery = {"recovery_s": {"p50": fig(latest - 0.1), "p95": fig(latest), "max": fig(latest)}}
    run(root, "failure-host", throughput_per_s=fig(15), **recovery, **(COUNTS | {"lost": lost}))
    rows = pd.DataFrame(
        [(0, 1, "lost", 1.0), (0, 2, "succeeded", latest - spread), (1, 1, "lost", 1.0), (1, 2, "succeeded", latest)],
        columns=["index", "attempt", "outcome", "started"],
    )
    trace.write(rows, root / "failure-host" / "real" / "0" / "trace.parquet")


@pytest.mark.parametrize(
    ("latest", "spread", "lost", "verdict"),
    [(5.3, 0.05, 0, "holds"), (5.3, 0.4, 0, "holds only if"), (11.0, 0.05, 0, "does not hold"),
     (5.3, 0.05, 1, "does not hold")],
)  # fmt: skip
def test_a_lost_worker(tmp_path: Path, latest: float, spread: float, lost: int, verdict: str) -> None:
    lost_worker(tmp_path, latest=latest, spread=spread, lost=lost)
    got = verdicts(tmp_path)["FAI-1"]
    assert got.verdict == verdict
    assert got.evidence == ["failure-host"]


@pytest.mark.parametrize(
    ("short", "long", "verdict"), [(60, 90, "holds"), (60, 130, "holds only if"), (120, 130, "does not hold")]
)
def test_memory(tmp_path: Path, short: float, long: float, verdict: str) -> None:
    for name, count, size in (("memory-1000", 1000, short), ("memory-50000", 50000, long)):
        run(tmp_path, name, pss_peak_mb_of={"scheduler": fig(size), "worker": fig(70)})
        scenario_file(tmp_path, name, f"[workload]\ncount = {count}\n")
    assert verdicts(tmp_path)["RES-1"].verdict == verdict


@pytest.mark.parametrize(
    ("idle", "source", "busy", "verdict"),
    [(0.01, 0.05, 0.15, "holds"), (0.01, 0.05, 0.3, "holds only if"), (0.06, 0.05, 0.15, "does not hold"),
     (0.01, 0.3, 0.4, "does not hold")],
)  # fmt: skip
def test_the_schedulers_processor(tmp_path: Path, idle: float, source: float, busy: float, verdict: str) -> None:
    for name, share in (("resources-idle", idle), ("scaling-10", source), ("resources-busy", busy)):
        run(tmp_path, name, cpu_share_of={"scheduler": fig(share)}, throughput_per_s=fig(100))
    assert verdicts(tmp_path)["RES-2"].verdict == verdict


@pytest.mark.parametrize(
    ("slots", "writes", "cores", "verdict"),
    [(0.99, 0.004, 4, "holds"), (0.99, 0.004, 1, "holds only if"), (0.5, 0.001, 4, "does not hold")],
)
def test_what_binds(tmp_path: Path, slots: float, writes: float, cores: int, verdict: str) -> None:
    good(tmp_path)
    run(tmp_path, "scaling-10", slot_efficiency=fig(slots))
    run(tmp_path, "latency-watch", **latencies(enqueue=writes, assign=writes, commit=writes, overhead=0.015))
    for name in ("burst-short", "ablation-baseline"):  # 1.2 cores are busy
        path = tmp_path / name / "real" / "0" / "environment.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"cores": cores}))
    assert verdicts(tmp_path)["BOT-1"].verdict == verdict


def test_ablations(tmp_path: Path) -> None:
    rates(tmp_path, ablation_baseline=5000, ablation_no_batching=1000, ablation_no_pipelining=3000)
    rates(tmp_path, ablation_no_buffer=2500, ablation_small_window=4900)
    got = verdicts(tmp_path)
    assert (got["OPT-1"].verdict, got["OPT-1"].condition) == ("holds", "")
    assert got["OPT-1"].measured == "one task a transaction 1,000/s, everything on 5,000/s (n = 2)"
    assert got["OPT-2"].verdict == "holds only if"
    assert got["OPT-2"].condition == "next to no cache is not meant: no throughput was surely lost with it"
    assert got["OPT-3"].verdict == "holds only if"
    assert "every process keeps its one connection" in got["OPT-3"].condition
    rates(tmp_path, ablation_no_batching=4900)
    assert verdicts(tmp_path)["OPT-1"].verdict == "not shown"
    rates(tmp_path, ablation_no_batching=6000)
    assert verdicts(tmp_path)["OPT-1"].verdict == "not shown"  # two runs of each refute nothing
    for name, rate in (("ablation-baseline", 5000.0), ("ablation-no-batching", 6000.0)):
        run(tmp_path, name, throughput_per_s=fig(rate) | {"n": 3})
    assert verdicts(tmp_path)["OPT-1"].verdict == "does not hold"


def test_two_figures_differ_only_beyond_their_intervals(tmp_path: Path) -> None:
    wide = {"value": 80.0, "low": 60.0, "high": 101.0, "n": 3}
    run(tmp_path, "one", throughput_per_s=fig(100.0) | {"n": 3})
    run(tmp_path, "two", throughput_per_s=wide)
    run(tmp_path, "three", throughput_per_s=wide | {"high": 90.0})
    runs = Runs(tmp_path)
    assert change(runs, "one", "two", "throughput_per_s") == "same"
    assert change(runs, "one", "three", "throughput_per_s") == "less"
    assert change(runs, "three", "one", "throughput_per_s") == "more"
    assert change(runs, "one", "absent", "throughput_per_s") is None


def test_the_queue_at_full_utilisation_makes_a_condition_not_a_refutation(tmp_path: Path) -> None:
    queue(tmp_path, "sustained", workers=5, waiting=40)
    got = verdicts(tmp_path)["SUS-1"]
    assert (got.verdict, got.evidence) == ("holds only if", ["sustained"])
    assert "40.0 tasks wait at the end" in got.condition
    queue(tmp_path, "sustained-stable", workers=6, waiting=0)
    assert verdicts(tmp_path)["SUS-1"].condition.endswith("; with 60 slots hardly any")
    queue(tmp_path, "sustained", workers=5, waiting=2)
    assert verdicts(tmp_path)["SUS-1"].verdict == "holds"
    queue(tmp_path, "sustained", workers=5, waiting=2, twice=1)
    assert verdicts(tmp_path)["SUS-1"].verdict == "does not hold"


def test_what_waits_at_the_end_of_the_arrivals() -> None:
    due = np.arange(1000) / 10
    rows = pd.DataFrame({"index": range(1000), "final": True, "intended": due, "started": due + 3.0})
    assert waiting(rows) == pytest.approx(30, abs=0.5)
    assert waiting(rows.assign(started=due)) == 0


def fleet(root: Path, workers: int, rate: float) -> None:
    values = {"steady_throughput_per_s": fig(rate), **latencies(dispatch=0.01)}
    metrics.write({"sim": values}, root / f"fleet-{workers}" / "metrics.json")
    scenario_file(root, f"fleet-{workers}", f"[workload.arrivals]\nrate_per_s = {8.0 * workers}\n")


def test_the_size_of_a_cluster_is_asked_of_the_model(tmp_path: Path) -> None:
    for workers, rate in ((10, 80), (100, 800), (1000, 5000)):
        fleet(tmp_path, workers, rate)
    got = verdicts(tmp_path)["CON-1"]
    assert (got.verdict, got.measured) == ("holds", "")
    assert "1000 workers: 5,000/s" in got.predicted
    fleet(tmp_path, 1000, 8000)
    assert verdicts(tmp_path)["CON-1"].condition.startswith('"medium" goes up to 1,000 workers')
    fleet(tmp_path, 100, 500)
    assert verdicts(tmp_path)["CON-1"].condition == "there are fewer than 100 workers"


def benchmarks(root: Path, **changes: Any) -> None:
    times = {"p50_s": 0.004, "p99_s": 0.008}
    infos = {
        "test_one_operation": {"n": 300, "put_p50_s": 0.001, **times},
        "test_batch_of_100_operations": {"n": 30, "tasks": 100, "rate_per_s": 5000.0},
        "test_100_threads_of_10_submits_that_wait": {
            "n": 7, "p50_s": 0.3, "p99_s": 0.5, "rate_per_s": 3000.0, "operations_per_s": 2500.0,
        },
        "test_100_waiting_tasks_taken_by_10_slots": {
            "n": 10, "p50_s": 0.1, "p99_s": 0.2, "rate_per_s": 1000.0, "executed_twice": 0, "never_executed": 0,
        },
        "test_codec[encode]": {"n": 100, "rate_per_s": 2e6, "p50_s": 5e-7},
        "test_codec[decode]": {"n": 100, "rate_per_s": 1e6, "p50_s": 1e-6},
    }  # fmt: skip
    entries = [{"name": name, "extra_info": info | changes.get(name, {})} for name, info in infos.items()]
    (root / "benchmarks.json").write_text(json.dumps({"benchmarks": entries}))


@pytest.mark.parametrize(
    ("changes", "claim", "verdict"),
    [
        ({}, "QUE-1", "holds"),
        ({}, "QUE-2", "holds"),
        ({}, "QUE-3", "holds"),
        ({}, "SER-1", "holds"),
        ({"test_one_operation": {"p99_s": 0.02}}, "QUE-1", "holds only if"),
        ({"test_one_operation": {"p50_s": 0.011}}, "QUE-1", "does not hold"),
        ({"test_100_threads_of_10_submits_that_wait": {"operations_per_s": 900.0}}, "QUE-1", "holds only if"),
        ({"test_100_threads_of_10_submits_that_wait": {"rate_per_s": 150.0}}, "QUE-2", "does not hold"),
        ({"test_100_waiting_tasks_taken_by_10_slots": {"executed_twice": 1}}, "QUE-3", "does not hold"),
        ({"test_codec[decode]": {"rate_per_s": 9e4}}, "SER-1", "does not hold"),
    ],
)
def test_benchmarks(tmp_path: Path, changes: dict[str, Any], claim: str, verdict: str) -> None:
    benchmarks(tmp_path, **changes)
    got = verdicts(tmp_path)[claim]
    assert (got.verdict, got.evidence) == (verdict, ["benchmarks.json"])


def containers(root: Path, *, holds: bool) -> None:
    steps = [
        {"section": "beyond", "command": "docker-compose kill", "holds": False, "problem": "none of the source's"},
        {"section": "9.1", "command": "docker-compose up -d", "holds": True, "problem": None},
        {
            "section": "9.4",
            "command": "docker-compose logs -f",
            "holds": holds,
            "problem": None if holds else "it hung",
        },
    ]
    trial = {"compose": "docker-compose", "version": "1.29.2", "holds": holds, "steps": steps}
    (root / "containers.json").write_text(json.dumps({"claim": "MET-1", "holds": holds, "trials": [trial]}))


@pytest.mark.parametrize(("holds", "verdict"), [(True, "holds"), (False, "does not hold")])
def test_the_commands_of_the_source(tmp_path: Path, *, holds: bool, verdict: str) -> None:
    good(tmp_path)
    benchmarks(tmp_path)
    containers(tmp_path, holds=holds)
    got = verdicts(tmp_path)
    assert (got["MET-1"].verdict, got["MET-2"].verdict) == (verdict, verdict)
    assert got["MET-1"].evidence == ["containers.json"]
    assert ("it hung" in got["MET-1"].measured) is not holds


@pytest.mark.parametrize(("members", "verdict"), [(0.004, "holds only if"), (0.002, "holds")])
def test_a_cluster_costs_time(tmp_path: Path, members: float, verdict: str) -> None:
    run(tmp_path, "latency-watch", **latencies(enqueue=0.002))
    run(tmp_path, "members-3", **latencies(enqueue=members))
    assert verdicts(tmp_path)["OPT-5"].verdict == verdict


def test_killed_members_are_told_apart(tmp_path: Path) -> None:
    run(tmp_path, "latency-watch", **latencies(enqueue=0.002))
    run(tmp_path, "members-3", **latencies(enqueue=0.004))
    broken = {"completed": fig(59), "submitted": fig(60), "lost": fig(1), "committed_twice": fig(0)}
    run(tmp_path, "members-3-leader", **latencies(dispatch=1.5), **broken)
    measured = verdicts(tmp_path)["OPT-5"].measured
    assert "the leader of three killed: 1 not completed, 1 lost, submit to start p99 3,000 ms" in measured
    assert "follower" not in measured


def test_knobs(tmp_path: Path) -> None:
    good(tmp_path)
    run(tmp_path, "tuning-pull-100", **latencies(overhead=0.1))
    assert verdicts(tmp_path)["OPT-4"].verdict == "holds"
    run(tmp_path, "tuning-slots-20", steady_throughput_per_s=fig(30))
    got = verdicts(tmp_path)["OPT-4"]
    assert (got.verdict, got.condition) == ("holds only if", "concurrency is not meant, which changed nothing here")
    run(tmp_path, "tuning-pull-100", **latencies(overhead=0.31))
    assert verdicts(tmp_path)["OPT-4"].condition.startswith("the poll interval and concurrency changed nothing")
