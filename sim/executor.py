"""The slots of a worker process: what a handler costs, and how long it takes.

A slot thread needs the GIL to take a job, again when its handler has slept, and then hands over the result. The
machine keeps to the number of slots; nothing queues here but for the processor. As in `core.runtime.executor`, quick
handlers run one after another in one slot and hand over together, slow ones and unknown ones have a slot each; what is
quick the same `Pace` decides, on the times that the model's handlers take.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from msgspec import Raw

from core.machine.messages import Finished, Job, Result
from core.model import NULL
from core.policy.pace import STALL_S, Pace
from sim.host import Process
from sim.kernel import Kernel, call_in
from sim.parameters import Values

SWITCH_INTERVAL_S = 0.005
"""Python hands the GIL over after this long: a handler that burns CPU does so in pieces."""


class Executor:
    """`service_s` by task id; `sink` takes the results. Without `batching`, no type is quick."""

    def __init__(
        self,
        kernel: Kernel,
        process: Process,
        values: Values,
        service_s: Mapping[str, float],
        sink: Callable[[Finished], None],
        *,
        batching: bool = True,
    ) -> None:
        self._kernel = kernel
        self._process = process
        self._values = values
        self._service_s = service_s
        self._sink = sink
        self._batching = batching
        self._paces: defaultdict[str, Pace] = defaultdict(Pace)

    def run(self, jobs: Sequence[Job]) -> None:
        """Start these jobs; the caller keeps to the number of slots."""
        lot: list[Job] = []
        for job in jobs:
            if self._batching and self._paces[job.marker.spec.type].quick:
                lot.append(job)
            else:
                self._alone(job)
        if lot:
            self._together(lot)

    def _alone(self, job: Job) -> None:
        if self._seconds(job) <= 0.0:
            self._process.run(self._values.slot_pickup_s + self._values.slot_wrap_s, self._quick, [job], [], 0.0)
        else:
            self._process.run(self._values.slot_pickup_s, self._begin, job)

    def _together(self, lot: list[Job]) -> None:
        """One after another, up to one that is not quick after all: those behind it and their results wait a moment."""
        count = next((index for index, job in enumerate(lot) if self._seconds(job) > 0.0), len(lot))
        cost_s = self._values.slot_pickup_s + self._values.slot_wrap_s * count
        if count == len(lot):
            self._process.run(cost_s, self._quick, lot, [], 0.0)
            return
        delay_s = min(STALL_S, self._seconds(lot[count]))
        self._process.run(cost_s, self._quick, lot[:count], lot[count + 1 :], delay_s)
        self._process.run(0.0, self._begin, lot[count])

    def _quick(self, jobs: list[Job], rest: list[Job], delay_s: float) -> None:
        """These have run. Hand over their results and begin the rest, after the delay."""
        wrap_s, now = self._values.slot_wrap_s, self._kernel.now
        first = now - wrap_s * len(jobs)
        results = [
            self._ended(job, first + wrap_s * index, first + wrap_s * (index + 1)) for index, job in enumerate(jobs)
        ]
        if delay_s > 0.0:
            call_in(self._kernel, delay_s, self._rescue, results, rest)
        else:
            self._sink(Finished(tuple(results)))

    def _rescue(self, results: list[Result], rest: list[Job]) -> None:
        if results:
            self._sink(Finished(tuple(results)))
        for job in rest:
            self._alone(job)

    def _begin(self, job: Job) -> None:
        seconds = self._seconds(job)
        if job.marker.spec.type == "cpu":
            self._burn(job, self._kernel.now, seconds)
        else:
            call_in(self._kernel, seconds + self._values.sleep_overshoot_s, self._wrap, job, self._kernel.now)

    def _burn(self, job: Job, started: float, left_s: float) -> None:
        if left_s <= 0.0:
            self._wrap(job, started)
            return
        piece_s = min(left_s, SWITCH_INTERVAL_S)
        self._process.run(piece_s, self._burn, job, started, left_s - piece_s)

    def _wrap(self, job: Job, started: float) -> None:
        self._process.run(self._values.slot_wrap_s, self._finish, job, started)

    def _finish(self, job: Job, started: float) -> None:
        self._sink(Finished((self._ended(job, started, self._kernel.now),)))

    def _seconds(self, job: Job) -> float:
        """How long the handler takes, beside what it costs to call it."""
        spec = job.marker.spec
        return 0.0 if spec.type == "fail" else self._service_s.get(spec.id, 0.0)

    def _ended(self, job: Job, started: float, finished: float) -> Result:
        self._paces[job.marker.spec.type].took(finished - started)
        return _result(job, started, finished)


def _result(job: Job, started: float, finished: float) -> Result:
    kind = job.marker.spec.type
    if kind == "fail":
        return Result(job.key, job.token, NULL, "RuntimeError: this task fails on purpose", started, finished)
    value: Raw = job.marker.spec.payload if kind == "echo" else NULL
    return Result(job.key, job.token, value, None, started, finished)
