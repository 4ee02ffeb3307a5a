"""The benchmarks of a report: run in a process of their own, kept only when all of them passed."""

import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from experiments import benchmarks
from experiments.world import ExperimentError
from tests.bench.test_queue import executions

GOOD = """
def test_small(benchmark):
    benchmark.pedantic(sum, ((1, 2),), rounds=3)
    benchmark.extra_info.update(claims=["QUE-1"], n=3, p50_s=0.001, p99_s=0.002, rate_per_s=1000.0)
"""
BAD = """
def test_wrong(benchmark):
    assert benchmark(sum, (1, 2)) == 4
"""
ENDLESS = """
import threading
def test_endless(benchmark):
    benchmark.pedantic(threading.Event().wait, (300,), rounds=1)
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of tests/bench: a folder for other modules, none of which needs etcd."""
    folder = tmp_path / "tests" / "bench"
    folder.mkdir(parents=True)
    monkeypatch.setattr(benchmarks, "ROOT", tmp_path)
    monkeypatch.setattr(benchmarks, "MODULES", ("test_one.py",))
    return folder


def test_what_they_say_is_kept(modules: Path, tmp_path: Path) -> None:
    (modules / "test_one.py").write_text(GOOD)
    said: list[str] = []
    path = benchmarks.run(tmp_path / "runs", said.append)
    assert path == tmp_path / "runs" / "benchmarks.json"
    assert [one.name for one in path.parent.iterdir()] == ["benchmarks.json"]
    found = benchmarks.read(path)
    assert found == {"test_small": {"claims": ["QUE-1"], "n": 3, "p50_s": 0.001, "p99_s": 0.002, "rate_per_s": 1000.0}}
    assert said[-1] == "queue and serialisation: 1 done"


def test_one_that_fails_leaves_the_old_results(modules: Path, tmp_path: Path) -> None:
    (modules / "test_one.py").write_text(GOOD + BAD)
    (tmp_path / "benchmarks.json").write_text("old")
    with pytest.raises(ExperimentError, match=r"failed \(status 1\).*test_wrong.*1 failed"):
        benchmarks.run(tmp_path)
    assert (tmp_path / "benchmarks.json").read_text() == "old"
    assert not list(tmp_path.glob(".benchmarks-*"))


def test_nothing_measured_is_no_result(modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (modules / "test_one.py").touch()
    monkeypatch.setattr(benchmarks, "_follow", lambda _command, _tell: None)  # pytest is content, and wrote nothing
    with pytest.raises(ExperimentError, match="left no results"):
        benchmarks.run(tmp_path)


def test_an_interrupt_ends_them(modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (modules / "test_one.py").write_text(GOOD + ENDLESS)
    children: list[subprocess.Popen[str]] = []
    real = subprocess.Popen

    def start(*arguments: Any, **named: Any) -> subprocess.Popen[str]:
        children.append(real(*arguments, **named))
        return children[-1]

    def tell(what: str) -> None:
        if "1 done" in what:
            raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", start)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        benchmarks.run(tmp_path, tell)
    assert time.monotonic() - began < benchmarks.END_TIMEOUT_S  # it ended by itself
    assert not psutil.pid_exists(children[0].pid)
    assert not (tmp_path / "benchmarks.json").exists()


def test_too_slow_is_one_sentence(modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (modules / "test_one.py").write_text(ENDLESS)
    monkeypatch.setattr(benchmarks, "TIMEOUT_S", 1.0)
    with pytest.raises(ExperimentError, match="did not end within 1 s"):
        benchmarks.run(tmp_path)


def test_an_installed_package_has_no_benchmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks, "ROOT", tmp_path)
    with pytest.raises(ExperimentError, match=r"tests/bench of the source tree, which is not here: run this from"):
        benchmarks.run(tmp_path)


def test_without_the_library_they_cannot_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ExperimentError, match="install the extra 'dev'"):
        benchmarks.run(tmp_path)


def test_executions_are_counted_by_the_stamps_of_all_workers(tmp_path: Path) -> None:
    """What the claim that no task is taken twice rests on."""
    lines = {
        "worker-1-10": [("executed", "a"), ("executed", "b"), ("received", "c")],
        "worker-1-11": [("executed", "a")],  # its successor
        "scheduler-1-9": [("assigned", "c")],
    }
    for name, rows in lines.items():
        spool = [
            msgspec.json.encode({"component": name, "kind": kind, "rows": [(task, 1, (1.0,))]}) for kind, task in rows
        ]
        (tmp_path / f"{name}.spool.jsonl").write_bytes(b"\n".join(spool) + b"\n")
    assert executions(tmp_path) == {"a": 2, "b": 1}
