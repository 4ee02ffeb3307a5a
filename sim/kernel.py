"""Simulated time: SimPy's event queue, used through callbacks.

A process for each task would be several times slower, and so would an event object for each step of it: a call is an
entry of SimPy's own queue that holds the function instead of an event. Calls and events of one moment run in the order
in which they were scheduled, so a run depends on nothing but its input.
"""

from collections.abc import Callable
from copy import copy
from heapq import heappop, heappush
from typing import Any

from simpy import Environment
from simpy.core import EmptySchedule
from simpy.events import NORMAL


class Kernel(Environment):
    """SimPy's environment, which also takes calls. `now`: simulated seconds."""

    now: float = 0.0  # a plain attribute: SimPy's is a property, which takes longer to ask than a call takes to make

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[Any] = self._queue  # SimPy's (time, priority, number, event), and our entries of five

    def call_in(self, delay_s: float, function: Callable[..., Any], *arguments: Any) -> None:
        """Call `function(*arguments)` in `delay_s` seconds. There is no calling off: look whether it is late."""
        heappush(self._entries, (self.now + delay_s, NORMAL, next(self._eid), function, arguments))

    def step(self) -> None:
        """Make all calls that come before the next event of SimPy's own, then process that.

        Raises simpy.core.EmptySchedule where nothing is left.
        """
        entries, pop = self._entries, heappop
        while entries:
            entry = pop(entries)
            if len(entry) == 4:
                heappush(entries, entry)
                self.now = entry[0]
                super().step()
                return
            self._now = self.now = entry[0]
            entry[3](*entry[4])
        raise EmptySchedule

    @property
    def events(self) -> int:
        """Calls and events so far."""
        return next(copy(self._eid)) - len(self._queue)


call_in = Kernel.call_in
