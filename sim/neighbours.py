"""Other machines on the same hardware: a hypervisor takes a core away from one that works, and gives it back later.

A virtual machine knows of it as stolen time. It hits cores that have work: one that rests has nothing to lose. Each
core is taken away at the moments of a Poisson process, `stolen_per_s` times for a second that it is wanted, for a time
drawn from measured quantiles (`stolen_s`). The job under way is not cut in two: it ends, and the core is gone after it.
Who waits for that core waits on, unless another finds time for him (`sim.host`).
"""

from math import log

from sim.host import Host
from sim.kernel import Kernel, call_in
from sim.parameters import Values
from sim.streams import Stream


class Neighbours:
    """`taken_s`: core seconds that they have had."""

    def __init__(self, kernel: Kernel, host: Host, values: Values, stream: Stream) -> None:
        self._kernel = kernel
        self._host = host
        self._durations_s = values.stolen_s
        self._stream = stream
        self._gap_s = 1.0 / (values.stolen_per_s * host.cores) if values.stolen_per_s else 0.0
        self.taken_s = 0.0
        if self._gap_s:
            self._wait()

    def _wait(self) -> None:
        call_in(self._kernel, -self._gap_s * log(1.0 - self._stream.random()), self._come)

    def _come(self) -> None:
        """To a core drawn from all; nothing happens where it rests."""
        core = self._stream.integer(self._host.cores)
        if not self._host.rests(core):
            self._host.seize(core, self._take)
        self._wait()

    def _take(self, core: int) -> None:
        seconds = self._stream.quantile(self._durations_s)
        self.taken_s += seconds
        call_in(self._kernel, seconds, self._host.release, core)
