"""How a request gets through the server: three models, from coarse to fine, so that the worth of each can be measured.

constant    every write takes the same time, every read another; nothing queues, nothing uses a core
quantiles   a time drawn from what was measured with as many requests under way; nothing queues behind anything else
station     processor time, group commit, serial apply, backend commits (`sim.etcd.log`, `sim.etcd.apply`)

The first two cannot know what several kinds of requests do to each other: that is what the third is for.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Protocol

from sim.etcd.apply import ApplyLoop
from sim.etcd.cores import Cores
from sim.etcd.entry import Entry
from sim.etcd.log import Log
from sim.kernel import Kernel, call_in
from sim.parameters import Values, WriteTimes
from sim.streams import Stream

Effect = Callable[[Entry], None]


class Path(Protocol):
    """`effect(entry)` is called once for each write, `ready()` once for each read, at their moments."""

    @property
    def fsyncs(self) -> int: ...
    @property
    def fsync_s(self) -> float: ...
    def write(self, entry: Entry) -> None: ...
    def read(self, ready: Callable[[], None]) -> None: ...
    def kill(self, survivors: Callable[[int], int]) -> list[Entry]:
        """Everything forgets; writes that are durable though not answered, in their order."""


class StationPath:
    """A core -> log -> apply loop."""

    def __init__(self, cores: Cores, log: Log, loop: ApplyLoop) -> None:
        self._cores = cores
        self._log = log
        self._loop = loop

    @property
    def fsyncs(self) -> int:
        return self._log.disk.fsyncs

    @property
    def fsync_s(self) -> float:
        return self._log.disk.fsync_s

    def write(self, entry: Entry) -> None:
        self._log.propose(entry)

    def read(self, ready: Callable[[], None]) -> None:
        self._loop.read(ready)

    def kill(self, survivors: Callable[[int], int]) -> list[Entry]:
        return self._loop.kill() + self._log.kill(survivors)


class TimedPath:
    """Each write takes a time of its own; nothing queues."""

    def __init__(self, kernel: Kernel, effect: Effect, write_s: Callable[[int, int], float]) -> None:
        self._kernel = kernel
        self._effect = effect
        self._write_s = write_s
        self._open: dict[Entry, None] = {}
        self._life = 0
        self.fsyncs = 0
        self.fsync_s = 0.0

    def write(self, entry: Entry) -> None:
        self._open[entry] = None
        self.fsyncs += 1
        write_s = self._write_s(entry.items, len(self._open))
        self.fsync_s += write_s
        call_in(self._kernel, write_s, self._written, entry, self._life)

    def _written(self, entry: Entry, life: int) -> None:
        if life == self._life:
            del self._open[entry]
            self._effect(entry)

    def read(self, ready: Callable[[], None]) -> None:
        ready()

    def kill(self, survivors: Callable[[int], int]) -> list[Entry]:
        self._life += 1
        durable = list(self._open)[: survivors(len(self._open) + 1)]
        self._open.clear()
        return durable


def constant(values: Values) -> Callable[[int, int], float]:
    """The median of single puts, one after the other."""
    alone = min(values.write_times, key=lambda row: (row.batch, row.concurrency), default=None)
    seconds = values.etcd_fsync_s if alone is None else alone.quantiles_s[len(alone.quantiles_s) // 2]

    seconds += values.etcd_flush_delay_s

    def always(items: int, under_way: int) -> float:  # noqa: ARG001 - constant is what it is
        return seconds

    return always


def drawn(values: Values, stream: Stream) -> Callable[[int, int], float]:
    """A time from the measured row that is nearest: first in operations, then in requests under way."""
    rows = sorted(values.write_times, key=lambda row: (row.batch, row.concurrency))
    if not rows:
        return constant(values)
    batches = sorted({row.batch for row in rows})
    by_batch: dict[int, list[WriteTimes]] = {batch: [row for row in rows if row.batch == batch] for batch in batches}

    def draw(items: int, under_way: int) -> float:
        batch = batches[min(bisect_left(batches, items), len(batches) - 1)]
        several = by_batch[batch]
        place = bisect_left([row.concurrency for row in several], under_way)
        return stream.quantile(several[min(place, len(several) - 1)].quantiles_s) + values.etcd_flush_delay_s

    return draw
