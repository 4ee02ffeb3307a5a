"""Callbacks of handles: each is called once, whatever becomes of its task."""

import logging
from collections.abc import Iterator
from queue import SimpleQueue

import msgspec
import pytest
from msgspec import Raw

from core.client import Client, Handle, SubmitError
from core.etcd.embedded import EmbeddedEtcd
from core.model import TaskSpec
from tests.cluster import Cluster

PATIENCE_S = 30.0
SPEC = TaskSpec(f"{7:032x}", "echo", payload=Raw(b'"one"'))


@pytest.fixture(scope="module")
def cluster(etcd: EmbeddedEtcd) -> Iterator[Cluster]:
    with Cluster(",".join(etcd.endpoints), "test-callbacks", slots=4) as cluster:
        cluster.start("scheduler-1", "worker-1")
        yield cluster
        cluster.drain()


@pytest.fixture
def called() -> "SimpleQueue[Handle]":
    return SimpleQueue()


def test_each_task_that_ends_is_told_once(client: Client, called: "SimpleQueue[Handle]") -> None:
    handles = client.submit_many("echo", range(20))
    for handle in handles:
        handle.add_done_callback(called.put)
    told = [called.get(timeout=PATIENCE_S) for _ in handles]
    assert {one.id for one in told} == {one.id for one in handles}
    assert sorted(one.result(0) for one in told) == list(range(20))
    assert called.empty()


def test_one_that_has_ended_is_told_at_once(client: Client, called: "SimpleQueue[Handle]") -> None:
    handle = client.submit("echo", 1)
    handle.result(PATIENCE_S)
    handle.add_done_callback(called.put)
    assert called.get_nowait() is handle


def test_of_several_callbacks_one_that_fails_stops_none(
    client: Client, called: "SimpleQueue[Handle]", caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Handle) -> None:
        raise ZeroDivisionError

    handle = client.submit("echo", {"duration_s": 0.2})
    for function in (called.put, fail, called.put):
        handle.add_done_callback(function)
    with caplog.at_level(logging.ERROR, "tandem"):
        assert [called.get(timeout=PATIENCE_S) for _ in range(2)] == [handle, handle]
    assert f"a callback of task {handle.id} has failed" in caplog.text
    assert client.submit("echo", 2).result(PATIENCE_S) == 2  # the client lives


def test_several_handles_of_one_task_and_one_of_none(client: Client, called: "SimpleQueue[Handle]") -> None:
    handles = client.submit_specs([SPEC, SPEC])
    handles += client.submit_specs([SPEC])
    for handle in handles:
        handle.add_done_callback(called.put)
    assert {id(called.get(timeout=PATIENCE_S)) for _ in handles} == {id(handle) for handle in handles}
    stranger = client.handle(f"{2**100:032x}")  # nobody ever submitted it
    stranger.add_done_callback(called.put)
    assert called.get(timeout=PATIENCE_S) is stranger


def test_a_refused_submit_is_told(idle: Client, called: "SimpleQueue[Handle]") -> None:
    kept = idle.submit_specs([SPEC])[0]
    kept.acknowledged(PATIENCE_S)
    other = msgspec.structs.replace(SPEC, payload=Raw(b'"another"'))
    refused = idle.submit_specs([other])[0]
    refused.add_done_callback(called.put)
    assert called.get(timeout=PATIENCE_S) is refused
    with pytest.raises(SubmitError, match="is another"):
        refused.result(0)
    refused.add_done_callback(called.put)
    assert called.get_nowait() is refused


def test_the_end_of_the_client_is_told(etcd: EmbeddedEtcd, namespace: str, called: "SimpleQueue[Handle]") -> None:
    with Client(",".join(etcd.endpoints), namespace=f"/{namespace}/") as client:
        waits = client.submit("echo")
        waits.add_done_callback(called.put)
        assert called.empty()
    assert called.get_nowait() is waits
    with pytest.raises(RuntimeError, match="closed"):
        waits.result(0)
    waits.add_done_callback(called.put)
    assert called.get_nowait() is waits
