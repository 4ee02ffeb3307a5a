"""What the contract suite needs beside the shared etcd: a server that a test may kill."""

from collections.abc import Iterator

import pytest

from core.etcd.binary import Server
from core.etcd.embedded import EmbeddedEtcd
from core.etcd.store import EtcdStore
from tests.contract.worlds import EtcdWorld, MemoryWorld, StationWorld, World


@pytest.fixture
def own_etcd(durable_server: Server) -> Iterator[EmbeddedEtcd]:
    """A server that the test may kill."""
    with EmbeddedEtcd(server=durable_server) as server:
        yield server


@pytest.fixture
def store(own_etcd: EmbeddedEtcd, namespace: str) -> Iterator[EtcdStore]:
    opened = EtcdStore(",".join(own_etcd.endpoints), namespace)
    yield opened
    opened.close()


@pytest.fixture(params=["memory", "station", "etcd"])
def world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    if request.param == "station":
        yield StationWorld()
        return
    etcd: EmbeddedEtcd = request.getfixturevalue("etcd")
    real = EtcdWorld(",".join(etcd.endpoints), namespace)
    yield real
    real.close()
