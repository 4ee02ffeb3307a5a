"""The cells of the calibration on the model: the same client, the same load, the station in place of the server."""

import itertools
from typing import Any

from core.kv.requests import Response
from core.machine.messages import Changes, Message, Watch
from experiments.calibration.cells import Cell, Seen
from experiments.calibration.listener import ANSWER
from experiments.calibration.transactions import Kind, puts_of
from sim.etcd.station import EtcdStation
from sim.host import Host
from sim.kernel import Kernel, call_in
from sim.link import Link
from sim.parameters import Values
from sim.process import Process
from sim.streams import Streams

START_S = 0.05
"""Before the first request: the server has its connections."""


class Replica:
    """One cell on a fresh model. `transactions` are answered, then it ends."""

    def __init__(self, values: Values, cell: Cell, transactions: int, seed: int = 1) -> None:
        self._kernel = Kernel()
        self._values = values
        self._cell = cell
        self._left = transactions
        streams = Streams(seed)
        host = Host(self._kernel, values.cores, values.balance_s)
        self._station = EtcdStation(self._kernel, host, values, streams["etcd/fsync"], streams["etcd/kill"])
        self._process = Process(host, "client", values)
        links = [
            Link(self._kernel, self._station, self._process, values, streams["network"], _ignore)
            for _ in range(cell.connections)
        ]
        self._links = itertools.cycle(links)
        self._latencies: list[float] = []
        self._answered_at: list[float] = []
        self._heard_at: list[float] = []
        if cell.watched:
            self._listener = Process(host, "listener", values)
            self._answers = Link(self._kernel, self._station, self._listener, values, streams["network"], self._hear)
            self._answers.watch(Watch("task", "task/", "task0", 0))
        self._in_sequence = 0
        self._resting = self._sending = False
        self._puts = itertools.cycle(puts_of(Kind(cell.batch)))  # the very ones that the real server gets
        self._done = self._kernel.event()
        self._sends = 0
        self._send_s = values.send_s + values.send_item_s * cell.batch

    def run(self) -> Seen:
        """Until the last transaction is answered."""
        for _ in range(self._cell.concurrency):
            call_in(self._kernel, START_S, self._send_next)
        self._kernel.run(until=self._done)
        count = len(self._latencies)
        return Seen(
            tuple(self._latencies),
            self._process.cpu_s / count,
            self._station.cpu_s[0] / count,
            self._sends * self._cell.batch / self._station.fsyncs,
            self._station.fsync_s / self._station.fsyncs,
            tuple(heard - answered for heard, answered in zip(self._heard_at, self._answered_at, strict=False)),
            self._listener.cpu_s / count if self._cell.watched else 0.0,
        )

    def _hear(self, event: Message) -> None:
        if isinstance(event, Changes):
            self._heard_at += [self._listener.clock] * len(event.changes)
            if self._cell.answered:
                for _ in event.changes:
                    self._listener.execute(self._take_change, self._answer)

    def _take_change(self) -> float:
        """The thread that hears of a put makes one of its own."""
        return self._values.send_s + self._values.send_item_s

    def _answer(self) -> None:
        self._answers.send(ANSWER, _ignore)

    def _send_next(self) -> None:
        """The first of a row: the process has nothing else to do."""
        if self._take():
            self._process.alarm(_no_cost, self._begin)

    def _begin(self) -> None:
        """Awake; what the request costs depends on the rest."""
        self._process.run(self._send_s, self._sent, self._process.clock)

    def _take(self) -> bool:
        """Whether there is another transaction to send. The end of all, when the last one is answered."""
        if self._left > 0:
            self._left -= 1
            self._sends += 1
            return True
        if len(self._latencies) == self._sends:
            self._done.succeed()
        return False

    def _sent(self, since: float) -> None:
        next(self._links).send(next(self._puts), lambda answer: self._answered(since, answer))

    def _answered(self, since: float, _: Response) -> None:
        self._process.execute(self._take_answer, self._go_on, since)

    def _take_answer(self, since: float) -> float:
        """The thread that takes an answer sends the next request at once, unless a rest is due: one job."""
        now = self._process.clock  # the kernel may be behind it: see `sim.process`
        self._answered_at.append(now)
        self._latencies.append(now - since)
        self._in_sequence += 1
        self._resting = self._in_sequence == self._cell.sequence
        if self._resting:
            self._in_sequence = 0
        self._sending = not self._resting and self._take()
        return self._send_s if self._sending else 0.0

    def _go_on(self) -> None:
        if self._sending:
            self._sent(self._answered_at[-1])
        elif self._resting:
            call_in(self._kernel, self._cell.rest_s, self._send_next)


def replay(values: Values, cell: Cell, transactions: int, seed: int = 1) -> Seen:
    """A cell on the model."""
    return Replica(values, cell, transactions, seed).run()


def _no_cost() -> float:
    return 0.0


def _ignore(_: Any) -> None:
    """The cells watch nothing and hold no leases."""
