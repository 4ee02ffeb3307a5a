"""Other machines on the same hardware: a hypervisor takes a core away from one that works, and gives it back later.

A virtual machine knows of it as stolen time. It hits cores that have work: one that rests has nothing to lose. Each
core is taken away at the moments of a Poisson process, `stolen_per_s` times for a second that it is wanted, for a time
drawn from measured quantiles (`stolen_s`). The job under way is not cut in two: it ends, and the core is gone after it.
Who waits for that core waits on, unless another finds time for him (`sim.host`). That is kinder than the truth, where a
thread stands still with its core though another rests: it shows on a machine with little to do.
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
        self._per_s = values.stolen_per_s
        self.taken_s = 0.0
        if self._per_s and self._durations_s:
            self._wait()

    def _wait(self) -> None:
        """Candidates come as if so many cores worked, and some of them find none (thinning, Lewis and Shedler 1979)."""
        host = self._host
        most = min(host.cores, 2 * (host.cores - host.free) + 2)  # on a large host few work
        call_in(self._kernel, -log(1.0 - self._stream.random()) / (self._per_s * most), self._come, most)

    def _come(self, most: int) -> None:
        at, working = self._stream.integer(most), self._host.cores - self._host.free
        if at < working:
            self._host.seize(self._host.working()[at], self._take)
        self._wait()

    def _take(self, core: int) -> None:
        seconds = self._stream.quantile(self._durations_s)
        self.taken_s += seconds
        call_in(self._kernel, seconds, self._host.release, core)
