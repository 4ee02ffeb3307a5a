"""Gives ready tasks to workers, in batches, several transactions under way.

A task that is given is held by its worker at once, whatever the answer will be: room is never counted twice. What turns
out not to be assigned is taken back, and waits again unless somebody else has taken it.
"""

from collections.abc import Sequence

from core.machine.backlog import Backlog
from core.machine.fleet import Fleet, Kind
from core.machine.flights import Flights
from core.machine.line import Entry
from core.machine.messages import Assign, AssignDone, Assignment, Message, Now
from core.model import Marker
from core.policy.batch import MAX_BATCH_BYTES, worth_sending
from core.settings import SchedulerSettings


class Assigner:
    """Between the backlog and the fleet of one scheduler."""

    def __init__(self, settings: SchedulerSettings, backlog: Backlog, fleet: Fleet) -> None:
        self._settings = settings
        self._backlog = backlog
        self._fleet = fleet
        self.flights = Flights()

    def work(self, me: str, now: Now, commands: list[Message]) -> None:
        """Append the transactions that are worth sending now."""
        while True:
            room = self._fleet.free
            if room <= 0 or not worth_sending(min(self._backlog.own, room), len(self.flights), self._settings):
                break
            entries, items = self._gather(me, now)
            if not items:
                break
            commands.append(self.flights.start(me, items, entries, now))

    def _gather(self, me: str, now: Now) -> tuple[list[Entry], list[Assignment]]:
        entries: list[Entry] = []
        items: list[Assignment] = []
        batch, limit = self.flights.next_number, self._settings.max_batch
        backlog, fleet = self._backlog, self._fleet
        size = 0
        buffered = backlog.own - fleet.slots  # so many may go before the rest fits into the slots

        def pick(kind: Kind) -> str | None:
            return fleet.pick(kind, deep=len(items) < buffered)

        while len(items) < limit and size < MAX_BATCH_BYTES:
            choice = backlog.next(pick)
            if choice is None:
                break
            entry, worker = choice
            marker = entry.marker
            spec = marker.spec
            fleet.hold(worker, spec.id, now)
            given = Marker(spec, marker.attempt, marker.losses, marker.by_reference, me, batch)
            size += 600 + len(spec.payload)
            entries.append(entry)
            items.append(Assignment(entry.key, entry.revision, worker, given))
        return entries, items

    def done(self, event: AssignDone, now: Now) -> Assign:
        """Take in an answer; returns what it answers."""
        command, entries = self.flights.end(event)
        self._fleet.assigned(now.mono - command.sent_mono)
        if len(event.assigned) == len(command.items):
            self._backlog.assigned(entries)
        else:
            self._backlog.assigned(entries[index] for index in event.assigned)
            self._take_back(event, command, entries, now)
        return command

    def _take_back(self, event: AssignDone, command: Assign, entries: Sequence[Entry], now: Now) -> None:
        assigned, lost = set(event.assigned), set(event.lost)
        for index, item in enumerate(command.items):
            if index in assigned:
                continue
            self._fleet.release(item.worker, [item.marker.spec.id], now, completed=False)
            if index not in lost:
                self._backlog.put_back(entries[index])
        if lost:
            self._backlog.collided(now)
