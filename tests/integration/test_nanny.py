"""A nanny gives up the lease of its dead worker as soon as etcd can be asked, and says so only when it was done."""

import threading

from core.etcd.binary import Server
from core.etcd.embedded import EmbeddedEtcd
from core.etcd.store import EtcdStore
from core.kv.requests import Grant, Granted, Put, Reason, Refused, Txn
from core.runtime import nanny
from core.runtime.nanny import Nanny
from tests.contract.worlds import record


def test_a_lease_is_revoked_once_etcd_answers_again(durable_server: Server, namespace: str) -> None:
    """The server stands still for longer than one try takes."""
    with EmbeddedEtcd(server=durable_server) as etcd:
        endpoints = ",".join(etcd.endpoints)
        store = EtcdStore(endpoints, namespace)
        granted = store.call(Grant(60.0))
        assert isinstance(granted, Granted)
        etcd.stop()
        done: list[bool] = []
        one = Nanny(lambda _: (), endpoints, namespace)
        thread = threading.Thread(target=lambda: done.append(one.revoke([granted.lease])))
        thread.start()
        thread.join(nanny.REVOKE_TIMEOUT_S + 0.5)
        assert thread.is_alive(), "it tries again"
        etcd.resume()
        thread.join(30.0)
        assert done == [True]
        refused = store.call(Txn((), (Put("k", record(), granted.lease),)))
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.LEASE_NOT_FOUND
        store.close()
