"""What it costs to begin again after a pause: a process that has slept is cold.

Measured: a put after 10 ms of rest takes two to three times the CPU time of one that follows another, at the client and
at the server; the second put takes a quarter more, the fourth nothing. Caches, branch predictors and sleeping cores
forget with time, whether a process sleeps or waits for a core that others use, and learn again with work. Some of that
is lost within a millisecond (a core that finds nothing to do is halted), the rest more slowly. So the state is a number
z, 0 warm to 1 cold, the mean of two by `share`: one of them rises in a rest with idle_s = `quick_s`, the other with
`idle_s`. Work is 1 + k z times as slow as when warm; both fall with the processor time used:

    g seconds of rest     1 - z  becomes  (1 - z) exp(-g / idle_s)
    t seconds of work     z      becomes  z exp(-t / warm_s)

Work that takes w seconds when warm takes t, where w is the integral of 1 / (1 + k z) over t:

    t = warm_s ln((1 + k z) exp(w / warm_s) - k z)

All are fitted to puts after rests of different length, and to what a process that only listens uses and how late
it hears (`tandem-bench calibrate`).
"""

from math import exp, log

NEGLIGIBLE = 1e-4
MUCH_S = 0.02
"""Work of this length is warm for almost all of it."""


class Coldness:
    """The state of one process. `factor` is k; the rest are seconds."""

    __slots__ = ("_factor", "_idle_s", "_quick", "_quick_s", "_rests_since", "_share", "_slow", "_warm_s", "_z")

    def __init__(self, factor: float, warm_s: float, idle_s: float, share: float = 0.0, quick_s: float = 1.0) -> None:
        self._factor = factor
        self._warm_s = warm_s
        self._idle_s = idle_s
        self._share = share
        self._quick_s = quick_s
        self._z = self._slow = self._quick = 1.0 if factor else 0.0
        self._rests_since = 0.0

    @property
    def degree(self) -> float:
        """How cold it is: 0 warm to 1 cold."""
        return self._z

    def rest(self, now_s: float) -> None:
        """Nothing to do from now on."""
        self._rests_since = now_s

    def wake(self, now_s: float) -> None:
        """The rest is over."""
        if self._factor:
            rest_s = now_s - self._rests_since
            self._slow = 1.0 - (1.0 - self._slow) * exp(-rest_s / self._idle_s)
            if self._share:
                self._quick = 1.0 - (1.0 - self._quick) * exp(-rest_s / self._quick_s)
            self._z = self._slow + self._share * (self._quick - self._slow)

    def cost(self, work_s: float) -> float:
        """CPU seconds that this work takes in the present state; it warms."""
        z = self._z
        if z < NEGLIGIBLE:
            return work_s
        slow = self._factor * z
        cost_s = self._warm_s * log((1.0 + slow) * exp(work_s / self._warm_s) - slow) if work_s < MUCH_S else work_s
        warmed = exp(-cost_s / self._warm_s)
        self._z = z * warmed
        self._slow *= warmed
        self._quick *= warmed
        return cost_s
