"""Processors. A Python process is a single server (the GIL) inside the cores that all processes of its host share.

A job is taken when the process is free and a core is: both queues are first come, first served. A process that has more
to do keeps its core for a time slice, `slice_s`, though others wait. Jobs are shorter than that and not interrupted.
What a job costs may be known only once it begins.

Messages are decoded by threads that wait for the GIL until the others have nothing to do, or for `switch_s`: a busy
process hears of the world a few milliseconds late, and then of much at once.

A process that had nothing to do pays for the first job: `wake_s` where a message woke it (from its socket through its
threads), `alarm_s` where its own timer did. What messages cost is more after a rest (`sim.coldness`); timers are not
seen to be. A part of what waking adds, `tail`, comes after the job's effect: it keeps process and core busy, but nobody
waits for it.

A stopped process (SIGSTOP) begins nothing and finishes nothing until it goes on; a killed one forgets everything.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from sim.coldness import Coldness
from sim.kernel import Kernel, call_in
from sim.parameters import Values

Begin = Callable[..., float]
"""Begins a job; returns its cost in CPU seconds."""


class Host:
    """`cores` servers, taken in turn."""

    def __init__(self, kernel: Kernel, cores: int) -> None:
        self.kernel = kernel
        self.cores = cores
        self._free = cores
        self._waiting: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()

    def acquire(self, granted: Callable[..., None], *arguments: Any) -> None:
        if self._free:
            self._free -= 1
            granted(*arguments)
        else:
            self._waiting.append((granted, arguments))

    def release(self) -> None:
        if self._waiting:
            granted, arguments = self._waiting.popleft()
            granted(*arguments)
        else:
            self._free += 1

    @property
    def contended(self) -> bool:
        return bool(self._waiting)

    def validate(self) -> None:
        assert 0 <= self._free <= self.cores, "a core was given back twice"
        assert not (self._free and self._waiting), "somebody waits for a free core"


class _Job:
    __slots__ = ("alarm", "arguments", "begin", "cost_s", "finish", "hop_s", "since_s")

    def __init__(
        self,
        cost_s: float,
        begin: Begin | None,
        finish: Callable[..., object],
        arguments: tuple[Any, ...],
        *,
        alarm: bool = False,
    ) -> None:
        self.cost_s = cost_s
        self.begin = begin
        self.finish = finish
        self.arguments = arguments
        self.alarm = alarm
        self.since_s = 0.0
        self.hop_s = 0.0


class Process:
    """One operating-system process: jobs in turn. `cpu_s` is what its jobs have used."""

    __slots__ = (
        "_alarm_s",
        "_arrived",
        "_busy",
        "_coldness",
        "_host",
        "_jobs",
        "_kernel",
        "_parked",
        "_slice_ends",
        "_slice_s",
        "_switch_s",
        "_tail",
        "_tail_s",
        "_taking",
        "_wake_s",
        "_woken_s",
        "alive",
        "cpu_s",
        "name",
        "stopped",
    )

    def __init__(self, host: Host, name: str, values: Values) -> None:
        self._host = host
        self._kernel = host.kernel
        self.name = name
        self.cpu_s = 0.0
        self.alive = True
        self.stopped = False
        self._jobs: deque[_Job] = deque()
        self._arrived: deque[_Job] = deque()  # messages that came while another thread had the GIL
        self._taking = False
        self._switch_s = values.switch_s
        self._busy = False
        self._parked: Callable[[], None] | None = None  # where a stopped process goes on
        self._coldness = Coldness(values.cold_factor, values.cold_warm_s, values.cold_idle_s)
        self._wake_s = values.wake_s
        self._woken_s = 0.0  # what waking adds to the next job
        self._tail = values.tail
        self._tail_s = 0.0  # what the last job has left to do after its effect
        self._alarm_s = values.alarm_s
        self._slice_s = values.slice_s
        self._slice_ends = 0.0

    def run(self, cost_s: float, finish: Callable[..., object], *arguments: Any) -> None:
        """Use `cost_s` of CPU time, then call `finish(*arguments)`."""
        self._add(_Job(cost_s, None, finish, arguments))

    def run_own(self, cost_s: float, finish: Callable[..., object], *arguments: Any, hop_s: float = 0.0) -> None:
        """As `run`, for work that no message brings. `hop_s`: what a cold process pays to hand it to a thread."""
        job = _Job(cost_s, None, finish, arguments, alarm=True)
        job.hop_s = hop_s
        self._add(job)

    def execute(self, begin: Begin, finish: Callable[..., object], *arguments: Any) -> None:
        """`begin(*arguments)` when the job gets the processor; it returns the cost; `finish()` after that."""
        self._add(_Job(0.0, begin, finish, arguments))

    def message(self, cost_s: float, finish: Callable[..., object], *arguments: Any) -> None:
        """As `run`, for what comes from the network, in a thread of its own: it waits for the GIL (see above)."""
        job = _Job(cost_s, None, finish, arguments)
        if self._switch_s and self._busy:
            if self.alive:
                job.since_s = self._kernel.now
                self._arrived.append(job)
        else:
            self._add(job)

    def alarm(self, begin: Begin, finish: Callable[..., object], *arguments: Any, hop_s: float = 0.0) -> None:
        """As `execute`, for what the process has set a timer for."""
        job = _Job(0.0, begin, finish, arguments, alarm=True)
        job.hop_s = hop_s
        self._add(job)

    def _add(self, job: _Job) -> None:
        if not self.alive:
            return
        self._jobs.append(job)
        if not self._busy:
            self._busy = True
            self._coldness.wake(self._kernel.now)
            self._woken_s = self._alarm_s if job.alarm else self._wake_s
            self._want()

    def _want(self) -> None:
        if self.stopped:
            self._parked = self._want
        else:
            self._host.acquire(self._granted)

    def _granted(self) -> None:
        if not self.alive or self.stopped:
            self._host.release()
            if self.alive:
                self._parked = self._want
            return
        self._slice_ends = self._kernel.now + self._slice_s
        self._next()

    def _next(self) -> None:
        job = self._choose()
        if job.begin is not None:
            job.cost_s = job.begin(*job.arguments)
        work_s = job.cost_s
        cost_s = work_s + self._woken_s
        self._woken_s = 0.0
        before_s = self._tail_s  # what the last job has left to do
        if job.alarm:
            cost_s += job.hop_s * self._coldness.degree
            self._tail_s = 0.0
        else:
            cost_s = self._coldness.cost(cost_s)
            self._tail_s = self._tail * (cost_s - work_s)
        job.cost_s = cost_s
        call_in(self._kernel, before_s + cost_s - self._tail_s, self._finished, job)

    def _choose(self) -> _Job:
        """The thread that has the GIL goes on until it has nothing to do; another that wants it waits `switch_s`."""
        arrived = self._arrived
        if arrived and (self._taking or not self._jobs or self._kernel.now - arrived[0].since_s >= self._switch_s):
            job = arrived.popleft()
            self._taking = bool(arrived)
            return job
        return self._jobs.popleft()

    def _finished(self, job: _Job) -> None:
        self.cpu_s += job.cost_s
        if not self.alive:
            self._host.release()
            return
        if self.stopped:
            self._host.release()
            self._parked = lambda: self._resume(job)
            return
        self._complete(job)
        if self._tail_s and not self._jobs and not self._arrived:
            call_in(self._kernel, self._tail_s, self._tail_over)
        else:
            self._go_on_or_yield()

    def _tail_over(self) -> None:
        self._tail_s = 0.0
        self._go_on_or_yield()

    def _go_on_or_yield(self) -> None:
        """Begin the next job on this core, or give the core back."""
        if self._keeps_core():
            self._next()
        else:
            self._host.release()
            self._go_on()

    def _keeps_core(self) -> bool:
        if not (self._jobs or self._arrived) or not self.alive or self.stopped:
            return False
        return not self._host.contended or self._kernel.now < self._slice_ends

    def _resume(self, job: _Job) -> None:
        self._complete(job)
        self._go_on()

    def _complete(self, job: _Job) -> None:
        if job.begin is None:
            job.finish(*job.arguments)
        else:
            job.finish()

    def _go_on(self) -> None:
        if (self._jobs or self._arrived) and self.alive:
            self._want()
        else:
            self._busy = False
            self._coldness.rest(self._kernel.now)

    def stop(self) -> None:
        """SIGSTOP."""
        self.stopped = True

    def resume(self) -> None:
        """SIGCONT."""
        self.stopped = False
        parked, self._parked = self._parked, None
        if parked is not None and self.alive:
            parked()

    def kill(self) -> None:
        """SIGKILL. A job under way uses its core to the end, with no effect."""
        self.alive = False
        self._jobs.clear()
        self._arrived.clear()
        self._parked = None
