"""One real etcd for the whole session; every test works under a namespace of its own.

`make test` runs several processes of pytest. Tests with real processes run one after the other in one of them, all
others beside that, file by file, so that what a file sets up is set up once. Notebooks and the docs' examples wait most
of their time for processes of their own, and do not care what else runs: each is a file like any other.
"""

import signal
import uuid
from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from core.etcd.binary import EtcdServerError, Server, find_server
from core.etcd.embedded import EmbeddedEtcd

REAL = ("tests/contract/", "tests/faults/", "tests/integration/")
"""Folders whose tests watch what real processes do, and when."""


class OneAtATime(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of real processes all go to one process of pytest; of the others, those of a file stay together."""

    def _split_scope(self, nodeid: str) -> str:
        return "real" if nodeid.startswith(REAL) else nodeid.partition("::")[0]


def pytest_configure() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would everything that the tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneAtATime:
    return OneAtATime(config, log)


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
