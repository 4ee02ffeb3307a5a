"""One cluster for all benchmarks, and a table at the end: figures and ratios, all from one run."""

from collections.abc import Iterator

import pytest

from core.client import Client
from core.etcd.embedded import EmbeddedEtcd
from experiments.components import Components
from experiments.schema import Topology

ROWS: list[tuple[str, str, str]] = []
"""(figure, measured, to reach); filled by the benchmarks."""


@pytest.fixture(scope="session")
def cluster(etcd: EmbeddedEtcd) -> Iterator[Client]:
    """One scheduler, three workers with 10 slots each, and a client, on the session's etcd."""
    endpoints = ",".join(etcd.endpoints)
    with Components(Topology(workers=3, slots=10), endpoints, "/bench/") as components:
        components.start_all()
        components.wait_registered()
        with Client(endpoints, namespace="/bench/") as client:
            client.submit("echo").result(timeout_s=30)  # everything is connected, and has run once
            yield client


@pytest.fixture
def row() -> list[tuple[str, str, str]]:
    return ROWS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not ROWS:
        return
    terminalreporter.section("figures of this run")
    width = max(len(name) for name, _, _ in ROWS)
    for name, measured, goal in ROWS:
        terminalreporter.write_line(f"{name:<{width}}  {measured:>22}   to reach: {goal}")
