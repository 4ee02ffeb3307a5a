"""The calibration's process that listens: it hears of every put, answers while it is told to, and ends after that."""

import psutil

from core.etcd.embedded import EmbeddedEtcd
from core.etcd.store import EtcdStore
from core.kv import keys
from core.kv.requests import Delete, Found, Get, Txn
from experiments.calibration.cells import Cell
from experiments.calibration.etcd import Bench, Place
from experiments.calibration.transactions import ID

PUTS_S = 0.02
"""Ten puts at least."""


def test_one_listener_serves_cells_that_are_watched_and_no_others(etcd: EmbeddedEtcd, namespace: str) -> None:
    prefix = f"/{namespace}/"
    bench = Bench(Place(",".join(etcd.endpoints), prefix, etcd.pid(), etcd.metrics_url()))
    store = EtcdStore(",".join(etcd.endpoints), prefix)

    def answered() -> bool:
        found = store.call(Get(keys.done(ID)))
        assert isinstance(found, Found)
        return bool(found.kvs)

    try:
        watched = Cell(1, 1, 0.001, 1, watched=True)
        first = bench.measure(watched, PUTS_S)
        assert len(first.heard_s) == len(first.latencies_s) >= 10
        assert not answered()
        assert bench._listener is not None
        pid = bench._listener.pid

        bench.measure(Cell(1, 1, 0.001, 1, watched=True, answered=True), PUTS_S)
        assert answered()

        store.call(Txn((), (Delete(keys.done(ID)),)))
        assert len(bench.measure(watched, PUTS_S).heard_s) >= 10
        assert not answered(), "it answers although it was told not to"
        assert bench._listener.pid == pid

        assert bench.measure(Cell(1, 1, 0.001, 1), PUTS_S).heard_s == ()
        assert not psutil.pid_exists(pid), "somebody still listens"
    finally:
        store.close()
        bench.close()
