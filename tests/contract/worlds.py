"""What the contract suite runs on: anything that behaves like etcd. A new implementation needs these few methods."""

import queue
import threading
from collections.abc import Callable
from typing import Protocol

from etcd3.etcdrpc import rpc_pb2, rpc_pb2_grpc

from core.etcd.lease import KeepAlive
from core.etcd.store import EtcdStore
from core.etcd.watch import Watcher
from core.kv.memory import MemoryKv
from core.kv.requests import Change, EtcdRequest, Refused, Response
from core.machine.messages import Changes, LeaseLost, LeaseRenewed, Message, Watch, WatchLost
from core.model import Marker, TaskSpec
from sim.etcd.station import EtcdStation
from sim.host import Host
from sim.kernel import Kernel
from sim.link import Link
from sim.parameters import Values
from sim.process import Process
from sim.streams import Stream

TIMEOUT_S = 10.0


def record(number: int = 1) -> Marker:
    """A small value; different numbers give different values."""
    return Marker(TaskSpec(f"{number:032x}", "echo"), attempt=number)


class World(Protocol):
    max_operations: int

    def call(self, request: EtcdRequest) -> Response: ...

    def watch(self, name: str, key: str, end: str, revision: int, *, puts: bool = True, deletes: bool = True) -> None:
        """Watch under a name that is used once only."""
        ...

    def unwatch(self, name: str) -> None: ...

    def collect(self, name: str, count: int) -> list[Change] | None:
        """The changes so far, at least `count` of them, waiting where needed; None where the watch was lost."""
        ...

    def keep_alive(self, lease: int) -> float:
        """Renew once; the TTL, or 0 where the lease is gone."""
        ...

    def compact(self, revision: int) -> None: ...

    def pass_lease_time(self, lease: int, ttl_s: float) -> None:
        """Let the lease expire."""
        ...


class MemoryWorld:
    def __init__(self) -> None:
        self.max_operations = 128
        self.kv = MemoryKv(max_operations=self.max_operations)
        self._now_s = 0.0
        self._watchers: dict[str, int | Refused] = {}
        self._changes: dict[str, list[Change]] = {}

    def call(self, request: EtcdRequest) -> Response:
        answer = self.kv.apply(request, self._now_s)
        self.kv.validate()
        return answer

    def watch(self, name: str, key: str, end: str, revision: int, *, puts: bool = True, deletes: bool = True) -> None:
        self._watchers[name] = self.kv.watch(key, end, revision, puts=puts, deletes=deletes)
        self._changes[name] = []

    def unwatch(self, name: str) -> None:
        watcher = self._watchers[name]
        assert isinstance(watcher, int)
        self.kv.unwatch(watcher)

    def collect(self, name: str, count: int) -> list[Change] | None:
        watcher = self._watchers[name]
        if isinstance(watcher, Refused):
            return None
        self._changes[name] += self.kv.drain(watcher)[0]
        assert len(self._changes[name]) >= count
        return self._changes[name]

    def keep_alive(self, lease: int) -> float:
        return self.kv.keep_alive(lease, self._now_s)

    def compact(self, revision: int) -> None:
        self.kv.compact(revision)

    def pass_lease_time(self, lease: int, ttl_s: float) -> None:
        self._now_s += ttl_s
        assert lease in self.kv.expire(self._now_s)


