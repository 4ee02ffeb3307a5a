"""Leases are kept alive over a crash of etcd, and it is said that it was away."""

import logging
import queue
import re
import threading
import time

import pytest

from core.etcd.embedded import EmbeddedEtcd
from core.etcd.lease import KeepAlive
from core.etcd.store import EtcdStore
from core.etcd.watch import Watcher
from core.kv.requests import Found, Get, Grant, Granted, Put, Revoke, Txn, TxnDone
from core.machine.messages import Changes, LeaseLost, LeaseRenewed, Message, Watch
from tests.contract.worlds import record

TIMEOUT_S = 20.0


def test_keepalive_goes_on_after_a_crash(own_etcd: EmbeddedEtcd, store: EtcdStore) -> None:
    granted = store.call(Grant(3.0))
    assert isinstance(granted, Granted)
    events: queue.SimpleQueue[Message] = queue.SimpleQueue()
    keeper = KeepAlive(store)
    before = time.monotonic()
    keeper.add(granted.lease, granted.ttl_s, events.put)
    renewed = events.get(timeout=TIMEOUT_S)
    assert isinstance(renewed, LeaseRenewed)
    assert before + 3.0 <= renewed.expires_mono <= time.monotonic() + 3.0
    own_etcd.kill()
    while not events.empty():
        events.get()
    own_etcd.restart()
    back = events.get(timeout=TIMEOUT_S)
    assert isinstance(back, LeaseRenewed)
    assert back.expires_mono > renewed.expires_mono
    store.call(Revoke(granted.lease))
    while isinstance(event := events.get(timeout=TIMEOUT_S), LeaseRenewed):
        pass
    assert event == LeaseLost(granted.lease)
    keeper.close()


class Said(logging.Handler):
    """What is logged, to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: queue.SimpleQueue[str] = queue.SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.put(record.getMessage())


def test_keepalive_says_once_that_etcd_is_away_and_once_that_it_is_back(
    own_etcd: EmbeddedEtcd, store: EtcdStore
) -> None:
    granted = store.call(Grant(2.0))
    assert isinstance(granted, Granted)
    events: queue.SimpleQueue[Message] = queue.SimpleQueue()
    said, logger = Said(), logging.getLogger("tandem")
    logger.addHandler(said)
    keeper = KeepAlive(store)
    try:
        keeper.add(granted.lease, granted.ttl_s, events.put)
        assert isinstance(events.get(timeout=TIMEOUT_S), LeaseRenewed)
        own_etcd.kill()
        away = said.texts.get(timeout=TIMEOUT_S)
        assert re.fullmatch(r"etcd does not answer \(.+\); trying again until it does", away)
        own_etcd.restart()
        assert re.fullmatch(r"etcd answers again, after \d+\.\d s", said.texts.get(timeout=TIMEOUT_S))
        assert said.texts.empty()
    finally:
        keeper.close()
        logger.removeHandler(said)


def test_a_dropped_lease_dies(own_etcd: EmbeddedEtcd, store: EtcdStore) -> None:
    keeper, watches = KeepAlive(store), queue.SimpleQueue[Message]()
    watcher = Watcher(store, watches.put)
    kept, dropped = store.call(Grant(2.0)), store.call(Grant(2.0))
    assert isinstance(kept, Granted)
    assert isinstance(dropped, Granted)
    done = store.call(Txn((), (Put("l/kept", record(), kept.lease), Put("l/dropped", record(), dropped.lease))))
    assert isinstance(done, TxnDone)
    watcher.watch(Watch("l", "l/", "l0", done.revision + 1))
    heard: queue.SimpleQueue[Message] = queue.SimpleQueue()
    for granted in (kept, dropped):
        keeper.add(granted.lease, granted.ttl_s, heard.put)
    renewed = {heard.get(timeout=TIMEOUT_S), heard.get(timeout=TIMEOUT_S)}
    assert {event.lease for event in renewed if isinstance(event, LeaseRenewed)} == {kept.lease, dropped.lease}
    keeper.drop(dropped.lease)
    event = watches.get(timeout=TIMEOUT_S)
    assert isinstance(event, Changes)
    assert [(change.key, change.deleted) for change in event.changes] == [("l/dropped", True)]
    found = store.call(Get("l/", "l0"))
    assert isinstance(found, Found)
    assert [kv.key for kv in found.kvs] == ["l/kept"]
    keeper.close()
    watcher.close()


def test_a_renewal_needs_no_thread_but_the_keepers_own(
    own_etcd: EmbeddedEtcd, store: EtcdStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where handlers burn CPU time each thread more waits for the interpreter's lock, longer than a lease lives."""
    granted = store.call(Grant(2.0))
    assert isinstance(granted, Granted)
    events: queue.SimpleQueue[Message] = queue.SimpleQueue()
    keeper = KeepAlive(store)
    keeper.add(granted.lease, granted.ttl_s, events.put)
    assert isinstance(events.get(timeout=TIMEOUT_S), LeaseRenewed)
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    assert isinstance(events.get(timeout=TIMEOUT_S), LeaseRenewed)
    assert not started
    keeper.close()
