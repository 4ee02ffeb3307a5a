"""Ticks of the poll mode."""

from core.settings import Ticker


class Ticks:
    """When to poll next.

    `rate`: a fixed grid from the first tick on; of the ticks missed during a poll one is kept (Go's time.Ticker).
    `delay`: one interval after the end of the last poll.
    """

    def __init__(self, ticker: Ticker, interval_s: float) -> None:
        self._ticker = ticker
        self._interval_s = interval_s
        self._start = 0.0
        self._count = 0
        self._next: float | None = None

    def start(self, mono: float) -> None:
        """The first tick is due at once."""
        self._start, self._count, self._next = mono, 0, mono

    @property
    def due(self) -> float | None:
        """Monotonic time of the next tick, None while a poll is under way or before the start."""
        return self._next

    def take(self, mono: float) -> bool:
        """True if a tick is due; then none is pending until `done`."""
        if self._next is None or mono < self._next:
            return False
        self._next = None
        return True

    def done(self, mono: float) -> None:
        """The poll has ended: arm the next tick."""
        if self._ticker == "delay":
            self._next = mono + self._interval_s
            return
        # A tick that came during the poll waits in Go's channel of size one: it is taken at once, older ones are lost.
        self._count = max(self._count + 1, int((mono - self._start) / self._interval_s))
        self._next = self._start + self._count * self._interval_s


def sooner(one: float | None, other: float | None) -> float | None:
    """The earlier of two moments, where None is never."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