class StationWorld:
    """The simulated server, reached over a simulated connection."""

    STEP_S = 0.1

    def __init__(self) -> None:
        values = Values()
        self.max_operations = values.max_operations
        self.kernel = Kernel()
        host = Host(self.kernel, 2)
        self.station = EtcdStation(self.kernel, host, values, Stream(1, "fsync"), Stream(1, "kill"))
        self._changes: dict[str, list[Change]] = {}
        self._lost: set[str] = set()
        self._leases: list[Message] = []
        self.link = Link(self.kernel, self.station, Process(host, "one", values), values, Stream(1, "net"), self._take)

    def _take(self, event: Message) -> None:
        match event:
            case Changes(name, changes):
                self._changes[name] += changes
            case WatchLost(name):
                self._lost.add(name)
            case other:
                self._leases.append(other)

    def _until(self, done: Callable[[], bool], limit_s: float = TIMEOUT_S) -> None:
        end = self.kernel.now + limit_s
        while not done() and self.kernel.now < end:
            self.kernel.run(until=self.kernel.now + self.STEP_S)
        assert done()

    def call(self, request: EtcdRequest) -> Response:
        answers: list[Response] = []
        self.link.send(request, answers.append)
        self._until(lambda: bool(answers))
        return answers[0]

    def watch(self, name: str, key: str, end: str, revision: int, *, puts: bool = True, deletes: bool = True) -> None:
        self._changes[name] = []
        self.link.watch(Watch(name, key, end, revision, puts, deletes))
        self.kernel.run(until=self.kernel.now + self.STEP_S)  # "from now on" means from when it has arrived

    def unwatch(self, name: str) -> None:
        self.link.unwatch(name)

    def collect(self, name: str, count: int) -> list[Change] | None:
        self._until(lambda: name in self._lost or len(self._changes[name]) >= count)
        self.kernel.run(until=self.kernel.now + self.STEP_S)
        return None if name in self._lost else list(self._changes[name])

    def keep_alive(self, lease: int) -> float:
        self._leases.clear()
        self.link.keep_alive(lease, 2.0)
        self._until(lambda: bool(self._leases))
        self.link.let_go(lease)
        return 2.0 if isinstance(self._leases[0], LeaseRenewed) else 0.0

    def compact(self, revision: int) -> None:
        self.station.kv.compact(revision)

    def pass_lease_time(self, lease: int, ttl_s: float) -> None:
        self.kernel.run(until=self.kernel.now + ttl_s + 1.0)
        assert not self.station.kv.keep_alive(lease, self.kernel.now)


class EtcdWorld:
    """Tests share one server, each in a namespace of its own."""

    def __init__(self, endpoints: str, namespace: str) -> None:
        self.store = EtcdStore(endpoints, namespace)
        self.max_operations = self.store.learn_max_operations()
        self.watcher = Watcher(self.store, self._take)
        self._news = threading.Condition()
        self._changes: dict[str, list[Change]] = {}
        self._lost: set[str] = set()

    def _take(self, event: Message) -> None:
        with self._news:
            match event:
                case Changes(name, changes):
                    self._changes[name] += changes
                case WatchLost(name):
                    self._lost.add(name)
                case other:
                    raise AssertionError(other)
            self._news.notify_all()

    def call(self, request: EtcdRequest) -> Response:
        return self.store.call(request)

    def watch(self, name: str, key: str, end: str, revision: int, *, puts: bool = True, deletes: bool = True) -> None:
        self._changes[name] = []
        self.watcher.watch(Watch(name, key, end, revision, puts, deletes))

    def unwatch(self, name: str) -> None:
        self.watcher.unwatch(name)

    def collect(self, name: str, count: int) -> list[Change] | None:
        with self._news:
            arrived = self._news.wait_for(lambda: name in self._lost or len(self._changes[name]) >= count, TIMEOUT_S)
            assert arrived, f"{len(self._changes[name])} of {count} changes"
            return None if name in self._lost else list(self._changes[name])

    def keep_alive(self, lease: int) -> float:
        events: queue.SimpleQueue[Message] = queue.SimpleQueue()
        keeper = KeepAlive(self.store)
        try:
            keeper.add(lease, 2.0, events.put)
            match events.get(timeout=TIMEOUT_S):
                case LeaseRenewed():
                    return 2.0
                case LeaseLost():
                    return 0.0
                case other:
                    raise AssertionError(other)
        finally:
            keeper.close()

    def compact(self, revision: int) -> None:
        stub = rpc_pb2_grpc.KVStub(self.store.channel)
        stub.Compact(rpc_pb2.CompactionRequest(revision=revision, physical=True), timeout=TIMEOUT_S)

    def pass_lease_time(self, lease: int, ttl_s: float) -> None:
        """Etcd ends the lease by its own clock; the watch that the test holds waits for it."""

    def close(self) -> None:
        self.watcher.close()
        self.store.close()
