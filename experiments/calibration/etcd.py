"""etcd as a client sees it: writes against batch size and concurrency, reads, watches, and what its log does.

The means of the log's fsyncs and their number come from the server's /metrics; shapes come from our own timestamps,
because its histogram starts at 1 ms.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from queue import SimpleQueue
from statistics import median

import msgspec

from core.etcd.store import EtcdStore
from core.etcd.watch import Watcher
from core.kv.requests import EtcdRequest, Found, Get, Response, Txn, TxnDone
from core.machine.messages import Message, Watch
from experiments import etcd_metrics
from experiments.calibration.cells import BATCHES, Cell, Seen
from experiments.calibration.clock import cpu_s
from experiments.calibration.costs import AtRest, ByteCost, CompareCost, Read, WatchCost
from experiments.calibration.listener import Listener
from experiments.calibration.transactions import Kind, puts_of

START_S = 0.5
"""A server that has just started has things to do for so long."""
SETTLE_S = 0.05
"""Until the last message has arrived."""
WATCHERS = 3
"""That hear of the same puts, each over a connection of its own: what one costs would be lost in the noise."""
PAYLOAD_BYTES = 8192
LARGE_CELL = Cell(10, 8)
"""What bytes cost: this cell with them and without."""
COMPARED_CELL = Cell(max(BATCHES), 1)
"""What compares cost, likewise: one request at a time. (Four times each: 1.6 to 2.9 us at the server; with eight
callers of ten puts 0.6 to 6.1.)"""
TURNS = 5
"""What compares add is a tenth of the server's time, which at times triples for a second: it did at the end of each
round of one calibration, which then found 140 us for a compare instead of 4."""


class Place(msgspec.Struct, frozen=True):
    """The server that is measured, as another process may know it."""

    endpoints: str
    namespace: str
    pid: int
    metrics_url: str


class Bench:
    """Measurements against one server."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._pid = place.pid
        self._stores = [EtcdStore(place.endpoints, place.namespace)]
        self._made: dict[Kind, itertools.cycle[Txn]] = {}
        self._listener: Listener | None = None
        self._idle_cpu = 0.0

    def at_rest(self, seconds: float) -> AtRest:
        """What the server uses with nothing to do; from now on it is taken off what cells cost.

        The model knows it as a parameter of its own (`etcd_idle_cpu`): with a rest of 0.1 s it is a third of what a
        put seems to cost.
        """
        time.sleep(START_S)
        began, before_s = time.perf_counter(), cpu_s(self._pid)
        time.sleep(seconds)
        self._idle_cpu = (cpu_s(self._pid) - before_s) / (time.perf_counter() - began)
        return AtRest(self._idle_cpu)

    def _put(self, kind: Kind) -> Txn:
        """The next transaction, made before: to make it is not what is measured."""
        made = self._made.get(kind)
        if made is None:
            made = self._made[kind] = itertools.cycle(puts_of(kind))
        return next(made)

    def measure(self, cell: Cell, seconds: float) -> Seen:
        """Run a cell for about so long."""
        rows = max(10, round(seconds / (cell.rest_s + 0.001 * max(cell.sequence, 1))))
        if cell.watched:
            return self._heard(cell, rows, self._listening())
        self._unheard()
        if cell.sequence:
            return self._watched(cell, lambda: self._rests(cell, rows))
        self._closed(iter([self._put(Kind(cell.batch)) for _ in range(cell.concurrency)]), cell.concurrency)  # warm
        return self._watched(
            cell,
            lambda: self._closed(
                self._puts(Kind(cell.batch), time.perf_counter() + seconds), cell.concurrency, cell.connections
            ),
        )

    def _several(self, connections: int) -> list[EtcdStore]:
        while len(self._stores) < connections:
            self._stores.append(EtcdStore(self._place.endpoints, self._place.namespace))
        return self._stores[:connections]

    def _listening(self) -> Listener:
        """The process that listens: one for all cells in a row that want it."""
        if self._listener is None:
            self._listener = Listener(self._place.endpoints, self._place.namespace)
        return self._listener

    def _unheard(self) -> None:
        """Nobody else hears of what comes now."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def close(self) -> None:
        """All connections, and the process that listens."""
        self._unheard()
        for store in self._stores:
            store.close()

    def _watched(self, cell: Cell, work: Callable[[], list[float]]) -> Seen:
        before = etcd_metrics.read(self._place.metrics_url)
        began, server_s, own_s = time.perf_counter(), cpu_s(self._pid), time.process_time()
        latencies = work()
        own_s, server_s = time.process_time() - own_s, cpu_s(self._pid) - server_s
        server_s -= self._idle_cpu * (time.perf_counter() - began)
        after = etcd_metrics.read(self._place.metrics_url)
        count, fsyncs = len(latencies), max(after.fsyncs - before.fsyncs, 1.0)
        commits = max(after.commits - before.commits, 1.0)
        return Seen(
            tuple(latencies),
            own_s / count,
            server_s / count,
            count * cell.batch / fsyncs,
            (after.fsync_s - before.fsync_s) / fsyncs,
            commit_s=(after.commit_s - before.commit_s) / commits,
            commits=commits / count,
        )

    def _rests(self, cell: Cell, rows: int) -> list[float]:
        latencies: list[float] = []
        for _ in range(rows):
            time.sleep(cell.rest_s)
            for _ in range(cell.sequence):
                latencies += self._closed(iter([self._put(Kind(1))]), 1)
        return latencies

    def _heard(self, cell: Cell, rows: int, listener: Listener) -> Seen:
        """Puts after rests, while another process listens, and answers if the cell says so."""
        answered: list[float] = []

        def work() -> list[float]:
            latencies: list[float] = []
            for _ in range(rows):
                time.sleep(cell.rest_s)
                latencies += self._closed(iter([self._put(Kind(1))]), 1)
                answered.append(time.perf_counter())
            return latencies

        self._until_heard(listener, cell)
        before_s = cpu_s(listener.pid)
        found = self._watched(cell, work)
        time.sleep(SETTLE_S)
        used_s = cpu_s(listener.pid) - before_s
        heard = listener.moments(answers=False)
        times = tuple(moment - answer for moment, answer in zip(heard, answered, strict=True))
        return replace(found, heard_s=times, listener_cpu_s=used_s / rows)

    def _until_heard(self, listener: Listener, cell: Cell) -> None:
        """Its watch is open when it hears of a put."""
        deadline = time.perf_counter() + 10.0
        listener.moments(answers=cell.answered)
        heard = False
        while not heard and time.perf_counter() < deadline:
            self._closed(iter([self._put(Kind(1))]), 1)
            time.sleep(SETTLE_S)
            heard = bool(listener.moments(answers=cell.answered))

    def _puts(self, kind: Kind, until: float) -> Iterator[Txn]:
        while time.perf_counter() < until:
            yield self._put(kind)

    def _closed(self, requests: Iterator[EtcdRequest], concurrency: int, connections: int = 1) -> list[float]:
        stores = itertools.cycle(self._several(connections))
        answers: SimpleQueue[tuple[float, Response]] = SimpleQueue()
        latencies: list[float] = []
        open_ = 0

        def send(request: EtcdRequest) -> None:
            sent = time.perf_counter()
            next(stores).send(request, lambda answer: answers.put((sent, answer)))

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
        etcd_s, own_s = cpu_s(self._pid), time.process_time()
        latencies = self._closed(iter([get] * repeats), 1)
        own_s, etcd_s = time.process_time() - own_s, cpu_s(self._pid) - etcd_s
        return Read(keys, sorted(latencies)[repeats // 2], own_s / repeats, etcd_s / repeats)

    def byte_cost(self, seconds: float) -> ByteCost:
        """What a byte of payload adds to a put, and to a change that is watched."""
        cell = LARGE_CELL

        def of(kind: Kind) -> tuple[Seen, WatchCost]:
            return self._busy(cell, kind, seconds), self.watch_cost(kind, cell.concurrency, seconds)

        (plain, told), (large, told_large) = of(Kind(cell.batch)), of(Kind(cell.batch, PAYLOAD_BYTES))
        sent = cell.batch * PAYLOAD_BYTES
        return ByteCost(
            (large.client_cpu_s - plain.client_cpu_s) / sent,
            (large.server_cpu_s - plain.server_cpu_s) / sent,
            (large.fsync_s - plain.fsync_s) / large.puts_per_fsync / PAYLOAD_BYTES,
            (large.commit_s - plain.commit_s) * large.commits / sent,
            (told_large.cpu_s / told_large.changes - told.cpu_s / told.changes) / PAYLOAD_BYTES,
            (told_large.server_cpu_s / told_large.changes - told.server_cpu_s / told.changes) / PAYLOAD_BYTES,
        )

    def compare_cost(self, seconds: float) -> CompareCost:
        """What a compare adds to a put: medians of `TURNS` times without and with it, `seconds` in all."""
        cell = COMPARED_CELL
        self._closed(iter(puts_of(Kind(cell.batch))), cell.concurrency)  # every key is there
        kinds = [Kind(cell.batch, 0, compared) for _ in range(TURNS) for compared in (False, True)]
        seen = [self._busy(cell, kind, seconds / len(kinds)) for kind in kinds]
        pairs = list(zip(seen[::2], seen[1::2], strict=True))
        return CompareCost(
            median([compared.client_cpu_s - plain.client_cpu_s for plain, compared in pairs]) / cell.batch,
            median([compared.server_cpu_s - plain.server_cpu_s for plain, compared in pairs]) / cell.batch,
        )

    def _busy(self, cell: Cell, kind: Kind, seconds: float) -> Seen:
        """The callers of a cell send transactions of this kind for so long."""
        return self._watched(
            cell, lambda: self._closed(self._puts(kind, time.perf_counter() + seconds), cell.concurrency)
        )

    def watch_cost(self, kind: Kind, concurrency: int, seconds: float) -> WatchCost:
        """What watching adds to the CPU time of a busy client and of the server: the same load without and with it."""
        alone_s, server_alone_s, _ = self._cpu_per_txn(kind, concurrency, seconds)
        messages: list[int] = []

        def sink(event: Message) -> None:
            messages.append(len(getattr(event, "changes", ())))

        watchers = [Watcher(store, sink) for store in self._several(1 + WATCHERS)[1:]]
        try:
            for watcher in watchers:
                watcher.watch(Watch("task", "task/", "task0", 0))
            self._closed(iter([self._put(kind)] * concurrency), concurrency)
            watched_s, server_watched_s, count = self._cpu_per_txn(kind, concurrency, seconds)
        finally:
            for watcher in watchers:
                watcher.close()
        return WatchCost(
            kind.batch,
            len(messages),
            sum(messages),
            (watched_s - alone_s) * count,
            (server_watched_s - server_alone_s) * count,
        )

    def _cpu_per_txn(self, kind: Kind, concurrency: int, seconds: float) -> tuple[float, float, int]:
        began, server_began = time.process_time(), cpu_s(self._pid)
        count = len(self._closed(self._puts(kind, time.perf_counter() + seconds), concurrency))
        return (time.process_time() - began) / count, (cpu_s(self._pid) - server_began) / count, count
