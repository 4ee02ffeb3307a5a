"""Simulated time: SimPy's event queue, used through callbacks.

A process for each task would be several times slower, and so would an event object for each step of it: a call is an
entry of SimPy's own queue that holds the function instead of an event. Calls and events of one moment run in the order
in which they were scheduled, so a run depends on nothing but its input.

Most entries are due within a millisecond, but thousands stand for tasks that sleep, for keepalives and deadlines, and
each step through a heap would have to pass them. So SimPy's heap holds what is due up to a horizon; the rest lies
unsorted in days of a calendar (Brown, "Calendar queues", 1988), and a day is put into the heap when it comes.
"""

from collections.abc import Callable
from copy import copy
from heapq import heapify, heappop, heappush
from typing import Any

from simpy import Environment, Event
from simpy.core import EmptySchedule, Infinity, SimTime
from simpy.events import NORMAL, EventPriority

DAY_S = 0.01
"""A busy system has a few hundred entries for this time: a heap of that size costs little."""


class Kernel(Environment):
    """SimPy's environment, which also takes calls. `now`: simulated seconds."""

    now: float = 0.0  # a plain attribute: SimPy's is a property, which takes longer to ask than a call takes to make

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[Any] = self._queue  # SimPy's (time, priority, number, event), and our entries of five
        self._days: dict[int, list[Any]] = {}  # from the horizon on
        self._coming: list[int] = []  # a heap of their numbers
        self._horizon = DAY_S

    def call_in(self, delay_s: float, function: Callable[..., Any], *arguments: Any) -> None:
        """Call `function(*arguments)` in `delay_s` seconds. There is no calling off: look whether it is late."""
        at = self.now + delay_s
        if at < self._horizon:
            heappush(self._entries, (at, NORMAL, next(self._eid), function, arguments))
        else:
            self._put_off((at, NORMAL, next(self._eid), function, arguments))

    def call_at(self, at: float, function: Callable[..., Any], *arguments: Any) -> None:
        """Call `function(*arguments)` at the moment `at`, which must not be over."""
        if at < self._horizon:
            heappush(self._entries, (at, NORMAL, next(self._eid), function, arguments))
        else:
            self._put_off((at, NORMAL, next(self._eid), function, arguments))

    def schedule(self, event: Event, priority: EventPriority = NORMAL, delay: SimTime = 0) -> None:
        """As SimPy's."""
        entry = (self.now + delay, priority, next(self._eid), event)
        if entry[0] < self._horizon:
            heappush(self._entries, entry)
        else:
            self._put_off(entry)

    def _put_off(self, entry: Any) -> None:
        at = entry[0]
        number = int(at / DAY_S)
        if at < number * DAY_S:  # rounded up: it may belong to the day that is in the heap next
            number -= 1
        day = self._days.get(number)
        if day is None:
            self._days[number] = [entry]
            heappush(self._coming, number)
        else:
            day.append(entry)

    def _next_day(self) -> bool:
        """The heap is empty: fill it. False where nothing is left."""
        if not self._coming:
            return False
        number = heappop(self._coming)
        self._horizon = (number + 1) * DAY_S
        self._entries += self._days.pop(number)
        heapify(self._entries)
        return True

    def peek(self) -> SimTime:
        """As SimPy's."""
        return self._entries[0][0] if self._entries or self._next_day() else Infinity

    def step(self) -> None:
        """Make all calls that come before the next event of SimPy's own, then process that.

        Raises simpy.core.EmptySchedule where nothing is left.
        """
        entries, pop = self._entries, heappop
        while entries or self._next_day():
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
        put_off = sum(len(day) for day in self._days.values())
        return next(copy(self._eid)) - len(self._entries) - put_off


call_in = Kernel.call_in
