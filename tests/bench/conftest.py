"""One system for all benchmarks, one table at the end, and the gate. docs/benchmarks.md says what the rows mean."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.client import Client
from core.etcd.embedded import EmbeddedEtcd
from core.etcd.store import EtcdStore
from experiments import baseline, environment
from experiments.baseline import FAILURES, Finding
from experiments.components import Components
from experiments.schema import Topology
from tests.bench.figures import BACKLOG_RATIOS, BASELINE, Ledger, render
from tests.bench.meters import System

BACKLOG = 1_000_000
MODEL_TASKS = 100_000
REGRESSED = 1
"""Exit code; pytest's own for failed tests."""

LEDGER = pytest.StashKey[Ledger]()
FINDINGS = pytest.StashKey[list[Finding]]()
PROBLEM = pytest.StashKey[str]()
LOAD = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tandem", "Tandem's benchmarks")
    group.addoption("--backlog", type=int, default=BACKLOG, help="tasks that wait in the long backlog; 0: skip it")
    group.addoption("--model-tasks", type=int, default=MODEL_TASKS, help="tasks of the model's long run")
    group.addoption("--gate", action="store_true", help="fail where a ratio is beyond the recorded baseline")
    group.addoption("--ratios-to", type=Path, help="write this run's ratios to a JSON file")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEDGER] = Ledger(
        config.getoption("--backlog", BACKLOG), config.getoption("--model-tasks", MODEL_TASKS)
    )
    config.stash[LOAD] = os.getloadavg()[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is idle or waits first: after the bursts, etcd tidies up behind a quarter of a million tasks."""
    quiet = ("test_idle", "test_latency", "test_queue")
    items.sort(key=lambda item: item.path.parent.name == "bench" and not item.path.stem.startswith(quiet))


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """What is saved says on what kind of machine, not on whose."""
    machine_info.pop("node", None)


def pytest_benchmark_update_commit_info(commit_info: dict[str, Any]) -> None:
    """The name of somebody's folder is not the project's."""
    commit_info["project"] = "tandem"


# --- what the benchmarks ask for ---------------------------------------------------------------------------------


@pytest.fixture
def ledger(pytestconfig: pytest.Config) -> Ledger:
    return pytestconfig.stash[LEDGER]


@pytest.fixture(scope="session")
def system(etcd: EmbeddedEtcd) -> Iterator[System]:
    """Running, connected, warm, with the whole protocol on and every component writing its stamps."""
    endpoints = ",".join(etcd.endpoints)
    puts = EtcdStore(endpoints, "/bench-puts/")
    with Components(Topology(workers=3, slots=10), endpoints, "/bench/") as components:
        components.start_all()
        components.wait_registered()
        with Client(endpoints, namespace="/bench/") as client:
            client.submit("echo").result(timeout_s=30)
            yield System(etcd, components, client, puts)
    puts.close()


@pytest.fixture(scope="session")
def lone() -> Iterator[tuple[Client, EtcdStore]]:
    """A client and an etcd of its own: no scheduler, no workers. The store is for bare puts on the same server."""
    with EmbeddedEtcd() as server:
        endpoints = ",".join(server.endpoints)
        puts = EtcdStore(endpoints, "/bench-puts/")
        with Client(endpoints, namespace="/bench/") as client:
            yield client, puts
        puts.close()


# --- the end of the run ------------------------------------------------------------------------------------------


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Judge, and decide the exit code; the table comes later."""
    config, ledger = session.config, session.config.stash[LEDGER]
    if (path := config.getoption("--ratios-to", None)) is not None:
        path.write_bytes(msgspec.json.encode(ledger.ratios))
    if not ledger.figures:
        return
    gate = config.getoption("--gate", default=False)
    findings: list[Finding] = []
    try:
        excused = () if ledger.backlog == BACKLOG else BACKLOG_RATIOS
        findings = baseline.judge(baseline.read(BASELINE), ledger.ratios, excused)
    except ValueError as error:
        config.stash[PROBLEM] = str(error)
    config.stash[FINDINGS] = findings
    bad = PROBLEM in config.stash or any(finding.verdict in FAILURES for finding in findings)
    if gate and bad and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = REGRESSED


@pytest.hookimpl(trylast=True)  # behind the tables of pytest-benchmark
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    ledger = config.stash[LEDGER]
    if not ledger.figures:
        return
    findings = config.stash.get(FINDINGS, [])
    terminalreporter.section("figures of this run")
    terminalreporter.write_line(_about(config.stash[LOAD]))
    terminalreporter.write(render(ledger, findings, colour=terminalreporter._tw.hasmarkup))
    for line in _gate_lines(config, findings):
        terminalreporter.write_line(line)


def _gate_lines(config: pytest.Config, findings: list[Finding]) -> list[str]:
    if PROBLEM in config.stash:
        return [f"gate: {config.stash[PROBLEM]}"]
    lines = [
        f"gate: {finding}; record it, so that it is guarded" for finding in findings if finding.verdict == "better"
    ]
    bad = [finding for finding in findings if finding.verdict in FAILURES]
    if config.getoption("--gate", default=False) and bad:
        lines += [f"gate: {finding}" for finding in bad]
        lines.append(
            "gate: FAILED. Run again on a quiet machine; if it stays, look for the change that did it "
            '(docs/benchmarks.md); where the change is wanted: make bench-record REASON="why"'
        )
    return lines


def _about(load: float) -> str:
    about = environment.describe()
    gib = about["memory_bytes"] / 2**30
    return (
        f"{about['cores']} cores ({about['cpu_model']}), {gib:.0f} GiB, Python {about['python']}; "
        f"load average when it began: {load:.1f}.\nEvery process writes its stamps; etcd syncs every write."
    )
