"""What it costs to begin again after a pause: a process that has slept is cold.

Measured: a put after 10 ms of rest takes two to three times the CPU time of one that follows another, at the client and
at the server; the second put takes a quarter more, the fourth nothing. Caches, branch predictors and sleeping cores
forget with time, and learn again with work. So the state is one number z, 0 warm to 1 cold:

    a rest of g seconds       1 - z  becomes  (1 - z) exp(-g / idle_s)
    w seconds of (warm) work  z      becomes  z exp(-w / warm_s),  and cost  w + penalty_s z (1 - exp(-w / warm_s))

`penalty_s` is what a fully cold process pays until it is warm. The three are fitted to puts after rests of different
length (`tandem-bench calibrate`).
"""

from math import exp

NEGLIGIBLE = 1e-4


class Coldness:
    """The state of one process. Seconds throughout."""

    __slots__ = ("_idle_s", "_penalty_s", "_rests_since", "_warm_s", "_z")

    def __init__(self, penalty_s: float, warm_s: float, idle_s: float) -> None:
        self._penalty_s = penalty_s
        self._warm_s = warm_s
        self._idle_s = idle_s
        self._z = 1.0 if penalty_s else 0.0
        self._rests_since = 0.0

    def rest(self, now_s: float) -> None:
        """Nothing to do from now on."""
        self._rests_since = now_s

    def wake(self, now_s: float) -> None:
        """The rest is over."""
        if self._penalty_s:
            self._z = 1.0 - (1.0 - self._z) * exp(-(now_s - self._rests_since) / self._idle_s)

    def cost(self, work_s: float) -> float:
        """CPU seconds that this work takes in the present state; it warms."""
        z = self._z
        if z < NEGLIGIBLE:
            return work_s
        stays = exp(-work_s / self._warm_s)
        self._z = z * stays
        return work_s + self._penalty_s * z * (1.0 - stays)
