"""Endings on their way to etcd: gathered, sent in batches, remembered until the answer."""

from collections import deque
from collections.abc import Iterator

from core.machine.messages import Complete, CompleteDone, Ending, Message
from core.policy.batch import MAX_BATCH_BYTES, cut, worth_sending
from core.settings import WorkerSettings


class Commits:
    """Those of one worker. True while anything waits or is under way."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self.waiting: deque[Ending] = deque()
        self._flight: dict[int, Complete] = {}
        self._batch = 0

    def __bool__(self) -> bool:
        return bool(self.waiting or self._flight)

    def add(self, item: Ending) -> None:
        self.waiting.append(item)

    def work(self, worker: str, commands: list[Message]) -> None:
        """Append the transactions that are worth sending now."""
        settings = self._settings
        while worth_sending(len(self.waiting), len(self._flight), settings):
            batch = cut(self.waiting, settings.max_batch, MAX_BATCH_BYTES, _bytes)
            self._batch += 1
            command = Complete(self._batch, worker, tuple(batch))
            self._flight[self._batch] = command
            commands.append(command)

    def done(self, event: CompleteDone) -> Complete:
        """What this answers."""
        return self._flight.pop(event.batch)

    def sent(self) -> Iterator[Ending]:
        """Everything under way."""
        for command in self._flight.values():
            yield from command.endings


def _bytes(item: Ending) -> int:
    if item.outcome is not None:
        return 600 + len(item.outcome.result) + 2 * len(item.outcome.error)
    return 600 + len(item.job.marker.spec.payload) + len(item.error)
