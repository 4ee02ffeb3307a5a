"""Repetitions of the model in other processes, and on a cluster: the same figures, bit for bit."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import joblib
import msgspec
import pytest

from experiments.scenario import ScenarioError
from experiments.schema import Empirical, Exponential, Poisson, Scenario, Topology, Workload
from experiments.sweep import Job, jobs_of, replicate, spread, values_of

SMALL = Scenario(
    name="small",
    topology=Topology(workers=2, slots=3),
    workload=Workload(
        arrivals=Poisson(rate_per_s=100),
        count=40,
        service=Exponential(mean_s=0.02),
    ),
)


@pytest.fixture(scope="module")
def here() -> bytes:
    """The figures of four repetitions, computed in this process."""
    return msgspec.json.encode(replicate(jobs_of(SMALL, 4), n_jobs=1))


@pytest.mark.timeout(180)
def test_in_other_processes_the_figures_are_the_same(here: bytes) -> None:
    told: list[tuple[int, int]] = []
    found = replicate(jobs_of(SMALL, 4), n_jobs=2, on_done=lambda done, total: told.append((done, total)))
    assert msgspec.json.encode(found) == here
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len({one["latency_s"]["total"]["mean"] for one in found}) == 4  # four repetitions, not one four times


@pytest.fixture
def cluster() -> Iterator[None]:
    """A Dask cluster of two processes on this machine, without its dashboard."""
    from distributed import Client, LocalCluster  # noqa: PLC0415 - slow

    nodes = LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    )
    with nodes, Client(nodes):  # type: ignore[no-untyped-call]
        yield


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("cluster")
def test_on_a_dask_cluster_the_figures_are_the_same(here: bytes) -> None:
    with joblib.parallel_config(backend="dask"):
        assert msgspec.json.encode(replicate(jobs_of(SMALL, 4))) == here


def test_files_that_a_scenario_names_are_read_before_the_job_leaves(tmp_path: Path) -> None:
    times = tmp_path / "times.txt"
    times.write_text("0.01\n0.02\n")
    one = msgspec.structs.replace(
        SMALL, workload=msgspec.structs.replace(SMALL.workload, service=Empirical(file=str(times)))
    )
    seen: list[bytes] = []

    def gone(done: int, total: int) -> None:
        times.unlink(missing_ok=True)

    for _ in range(2):
        times.write_text("0.01\n0.02\n")
        seen.append(msgspec.json.encode(replicate([Job(one)], n_jobs=1, on_done=gone)))
    assert seen[0] == seen[1]


def test_replicas_are_the_same_tasks_with_other_luck() -> None:
    profile = values_of()
    first, again, other = replicate(
        [Job(SMALL, values=profile), Job(SMALL, values=profile), Job(SMALL, values=profile, replica=1)], n_jobs=1
    )
    assert first == again
    assert first["latency_s"]["total"] != other["latency_s"]["total"]
    assert first["submitted"] == other["submitted"]


def test_nobody_is_told_that_a_process_was_replaced() -> None:
    """Joblib does that where one has grown much, as with large payloads."""
    assert spread(abs, [-1, -2], n_jobs=1) == [1, 2]
    warnings.warn("A worker stopped while some jobs were given to the executor. This can be ...", UserWarning, 2)


def test_a_host_of_more_cores_and_a_profile_that_is_none(tmp_path: Path) -> None:
    assert values_of(cores=64).cores == 64
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ScenarioError, match=r"broken\.json"):
        values_of(tmp_path / "broken.json")


CTRL_C = """
import os, signal, sys
from experiments.schema import *
from experiments.sweep import jobs_of, replicate
load = Workload(arrivals=Poisson(rate_per_s=100), count=300, service=Constant(value_s=0.01))
one = Scenario(name="long", workload=load)
def stop(done, total):
    os.kill(os.getpid(), signal.SIGINT)
if __name__ == "__main__":
    try:
        replicate(jobs_of(one, 400), n_jobs=2, on_done=stop)
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.timeout(180)
def test_ctrl_c_ends_the_processes_quietly(tmp_path: Path) -> None:
    script = tmp_path / "long.py"
    script.write_text(CTRL_C)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=170, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
