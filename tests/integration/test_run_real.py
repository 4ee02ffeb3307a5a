"""Whole scenarios on real processes and a real etcd, through the program that a user calls."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from experiments import trace
from experiments.trace import STAGES, stages

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240

pytestmark = pytest.mark.timeout(PATIENCE_S + 30)

FAULTY = """
name = "faulty"
[topology]
workers = 2
slots = 4
lease_ttl_s = 2.0
[workload]
count = 80
arrivals = {process = "constant", rate_per_s = 40}
service = {distribution = "uniform", low_s = 0.05, high_s = 0.3}
priorities = {1 = 1, 5 = 3}
[[faults]]
kind = "worker_kill"
target = "worker-1"
at_s = 0.4
[[faults]]
kind = "scheduler_kill"
target = "scheduler-1"
at_s = 0.8
duration_s = 0.3
[[faults]]
kind = "etcd_kill"
target = "etcd-1"
at_s = 1.2
duration_s = 0.3
"""

LONG = """
name = "long"
[topology]
workers = 1
[workload]
count = 1000
arrivals = {process = "burst"}
"""

CLOSED = """
name = "closed"
[topology]
workers = 1
slots = 4
[workload]
count = 40
arrivals = {process = "closed", in_flight = 4}
service = {distribution = "constant", value_s = 0.02}
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "experiments.cli", *arguments]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def save(folder: Path, text: str) -> str:
    path = folder / "scenario.toml"
    path.write_text(text)
    return str(path)


def of_run(out: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    repetition = out / "real" / "0"
    assert sorted(path.name for path in repetition.iterdir()) == [
        "environment.json",
        "etcd.json",
        "metrics.json",
        "resources.parquet",
        "scenario.toml",
        "trace.parquet",
    ]
    return trace.read(repetition / "trace.parquet"), json.loads((out / "metrics.json").read_text())["real"]


def test_crashes_of_worker_scheduler_and_etcd_lose_nothing_and_commit_nothing_twice(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = bench("run", save(tmp_path, FAULTY), "--world", "real", "--out", str(out))
    assert done.returncode == 0, done.stderr
    rows, figures = of_run(out)
    assert {key: figures[key] for key in ("completed", "lost", "committed_twice")} == {
        "completed": 80,
        "lost": 0,
        "committed_twice": 0,
    }
    final = rows[rows["final"]]
    assert final["index"].tolist() == list(range(80))
    assert set(final["outcome"]) == {"succeeded"}
    assert rows["attempt"].max() >= 2  # the killed worker held tasks
    resources = pd.read_parquet(out / "real" / "0" / "resources.parquet")
    assert {"client-1", "scheduler-1", "worker-1", "worker-2", "etcd-1"} <= set(resources["component"])
    for counter in ("cpu_s", "read_bytes", "write_bytes"):
        assert (resources.groupby("component")[counter].diff().dropna() >= 0).all()
    assert 0 < figures["recovery_s"]["p50"]["value"] <= figures["recovery_s"]["max"]["value"]
    assert figures["etcd"]["proposals_per_task"]["value"] is None  # what it counted before it was killed is gone


def test_closed_load_keeps_the_number_in_flight_and_every_stage_is_known(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = bench("run", save(tmp_path, CLOSED), "--world", "real", "--out", str(out))
    assert done.returncode == 0, done.stderr
    rows, figures = of_run(out)
    assert figures["completed"] == 40
    assert figures["queue_depth_max"]["value"] <= 4
    etcd = {name: figure["value"] for name, figure in figures["etcd"].items()}
    assert 0 < etcd["proposals_per_task"] <= 3 * 1.5  # submit, assign, complete, and now and then a lease
    assert 100 < etcd["bytes_in_per_task"] < 20_000
    assert 0 < etcd["fsync_mean_s"] < 1
    for kind in ("client", "scheduler", "worker", "etcd"):
        assert 5 < figures["pss_peak_mb_of"][kind]["value"] <= figures["rss_peak_mb_of"][kind]["value"]
        assert 0 < figures["cpu_share_of"][kind]["value"] < 2
    times = stages(rows)[list(STAGES)]
    assert times.notna().all().all()
    assert (times >= 0).all().all()
    ends = [(at, -1) for at in rows["observed"]]
    flying = peak = 0
    for _, change in sorted([*ends, *((at, 1) for at in rows["submitted"])]):
        flying += change
        peak = max(peak, flying)
    assert peak == 4


def test_no_etcd_at_the_endpoint_is_one_sentence(tmp_path: Path) -> None:
    arguments = ("--world", "real", "--out", str(tmp_path / "out"), "--etcd-endpoints", "127.0.0.1:1")
    done = bench("run", "scaling-1", *arguments)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "127.0.0.1:1" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_typo_is_one_sentence(tmp_path: Path) -> None:
    done = bench("run", save(tmp_path, LONG.replace("workers", "wrkers")), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr.strip().endswith("topology.wrkers: unknown key; did you mean 'workers'?")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_end_in_the_middle_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    arguments = ("--world", "real", "--out", str(tmp_path / "out"))
    mark = f"TANDEM_TEST_MARK_{os.getpid()}_{number}"
    running = subprocess.Popen(
        command("run", save(tmp_path, LONG), *arguments),
        cwd=ROOT,
        env={**os.environ, mark: "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: any("experiments.load" in " ".join(each.cmdline()) for each in marked(mark)))
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
        assert running.returncode == (-number if number == signal.SIGKILL else 130)
        assert "Traceback" not in said
        wait_for(lambda: not marked(mark))
    finally:
        running.kill()
        running.communicate()
        for process in marked(mark):
            process.kill()


def marked(mark: str) -> list[psutil.Process]:
    """The processes that inherited our mark, apart from ourselves."""
    found = []
    for process in psutil.process_iter():
        try:
            if mark in process.environ() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_for(condition: object, patience_s: float = 90.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            if condition():
                return
        except psutil.Error:
            pass
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
