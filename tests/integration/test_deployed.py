"""Scenarios on schedulers and workers that somebody else started, as `docker-compose up` does."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from core.client import Client
from core.etcd.embedded import EmbeddedEtcd
from core.kv.requests import Found, Get
from core.settings import SchedulerSettings, WorkerSettings
from experiments import trace
from experiments.aftermath import erase
from experiments.cli import app
from experiments.trace import stages
from tests.cluster import PATIENCE_S, Cluster

SCENARIO = """
name = "deployed"
[topology]
workers = {workers}
slots = 4
[workload]
count = 40
arrivals = {{process = "constant", rate_per_s = 80}}
service = {{distribution = "constant", value_s = 0.02}}
{more}
"""

pytestmark = pytest.mark.timeout(2 * PATIENCE_S)


@pytest.fixture(scope="module")
def deployed(etcd: EmbeddedEtcd) -> Iterator[Cluster]:
    """One scheduler and two workers of four slots."""
    settings = {"scheduler": SchedulerSettings(lease_ttl_s=60.0), "worker": WorkerSettings(lease_ttl_s=60.0, slots=4)}
    with Cluster(",".join(etcd.endpoints), "test-deployed", **settings) as cluster:  # type: ignore[arg-type]
        cluster.start("scheduler-1", "worker-1", "worker-2")
        yield cluster
        cluster.drain()


def bench(cluster: Cluster, folder: Path, *, workers: int = 2, more: str = "") -> Result:
    """In this process, which is faster; the load generator is a process of its own."""
    file = folder / "scenario.toml"
    file.write_text(SCENARIO.format(workers=workers, more=more))
    where = ("--deployed", "--etcd-endpoints", cluster.endpoints, "--namespace", cluster.namespace)
    return CliRunner().invoke(app, ["run", str(file), "--world", "real", "--out", str(folder / "out"), *where])


def keys_of(cluster: Cluster) -> set[str]:
    found = cluster.store.call(Get("\0", "\x7f", keys_only=True))
    assert isinstance(found, Found)
    return {kv.key for kv in found.kvs}


def test_it_submits_observes_and_removes_its_tasks(deployed: Cluster, tmp_path: Path) -> None:
    before = keys_of(deployed)
    for _ in range(2):  # the same seed twice: the ids must differ
        done = bench(deployed, tmp_path)
        assert done.exit_code == 0, done.output
        assert keys_of(deployed) == before
    out = tmp_path / "out"
    figures = json.loads((out / "metrics.json").read_text())["real"]
    assert {key: figures[key] for key in ("submitted", "completed", "lost", "committed_twice")} == {
        "submitted": 40,
        "completed": 40,
        "lost": 0,
        "committed_twice": 0,
    }
    assert figures["executed_twice"] is None
    assert figures["cpu_s_per_1000"]["value"] is None
    assert 40 < figures["throughput_per_s"]["value"] < 100
    assert figures["steady_throughput_per_s"]["value"] > 40
    about = json.loads((out / "real" / "0" / "environment.json").read_text())
    assert about["deployed"] == {"schedulers": 1, "workers": 2, "worker_hosts": 1, "slots": 8}
    stages_are_known_or_null(trace.read(out / "real" / "0" / "trace.parquet"))


def stages_are_known_or_null(rows: pd.DataFrame) -> None:
    """What other processes know is never guessed."""
    times = stages(rows)
    known = {name for name in times if times[name].notna().all()}
    unknown = {name for name in times if times[name].isna().all()}
    assert known == {"submit_lag", "enqueue", "total"}
    assert unknown == set(times) - known
    assert (times["total"] >= 0.02).all()


def test_what_is_deployed_must_be_what_the_scenario_is_about(deployed: Cluster, tmp_path: Path) -> None:
    done = bench(deployed, tmp_path, workers=3)
    assert done.exit_code == 3
    assert "1 scheduler, 3 workers of 4 slots" in done.stderr
    assert "there are 1 scheduler, 2 workers of 4 slots" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("[[faults]]\nkind = 'worker_kill'\ntarget = 'worker-1'\nat_s = 0.1", "not ours to break"),
        ("[settings.scheduler]\nmax_batch = 1", "keep their own"),
    ],
)
def test_what_only_the_owner_can_do_is_refused(deployed: Cluster, tmp_path: Path, more: str, words: str) -> None:
    done = bench(deployed, tmp_path, more=more)
    assert done.exit_code == 3
    assert words in done.stderr


def test_tasks_of_others_are_not_measured_with(deployed: Cluster, tmp_path: Path) -> None:
    with Client(deployed.endpoints, namespace=deployed.namespace) as client:
        handle = client.submit("nobody-has-this")
    done = bench(deployed, tmp_path)
    assert done.exit_code == 3
    assert "1 unfinished task" in done.stderr
    erase(deployed.store, frozenset([handle.id]))
    assert not any(handle.id in key for key in keys_of(deployed))


def test_deployed_needs_to_know_where(tmp_path: Path) -> None:
    arguments = ["run", "scaling-1", "--deployed", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments, env={"TANDEM_ETCD_ENDPOINTS": None})
    assert done.exit_code == 3
    assert "--etcd-endpoints" in done.stderr
