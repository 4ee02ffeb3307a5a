"""The client of the cells, in a process of its own: one that does nothing else, as the processes of the system do.

What it costs to wake up depends on how much a process carries along. For each line that it reads, which says what to
measure, it says what it saw. It ends with its parent.
"""

import sys

import msgspec

from experiments.calibration.cells import Cell, Seen
from experiments.calibration.costs import AtRest, ByteCost, CompareCost, Read, WatchCost
from experiments.calibration.etcd import Bench, Place
from experiments.calibration.transactions import Kind
from experiments.child import Child

PATIENCE_S = 60.0
"""Beyond the time that was asked for."""


class Rest(msgspec.Struct, tag=True):
    seconds: float


class Measure(msgspec.Struct, tag=True):
    cell: Cell
    seconds: float


class Reads(msgspec.Struct, tag=True):
    keys: int
    repeats: int


class WatchCosts(msgspec.Struct, tag=True):
    batch: int
    concurrency: int
    seconds: float


class ByteCosts(msgspec.Struct, tag=True):
    seconds: float


class CompareCosts(msgspec.Struct, tag=True):
    seconds: float


class Caller(Child):
    """The other end. Its methods raise ExperimentError where it does not answer."""

    def __init__(self, place: Place) -> None:
        super().__init__("the process that calls etcd", __name__, msgspec.json.encode(place).decode())

    def at_rest(self, seconds: float) -> AtRest:
        """What the server uses then is taken off what the cells after this cost it."""
        self.say(Rest(seconds))
        return msgspec.convert(self.hear(PATIENCE_S + seconds), AtRest)

    def measure(self, cell: Cell, seconds: float) -> Seen:
        """Run a cell for about so long."""
        self.say(Measure(cell, seconds))
        return msgspec.convert(self.hear(PATIENCE_S + seconds), Seen)

    def reads(self, keys: int, repeats: int) -> Read:
        self.say(Reads(keys, repeats))
        return msgspec.convert(self.hear(PATIENCE_S), Read)

    def watch_cost(self, batch: int, concurrency: int, seconds: float) -> WatchCost:
        """What watching adds to the CPU time of a busy client and of the server."""
        self.say(WatchCosts(batch, concurrency, seconds))
        return msgspec.convert(self.hear(PATIENCE_S + 2 * seconds), WatchCost)

    def byte_cost(self, seconds: float) -> ByteCost:
        """What bytes of payload add; takes six times so long."""
        self.say(ByteCosts(seconds))
        return msgspec.convert(self.hear(PATIENCE_S + 6 * seconds), ByteCost)

    def compare_cost(self, seconds: float) -> CompareCost:
        """What compares add."""
        self.say(CompareCosts(seconds))
        return msgspec.convert(self.hear(PATIENCE_S + seconds), CompareCost)


Asked = Rest | Measure | Reads | WatchCosts | ByteCosts | CompareCosts


def main(place: str) -> None:
    bench = Bench(msgspec.json.decode(place, type=Place))
    asked = msgspec.json.Decoder(Asked)
    try:
        for line in sys.stdin:
            sys.stdout.buffer.write(msgspec.json.encode(_answer(bench, asked.decode(line))) + b"\n")
            sys.stdout.buffer.flush()
    finally:
        bench.close()


def _answer(bench: Bench, what: Asked) -> AtRest | Seen | Read | WatchCost | ByteCost | CompareCost:
    match what:
        case Rest(seconds):
            return bench.at_rest(seconds)
        case Measure(cell, seconds):
            return bench.measure(cell, seconds)
        case Reads(keys, repeats):
            return bench.reads(keys, repeats)
        case WatchCosts(batch, concurrency, seconds):
            return bench.watch_cost(Kind(batch), concurrency, seconds)
        case ByteCosts(seconds):
            return bench.byte_cost(seconds)
        case CompareCosts(seconds):
            return bench.compare_cost(seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
