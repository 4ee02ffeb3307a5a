"""A driver's connection to etcd: requests, watches and keepalives, all reporting to one inbox."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from core.etcd.lease import KeepAlive
from core.etcd.store import EtcdStore
from core.etcd.watch import Watcher
from core.kv.requests import Get, Grant, Response, Revoke, Txn
from core.machine.messages import Message, Watch


class EtcdLink:
    """Events of watches and leases go to `post`, from threads of their own.

    Raises EtcdUnreachable where no etcd answers, EtcdUnsupported where it is too old: a component that cannot start
    says so at once instead of waiting in silence.
    """

    def __init__(self, endpoints: str, namespace: str, post: Callable[[Message], None]) -> None:
        self._store = EtcdStore(endpoints, namespace)
        try:
            self._store.check()
            self.max_operations = self._store.learn_max_operations()
        except BaseException:
            self._store.close()
            raise
        self._post = post
        self._watcher = Watcher(self._store, post)
        self._keep_alive = KeepAlive(self._store)

    def send(self, request: Get | Txn | Grant | Revoke, reply: Callable[[Response], None]) -> None:
        self._store.send(request, reply)

    def watch(self, command: Watch) -> None:
        self._watcher.watch(command)

    def unwatch(self, name: str) -> None:
        self._watcher.unwatch(name)

    def keep_alive(self, lease: int, ttl_s: float) -> None:
        self._keep_alive.add(lease, ttl_s, self._post)

    def let_go(self, lease: int) -> None:
        self._keep_alive.drop(lease)

    def close(self) -> None:
        self._watcher.close()
        self._keep_alive.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
