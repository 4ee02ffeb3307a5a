"""The executor without lots (`slot_batching = false`): a wake-up for every job, a hand-over for every result."""

import queue
import threading
import time
from collections.abc import Callable, Sequence

from core.handlers import Handlers
from core.machine.messages import Finished, Job, Result
from core.runtime.handling import Kinds


class PlainExecutor:
    """See `core.runtime.executor.Executor`, which it can stand in for."""

    def __init__(self, handlers: Handlers, slots: int, sink: Callable[[Finished], object]) -> None:
        self._kinds = Kinds(handlers)
        self._slots = slots
        self._sink = sink
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def run(self, jobs: Sequence[Job]) -> None:
        while jobs and len(self._threads) < self._slots:
            thread = threading.Thread(target=self._serve, name=f"slot-{len(self._threads) + 1}", daemon=True)
            self._threads.append(thread)
            thread.start()
        for job in jobs:
            self._jobs.put(job)

    def close(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            started = time.monotonic()
            result, error = self._kinds[job.marker.spec.type].call(job)
            self._sink(Finished((Result(job.key, job.token, result, error, started, time.monotonic()),)))
