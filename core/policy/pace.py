"""How long handlers of one type take: short ones run one after another in one slot, others each in a slot of their own.

Handing a job to another thread costs some 30 us of CPU time and a handler that returns at once costs 2; a handler that
sleeps wants its slot at once.
"""

from collections.abc import Iterable
from typing import NamedTuple

QUICK_S = 0.0002
"""Handlers whose mean is shorter than this are quick: some ten times what a hand-over between threads costs."""
LOT_S = 0.0005
"""Work that one slot takes on in a row: after this long it hands its results over, and more work than this wakes
another slot."""
STALL_S = 0.001
"""A quick handler that has not returned after this long is taken for a slow one."""
LONGEST_S = STALL_S
"""Longer executions count as this long, so that one interruption by the operating system does not outweigh a hundred
executions: with `WEIGHT`, four of them in a row do."""
WEIGHT = 1 / 16
"""Of the newest execution in the mean; the first ones count alike."""


class Pace:
    """The mean time of one type's executions. A type that has not run yet is not quick.

    No lock: threads that report at the same moment may lose one another's report, which does no harm to a mean.
    """

    __slots__ = ("_weight", "mean_s", "quick")

    def __init__(self) -> None:
        self.mean_s = 0.0
        self.quick = False
        self._weight = 1.0

    def took(self, seconds: float) -> None:
        """Take in one execution."""
        weight = self._weight
        self.mean_s += weight * (min(seconds, LONGEST_S) - self.mean_s)
        self.quick = self.mean_s < QUICK_S
        if weight > WEIGHT:
            self._weight = max(WEIGHT, weight / (1.0 + weight))


class Need(NamedTuple):
    """Slots wanted by some jobs: `slow` jobs one each, all quick ones together `quick`."""

    slow: int
    quick: int


def need(paces: Iterable[Pace | None]) -> Need:
    """The slots that jobs of these paces want (None: of an unknown type)."""
    slow = quick = 0
    quick_s = 0.0
    for pace in paces:
        if pace is None or not pace.quick:
            slow += 1
        else:
            quick += 1
            quick_s += pace.mean_s
    return Need(slow, min(quick, 1 + int(quick_s / LOT_S)))
