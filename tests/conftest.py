"""One real etcd for the whole session; every test works under a namespace of its own.

`make test` runs two processes of pytest: tests with real processes one after the other in one, all others beside them,
file by file, so that what a file sets up is set up once.
"""

import uuid
from collections.abc import Iterator

import pytest

from core.etcd.binary import EtcdServerError, Server, find_server
from core.etcd.embedded import EmbeddedEtcd

REAL = frozenset({"docs", "faults", "integration", "notebooks"})
"""Folders whose tests run real processes; elsewhere those that ask for `etcd` do, or say so with `xdist_group`."""


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        real = item.path.parent.name in REAL or "etcd" in getattr(item, "fixturenames", ())
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("real" if real else str(item.path)))


def pytest_report_header() -> list[str]:
    try:
        server = find_server()
    except EtcdServerError as error:
        return [f"etcd: {error}"]
    return [f"etcd: {server.version_text} from {server.origin}", *filter(None, [server.warning])]


@pytest.fixture(scope="session")
def etcd() -> Iterator[EmbeddedEtcd]:
    """A server shared by all tests: don't kill, stop or fill it; start your own for that."""
    with EmbeddedEtcd() as server:
        yield server


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses."""
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def durable_server() -> Server:
    """For tests that kill etcd: a release known to lose acknowledged writes would fail them for reasons not ours."""
    try:
        return find_server(durable=True)
    except EtcdServerError as error:
        pytest.skip(str(error))
