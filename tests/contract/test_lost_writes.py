"""Writes that a dead leader took with it are given up early, and those of a slow server are not."""

import queue
from collections.abc import Callable

import pytest

from core.etcd.binary import Server
from core.etcd.embedded import EmbeddedEtcd
from core.etcd.store import EtcdStore
from core.kv.requests import Put, Response, Txn, TxnDone, Unknown
from tests.contract.test_faults import TIMEOUT_S, put
from tests.contract.worlds import record


def test_a_write_that_a_dead_leader_took_with_it_is_unknown_long_before_its_deadline(
    durable_server: Server, namespace: str
) -> None:
    """Nobody answers it: it was sent to a follower that did not know yet, and from there to the dead leader."""
    with EmbeddedEtcd(server=durable_server, members=3) as cluster:
        store = EtcdStore(",".join(cluster.endpoints), namespace)
        for number in range(6):  # connected to every member
            put(store, f"k/{number}")
        leader = cluster.leader()
        assert leader is not None
        cluster.kill(leader)
        answers: queue.SimpleQueue[Response] = queue.SimpleQueue()
        for number in range(6):
            store.send(Txn((), (Put(f"k/{number}", record(number)),)), answers.put, 3600.0)
        fates = [answers.get(timeout=TIMEOUT_S) for _ in range(6)]
        assert {fate.detail for fate in fates if isinstance(fate, Unknown)} >= {
            "given up: the connection was closed, or etcd has lost the request"
        }
        put(store, "k/after")
        store.close()


def test_writes_that_a_slow_server_holds_up_are_not_given_up(
    own_etcd: EmbeddedEtcd, store: EtcdStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Barriers wait behind them: in its socket here, in its log where the disk is slow."""
    put(store, "k")
    barriers: queue.SimpleQueue[None] = queue.SimpleQueue()
    send_barrier = store._lost_writes._barrier

    def counted(carried_out: Callable[[], None]) -> None:
        send_barrier(carried_out)
        barriers.put(None)

    monkeypatch.setattr(store._lost_writes, "_barrier", counted)
    own_etcd.stop()
    answers: queue.SimpleQueue[Response] = queue.SimpleQueue()
    for number in range(20):
        store.send(Txn((), (Put(f"k/{number}", record(number)),)), answers.put, 60.0)
    for _ in range(4):
        barriers.get(timeout=TIMEOUT_S)
    own_etcd.resume()
    assert all(isinstance(answers.get(timeout=TIMEOUT_S), TxnDone) for _ in range(20))
