"""Clients for the tests here."""

from collections.abc import Iterator

import pytest

from core.client import Client
from core.etcd.embedded import EmbeddedEtcd
from tests.cluster import Cluster


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    """Of the module's own `cluster`."""
    with Client(cluster.endpoints, namespace=cluster.namespace) as client:
        yield client


@pytest.fixture
def idle(etcd: EmbeddedEtcd, namespace: str) -> Iterator[Client]:
    """In a namespace where nothing runs: tasks stay ready."""
    with Client(",".join(etcd.endpoints), namespace=f"/{namespace}/") as client:
        yield client
