"""etcd as a client sees it: writes against batch size and concurrency, reads, watches, and what its log does.

The means of the log's fsyncs and their number come from the server's /metrics; shapes come from our own timestamps,
because its histogram starts at 1 ms.
"""

import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue

import psutil

from core.etcd.embedded import EmbeddedEtcd
from core.etcd.store import EtcdStore
from core.etcd.watch import Watcher
from core.kv.requests import EtcdRequest, Found, Get, Put, Response, Txn, TxnDone
from core.machine.messages import Changes, Message, Watch
from core.model import Marker, TaskSpec

BATCHES = (1, 10, 100, 256)
CONCURRENCY = (1, 8, 64)
METRICS_TIMEOUT_S = 5.0
SLICES = 3
MARKER = Marker(TaskSpec("0" * 32, "echo"))


@dataclass(frozen=True, slots=True)
class Cell:
    """Writes of `batch` puts, `concurrency` at a time. Means for one transaction; fsyncs of the server meanwhile."""

    batch: int
    concurrency: int
    count: int
    latencies_s: tuple[float, ...]
    client_cpu_s: float
    etcd_cpu_s: float
    fsyncs: float
    fsync_s: float
    """Mean of one fsync."""


@dataclass(frozen=True, slots=True)
class Read:
    keys: int
    latency_s: float
    client_cpu_s: float
    etcd_cpu_s: float


@dataclass(frozen=True, slots=True)
class WatchCost:
    """CPU seconds that a client spent on so many watch messages with so many changes in all."""

    messages: int
    changes: int
    cpu_s: float


class Bench:
    """Measurements against one embedded server."""

    def __init__(self, etcd: EmbeddedEtcd, store: EtcdStore) -> None:
        self._etcd = etcd
        self.store = store
        self._server = psutil.Process(etcd.pid())
        self._keys = 0

    def _etcd_cpu_s(self) -> float:
        times = self._server.cpu_times()
        return float(times.user + times.system)

    def _fsyncs(self) -> tuple[float, float]:
        """Number of fsyncs of the log, and their time in all."""
        url = f"http://{self._etcd.endpoints[0]}/metrics"
        with urllib.request.urlopen(url, timeout=METRICS_TIMEOUT_S) as page:
            lines = page.read().decode().splitlines()
        name = "etcd_disk_wal_fsync_duration_seconds_"
        found = {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith(name)}
        return found[name + "count"], found[name + "sum"]

    def _put(self, batch: int) -> Txn:
        self._keys += batch
        return Txn((), tuple(Put(f"task/{self._keys - number:032x}", MARKER) for number in range(batch)))

    def writes(self, batch: int, concurrency: int, seconds: float) -> Cell:
        """As many callers as `concurrency`, each of which sends its next transaction when the last is answered.

        Three slices; the one that others disturbed least (shortest mean fsync) counts.
        """
        slices = [self._slice(batch, concurrency, seconds / SLICES) for _ in range(SLICES)]
        return min(slices, key=lambda one: one.fsync_s)

    def _slice(self, batch: int, concurrency: int, seconds: float) -> Cell:
        self._closed(iter([self._put(batch) for _ in range(concurrency)]), concurrency)  # warm
        fsyncs, fsync_s = self._fsyncs()
        etcd_s, own_s = self._etcd_cpu_s(), time.process_time()
        until = time.perf_counter() + seconds
        latencies = self._closed(self._puts(batch, until), concurrency)
        own_s, etcd_s = time.process_time() - own_s, self._etcd_cpu_s() - etcd_s
        after, after_s = self._fsyncs()
        count = len(latencies)
        return Cell(
            batch,
            concurrency,
            count,
            tuple(latencies),
            own_s / count,
            etcd_s / count,
            after - fsyncs,
            (after_s - fsync_s) / max(after - fsyncs, 1),
        )

    def _puts(self, batch: int, until: float) -> Iterator[Txn]:
        while time.perf_counter() < until:
            yield self._put(batch)

    def _closed(self, requests: Iterator[EtcdRequest], concurrency: int) -> list[float]:
        answers: SimpleQueue[tuple[float, Response]] = SimpleQueue()
        latencies: list[float] = []
        open_ = 0

        def send(request: EtcdRequest) -> None:
            sent = time.perf_counter()
            self.store.send(request, lambda answer: answers.put((sent, answer)))

        for request in requests:
            send(request)
            open_ += 1
            if open_ == concurrency:
                break
        while open_:
            sent, answer = answers.get(timeout=30.0)
            assert isinstance(answer, TxnDone | Found), answer
            latencies.append(time.perf_counter() - sent)
            request_or_none = next(requests, None)
            if request_or_none is None:
                open_ -= 1
            else:
                send(request_or_none)
        return latencies

    def reads(self, keys: int, repeats: int) -> Read:
        get = Get(f"task/{1:032x}", f"task/{keys + 1:032x}")  # exactly so many: a limit would make the server count
        self._closed(iter([get]), 1)
        etcd_s, own_s = self._etcd_cpu_s(), time.process_time()
        latencies = self._closed(iter([get] * repeats), 1)
        own_s, etcd_s = time.process_time() - own_s, self._etcd_cpu_s() - etcd_s
        return Read(keys, sorted(latencies)[repeats // 2], own_s / repeats, etcd_s / repeats)

    def watch_delays(self, repeats: int) -> list[float]:
        """How much later than the acknowledgement a change is seen on another connection."""
        seen: SimpleQueue[float] = SimpleQueue()

        def sink(event: Message) -> None:
            if isinstance(event, Changes):
                moment = time.perf_counter()
                for _ in event.changes:
                    seen.put(moment)

        other = EtcdStore(",".join(self._etcd.endpoints), self.store.namespace)
        watcher = Watcher(other, sink)
        try:
            watcher.watch(Watch("task", "task/", "task0", 0))
            self._until_watched(seen)
            delays = []
            for _ in range(repeats):
                self._closed(iter([self._put(1)]), 1)
                acknowledged = time.perf_counter()
                delays.append(seen.get(timeout=10.0) - acknowledged)
            return delays
        finally:
            watcher.close()
            other.close()

    def watch_cost(self, batch: int, concurrency: int, seconds: float) -> WatchCost:
        """What watching adds to the CPU time of a client that writes: the same load without a watch, then with one."""
        alone_s = self._cpu_per_txn(batch, concurrency, seconds)[0]
        messages: list[int] = []
        watcher = Watcher(self.store, lambda event: messages.append(len(getattr(event, "changes", ()))))
        try:
            watcher.watch(Watch("task", "task/", "task0", 0))
            self._closed(iter([self._put(batch)] * concurrency), concurrency)
            watched_s, count = self._cpu_per_txn(batch, concurrency, seconds)
        finally:
            watcher.close()
        return WatchCost(len(messages), sum(messages), max(0.0, (watched_s - alone_s) * count))

    def _cpu_per_txn(self, batch: int, concurrency: int, seconds: float) -> tuple[float, int]:
        began = time.process_time()
        count = len(self._closed(self._puts(batch, time.perf_counter() + seconds), concurrency))
        return (time.process_time() - began) / count, count

    def _until_watched(self, seen: "SimpleQueue[float]") -> None:
        deadline = time.perf_counter() + 10.0
        while seen.empty() and time.perf_counter() < deadline:
            self._closed(iter([self._put(1)]), 1)
            time.sleep(0.05)
        time.sleep(0.1)
        while not seen.empty():
            seen.get()
