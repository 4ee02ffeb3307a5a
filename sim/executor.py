"""The slots of a worker process: what a handler costs, and how long it takes.

A slot thread needs the GIL to take a job, again when its handler has slept, and then hands over the result. The
machine keeps to the number of slots; nothing queues here but for the processor. Sleeps last a little too long, and
not all the same: else tasks that began together would end together, in one transaction, for ever.
"""

from collections.abc import Callable, Sequence

from msgspec import Raw

from core.machine.messages import Job, Result
from core.model import NULL
from sim.kernel import Kernel
from sim.parameters import Values
from sim.process import PAID, Process
from sim.streams import Stream
from sim.tasks import Tasks

SWITCH_INTERVAL_S = 0.005
"""Python hands the GIL over after this long: a handler that burns CPU does so in pieces."""


class Executor:
    """`sink` takes each result."""

    def __init__(
        self,
        kernel: Kernel,
        process: Process,
        values: Values,
        tasks: Tasks,
        sleeps: Stream,
        sink: Callable[[Result], None],
    ) -> None:
        self._kernel = kernel
        self._process = process
        self._values = values
        self._tasks = tasks
        self._sleeps = sleeps
        self._sink = sink

    def run(self, jobs: Sequence[Job]) -> None:
        """Start these jobs; the caller keeps to the number of slots."""
        values = self._values
        for job in jobs:
            kind = job.marker.spec.type
            service_s = self._tasks.service_of(job.marker.spec.id)
            if kind == "fail" or service_s <= 0.0:
                self._process.run_inside(values.slot_pickup_s + values.slot_wrap_s, self._quick, job)
            elif kind == "cpu":
                self._process.run_own(values.slot_pickup_s, self._burn, job, None, service_s, hops=True)
            else:
                late_s = values.sleep_overshoot_s
                if values.sleep_overshoot_residuals:
                    late_s *= self._sleeps.quantile(values.sleep_overshoot_residuals)
                self._process.run_inside(values.slot_pickup_s, self._sleep, job, service_s + late_s, hops=True)

    def _quick(self, job: Job) -> None:
        now = self._process.clock
        self._sink(_result(job, now - self._values.slot_wrap_s, now))

    def _sleep(self, job: Job, seconds: float) -> None:
        started = self._process.clock
        self._kernel.call_at(started + seconds, self._slept, job, started)

    def _slept(self, job: Job, started: float) -> None:
        self._process.alarm(self._end, self._hand_over, job, started, hops=True)

    def _end(self, job: Job, started: float) -> float:
        """The slot has the processor again: the task ends here, and what waking costs comes after that."""
        self._ended = _result(job, started, self._process.clock)
        self._process.pay(self._values.slot_wrap_s, own=True)
        return PAID

    def _hand_over(self) -> None:
        self._sink(self._ended)

    def _burn(self, job: Job, started: float | None, left_s: float) -> None:
        started = self._kernel.now if started is None else started
        if left_s <= 0.0:
            self._process.run_own(self._values.slot_wrap_s, self._finish, job, started, hops=True)
            return
        piece_s = min(left_s, SWITCH_INTERVAL_S)
        self._process.run_own(piece_s, self._burn, job, started, left_s - piece_s)

    def _finish(self, job: Job, started: float) -> None:
        self._sink(_result(job, started, self._kernel.now))


def _result(job: Job, started: float, finished: float) -> Result:
    kind = job.marker.spec.type
    if kind == "fail":
        return Result(job.key, job.token, NULL, "RuntimeError: this task fails on purpose", started, finished)
    value: Raw = job.marker.spec.payload if kind == "echo" else NULL
    return Result(job.key, job.token, value, None, started, finished)
