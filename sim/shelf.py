"""Where the records of ended tasks lie: what differs between them, in arrays by the number of the task.

As objects, a task's record and its outcome take some 700 bytes with their keys; here they take 60. Only what the client
has heard of is put here (`sim.client`), and only what is as usual: written once, without a lease, with the
specification of the load and its payload or nothing as the result. Everything else stays where it is.
"""

from array import array
from collections.abc import Callable, Iterator
from sys import intern

from core.kv import keys
from core.kv.requests import Kv
from core.model import NULL, Outcome, TaskRecord, Verdict
from sim.tasks import Tasks

_VERDICTS = list(Verdict)
_PAYLOAD = 1
"""The result is the payload; 0: it is null."""
_FEW = 256
"""What is kept in a byte must be less."""


class OutcomeShelf:
    """A `core.kv.records.Shelf` for the tasks of one load."""

    prefixes: tuple[str, ...] = (keys.TASK, keys.DONE)

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        count = len(tasks.specs)
        self._submitted = array("q", bytes(8 * count))  # revision of the task's record; 0: not here
        self._ended = array("q", bytes(8 * count))  # revision of its outcome; 0: not here
        self._tokens = array("q", bytes(8 * count))
        self._started, self._finished = array("d", bytes(8 * count)), array("d", bytes(8 * count))
        self._workers = array("H", bytes(2 * count))
        self._bytes = bytearray(4 * count)  # verdict, attempt, losses, result
        self._names: dict[str, int] = {}
        self._by_number: list[str] = []

    def take(self, kv: Kv) -> bool:
        if kv.version != 1 or kv.lease:
            return False
        number = self._tasks.numbers.get(kv.key[-keys.ID_DIGITS :])
        if number is None:
            return False
        value = kv.value
        if type(value) is TaskRecord:
            if value.spec != self._tasks.specs[number]:
                return False
            self._submitted[number] = kv.mod_revision
            return True
        return type(value) is Outcome and self._take_outcome(number, value, kv.mod_revision)

    def _take_outcome(self, number: int, outcome: Outcome, revision: int) -> bool:
        payload = self._tasks.specs[number].payload
        if outcome.error or outcome.result not in (NULL, payload):
            return False
        if outcome.attempt >= _FEW or outcome.losses >= _FEW:
            return False
        worker = self._names.get(outcome.worker)
        if worker is None:
            worker = self._names[intern(outcome.worker)] = len(self._names)
            self._by_number.append(outcome.worker)
        self._ended[number] = revision
        self._tokens[number] = outcome.token
        self._started[number], self._finished[number] = outcome.started_at, outcome.finished_at
        self._workers[number] = worker
        result = 0 if outcome.result == NULL else _PAYLOAD
        self._bytes[4 * number : 4 * number + 4] = bytes(
            (_VERDICTS.index(outcome.verdict), outcome.attempt, outcome.losses, result)
        )
        return True

    def give_back(self, key: str) -> Kv | None:
        number = self._tasks.numbers.get(key[-keys.ID_DIGITS :])
        if number is None:
            return None
        revisions, record = (self._submitted, self._task) if key.startswith(keys.TASK) else (self._ended, self._outcome)
        if not revisions[number]:
            return None
        kv = record(number)
        if kv.key != key:
            return None
        revisions[number] = 0
        return kv

    def _folders(self) -> tuple[tuple[str, "array[int]", Callable[[int], Kv]], ...]:
        return (keys.TASK, self._submitted, self._task), (keys.DONE, self._ended, self._outcome)

    def _task(self, number: int) -> Kv:
        spec, revision = self._tasks.specs[number], self._submitted[number]
        return Kv(keys.task(spec.id), TaskRecord(spec), revision, revision, 1)

    def _outcome(self, number: int) -> Kv:
        spec, revision = self._tasks.specs[number], self._ended[number]
        verdict, attempt, losses, result = self._bytes[4 * number : 4 * number + 4]
        outcome = Outcome(
            _VERDICTS[verdict],
            spec.payload if result == _PAYLOAD else NULL,
            "",
            attempt,
            losses,
            self._by_number[self._workers[number]],
            self._tokens[number],
            self._started[number],
            self._finished[number],
        )
        return Kv(keys.done(spec.id), outcome, revision, revision, 1)

    def within(self, key: str, end: str) -> list[str]:
        found: list[str] = []
        for prefix, revisions, record in self._folders():
            if key < keys.prefix_end(prefix) and prefix < end:
                here = (record(number).key for number, revision in enumerate(revisions) if revision)
                found += [one for one in here if key <= one < end]
        return found

    def each(self, prefix: str) -> Iterator[Kv]:
        for folder, revisions, record in self._folders():
            if folder.startswith(prefix) or prefix.startswith(folder):
                here = (record(number) for number, revision in enumerate(revisions) if revision)
                yield from (kv for kv in here if kv.key.startswith(prefix))
