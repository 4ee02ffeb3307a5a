"""Runs handlers: one thread for each slot, fed through one queue.

Threads, because handlers may block and a payload must not wait for an event loop; daemonic, because a handler that
never returns must not keep a worker from stopping (its task is handed back at the drain limit).
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw

from core.handlers import Handlers, Task
from core.machine.messages import Job, Result
from core.model import MAX_PAYLOAD_BYTES, NULL

log = logging.getLogger("tandem")

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


class Executor:
    """`sink` is called with each `Result`, in the slot's thread."""

    def __init__(self, handlers: Handlers, slots: int, sink: Callable[[Result], None]) -> None:
        self._handlers = handlers
        self._slots = slots
        self._sink = sink
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def run(self, jobs: Sequence[Job]) -> None:
        """Start these jobs; the caller keeps to the number of slots."""
        while jobs and len(self._threads) < self._slots:
            thread = threading.Thread(target=self._slot, name=f"slot-{len(self._threads) + 1}", daemon=True)
            self._threads.append(thread)
            thread.start()
        for job in jobs:
            self._jobs.put(job)

    def close(self) -> None:
        """Idle slots end; busy ones end with their handler or with the process."""
        for _ in self._threads:
            self._jobs.put(None)

    def _slot(self) -> None:
        while (job := self._jobs.get()) is not None:
            started = time.monotonic()
            result, error = self._execute(job)
            self._sink(Result(job.key, job.token, result, error, started, time.monotonic()))

    def _execute(self, job: Job) -> tuple[Raw, str | None]:
        spec = job.marker.spec
        function = self._handlers.get(spec.type)
        if function is None:
            return NULL, f"this worker has no handler for {spec.type!r}"
        task = Task(spec.id, spec.type, spec.queue, job.marker.attempt, job.token)
        try:
            value = function(_decoder.decode(spec.payload), task)
        except BaseException as error:
            log.info("task %s (%s), attempt %d failed: %s", spec.id, spec.type, job.marker.attempt, _sentence(error))
            log.debug("where it failed", exc_info=error)  # with --verbose
            return NULL, _sentence(error)
        try:
            encoded = _encoder.encode(value)
        except Exception as error:  # noqa: BLE001 - a user's object decides what encoding it raises
            return NULL, f"the handler's return value is not JSON: {_sentence(error)}"
        if len(encoded) > MAX_PAYLOAD_BYTES:
            return NULL, f"the handler's return value is {len(encoded)} bytes of JSON; {MAX_PAYLOAD_BYTES} are allowed"
        return Raw(encoded), None


def _sentence(error: BaseException) -> str:
    """Type and text of a user's exception. Its text may fail, or hold what no JSON can (names of odd files)."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001
        text = "(its text cannot be shown)"
    return f"{type(error).__name__}: {text}".encode(errors="replace").decode()
