"""Assign transactions under way, and what they have settled since the picture was last asked for.

A listing may be older than an assignment that was answered while it was on its way: it then shows as ready what we
have given away. So what is in flight, and what was settled since the listing was asked for, is remembered until the
listing has been taken in.
"""

from collections.abc import Iterator

from core.machine.line import Entry
from core.machine.messages import Assign, AssignDone, Assignment, Now, Trace


class Flights:
    def __init__(self) -> None:
        self._open: dict[int, tuple[Assign, tuple[Entry, ...]]] = {}
        self._settled: list[Assignment] = []
        self._listing = False
        self._last = 0

    def __len__(self) -> int:
        return len(self._open)

    @property
    def next_number(self) -> int:
        return self._last + 1

    def start(self, scheduler: str, items: list[Assignment], entries: list[Entry], now: Now) -> Assign:
        """A new batch; its number is `next_number` as it was before the call."""
        self._last += 1
        command = Assign(self._last, scheduler, tuple(items), now.mono)
        self._open[self._last] = (command, tuple(entries))
        return command

    def end(self, event: AssignDone) -> tuple[Assign, tuple[Entry, ...]]:
        """The batch that the answer belongs to, with the window entries of its items."""
        command, entries = self._open.pop(event.batch)
        if self._listing:
            self._settled += [command.items[index] for index in event.assigned]
        return command, entries

    def listing_asked(self) -> None:
        self._listing = True
        self._settled.clear()

    def listing_taken_in(self) -> None:
        self._listing = False
        self._settled.clear()

    def items(self) -> Iterator[Assignment]:
        """Everything in flight."""
        for command, _ in self._open.values():
            yield from command.items

    def given(self) -> Iterator[Assignment]:
        """What a listing may show as ready although we have given it away, or are about to."""
        yield from self._settled
        yield from self.items()

    def validate(self) -> None:
        for command, entries in self._open.values():
            assert len(command.items) == len(entries)


def moments(event: AssignDone, command: Assign, now: Now) -> Trace:
    """When the assigned ones were sent and acknowledged."""
    markers = [command.items[index].marker for index in event.assigned]
    at = (command.sent_mono, now.mono)
    return Trace("assigned", tuple((marker.spec.id, marker.attempt, at) for marker in markers))
