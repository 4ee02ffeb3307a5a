"""A Python process is a single server (the GIL) inside the cores that all processes of its host share (`sim.host`).

A job is taken when the process is free and a core is: all queues are first come, first served. A process that has more
to do keeps its core for a time slice, `slice_s`, though others wait for it. Jobs are shorter, and not interrupted.

Messages are decoded by threads that wait for the GIL until the others have nothing to do, or for `switch_s`: a busy
process hears of the world a few milliseconds late, and then of much at once. What a watch brings is handed to the
driver's thread, a task to a slot's. Who is handed work is woken (`slot_hop_s`, for the first of a rest `slot_cold_s`
more). Slots, and what they hand over, go on at once; a message needs a core for the driver, behind those who wait. So
on busy cores a process that hears much falls behind. (Three schedulers, two cores: late by up to 70 ms.)

A process that had nothing to do pays for the first job: `wake_s` where a message woke it (from its socket through its
threads), `alarm_s` where its own timer did, and up to `alarm_cold_s` more after a rest. What messages cost is many
times more after a rest (`sim.coldness`): the way through the network's library and the kernel is long. Slots and
decisions are not seen to be dearer. A part of what waking adds, `tail`, comes after the job's effect: it keeps process
and core busy, but nobody waits for it.

Much of what a process does stays inside it: it decodes a message, decides, builds the next request. Such work needs no
event of the kernel for each piece. It is worked out at once, one piece after the other, up to one that the outside
sees; `clock` is the moment that each belongs to. That is done only while a core is free, so that nobody waits for ours.
What reaches the process meanwhile waits for the end of all, as it would have waited for the end of one.

A stopped process (SIGSTOP) begins nothing and finishes nothing until it goes on; a killed one forgets everything.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from sim.coldness import Coldness
from sim.host import Host
from sim.kernel import call_in
from sim.parameters import Values

Begin = Callable[..., float]
"""Begins a job, at the moment `clock` of its process; returns its cost in CPU seconds.

It may `pay` itself and return `PAID`, or `DONE` where nothing is left for the end of the job."""

PAID, DONE = -1.0, -2.0
AHEAD_S = 0.0005
"""At most about so long is worked out at once."""

Job: TypeAlias = tuple[float, Begin | None, Callable[..., object], tuple[Any, ...], bool, bool, bool]
"""(cost_s, begin, finish, arguments, own, hops, inside). The arguments are for `begin`, or else for `finish`.

`own`: work that no message brings. `hops`: it is handed to another thread. `inside`: `finish` touches nothing outside
the process but what it schedules from `clock` on.
"""


class Process:
    """One operating-system process: jobs in turn. `cpu_s` is what its jobs have used."""

    def __init__(self, host: Host, name: str, values: Values) -> None:
        self._host = host
        self._kernel = host.kernel
        self.name = name
        self.cpu_s = 0.0
        self.clock = 0.0
        """The moment at which the work under way begins, or has its effect."""
        self.alive = True
        self.stopped = False
        self._jobs: deque[Job] = deque()
        self._arrived: deque[tuple[float, Job]] = deque()  # messages that came while another thread had the GIL
        self._taking = False
        self._switch_s = values.switch_s
        self._busy = False
        self._core = 0  # it runs there, or ran there last
        self._parked: Callable[[], None] | None = None  # where a stopped process goes on
        self._coldness = Coldness(
            values.cold_factor, values.cold_warm_s, values.cold_idle_s, values.cold_share, values.cold_quick_s
        )
        self._wake_s = values.wake_s
        self._woken_s = 0.0  # what waking adds to the next job
        self._tail = values.tail
        self._tail_s = 0.0  # what the last job has left to do after its effect
        self._alarm_s = values.alarm_s
        self._alarm_cold_s = values.alarm_cold_s
        self._slice_s = values.slice_s
        self._slice_ends = 0.0
        self._began = self._used_s = 0.0  # of the work under way: since when, and its cost so far
        self._hop_s = values.slot_hop_s
        self._hop_cold_s = values.slot_cold_s
        self._hops = False  # the job under way does
        self._handed = False  # the last one did: another thread goes on, which must have a core
        self._hopped = self._heard = False  # some job of its own has, or some message, since the process slept

    # --- what is to be done ---

    def run(self, cost_s: float, finish: Callable[..., object], *arguments: Any) -> None:
        """Use `cost_s` of CPU time, then call `finish(*arguments)`."""
        self._add((cost_s, None, finish, arguments, False, False, False), self._wake_s)

    def run_own(self, cost_s: float, finish: Callable[..., object], *arguments: Any, hops: bool = False) -> None:
        """As `run`, for work that no message brings. `hops`: it is handed to another thread."""
        self._add((cost_s, None, finish, arguments, True, hops, False), self._wake_s)

    def run_inside(self, cost_s: float, finish: Callable[..., object], *arguments: Any, hops: bool = False) -> None:
        """As `run_own`, where `finish` touches nothing outside the process but what it schedules from `clock` on."""
        self._add((cost_s, None, finish, arguments, True, hops, True), self._wake_s)

    def message(self, cost_s: float, finish: Callable[..., object], *arguments: Any, hops: bool = False) -> None:
        """What comes from the network, in a thread of its own: it waits for the GIL (see above).

        `finish` must touch nothing outside the process. `hops`: it is handed to another thread.
        """
        job = (cost_s, None, finish, arguments, False, hops, True)
        if self._switch_s and self._busy:
            if self.alive:
                self._arrived.append((self._kernel.now, job))
        else:
            self._add(job, self._wake_s)

    def execute(self, begin: Begin, finish: Callable[..., object], *arguments: Any) -> None:
        """`begin(*arguments)` when the job gets the processor; it returns the cost; `finish()` after that."""
        self._add((0.0, begin, finish, arguments, False, False, False), self._wake_s)

    def alarm(self, begin: Begin, finish: Callable[..., object], *arguments: Any, hops: bool = False) -> None:
        """As `execute`, for what the process has set a timer for."""
        self._add((0.0, begin, finish, arguments, True, hops, False), self._alarm_s, self._alarm_cold_s)

    def _add(self, job: Job, wake_s: float, cold_s: float = 0.0) -> None:
        if not self.alive:
            return
        self._jobs.append(job)
        if self._busy:
            return
        self._busy = True
        self._hopped = self._heard = False
        now, host = self._kernel.now, self._host
        self._coldness.wake(now)
        self._woken_s = wake_s + cold_s * self._coldness.degree
        if host.free and not self.stopped:  # as `_want`, with fewer steps
            self._core = host.take()
            self._slice_ends = now + self._slice_s
            self._work()
        else:
            self._want()

    # --- in the beginning of a job ---

    def pay(self, work_s: float, *, own: bool) -> bool:
        """Use CPU time; `clock` is then the moment at which that takes effect. Whether more may be done at once."""
        cost_s = work_s + self._woken_s
        self._woken_s = 0.0
        clock = self.clock + self._tail_s  # what the last job has left to do
        if own:
            self._tail_s = 0.0
        else:
            cost_s = self._coldness.cost(cost_s)
            self._tail_s = self._tail * (cost_s - work_s)
        self._handed = self._hops and not own
        if self._hops:
            self._hops = False
            cost_s += self._hop(again=self._hopped if own else self._heard)
            self._hopped, self._heard = self._hopped or own, self._heard or not own
        self._used_s += cost_s
        self.clock = clock = clock + cost_s - self._tail_s
        goes_on = self._host.free > 0 or (clock < self._slice_ends and not self._handed)
        return goes_on and clock - self._began <= AHEAD_S

    def _hop(self, *, again: bool) -> float:
        """CPU seconds to hand the job under way to another thread, which is awake if that has been done `again`."""
        if again:
            return self._hop_s
        cold_s = self._hop_cold_s * self._coldness.degree
        self._tail_s += self._tail * cold_s
        return self._hop_s + cold_s

    @property
    def has_more(self) -> bool:
        """Whether something comes before what is asked for now."""
        return bool(self._jobs) or (bool(self._arrived) and self._switches())

    # --- doing it ---

    def _want(self) -> None:
        if self.stopped:
            self._parked = self._want
        else:
            self._coldness.rest(self._kernel.now)
            self._host.acquire(self._core, self._granted)

    def _granted(self, core: int) -> None:
        if not self.alive or self.stopped:
            self._host.release(core)
            if self.alive:
                self._parked = self._want
            return
        self._core = core
        now = self._kernel.now
        self._coldness.wake(now)
        self._slice_ends = now + self._slice_s
        self._work()

    def _work(self) -> None:
        """Begin the next job, and others as far as they can be worked out ahead."""
        jobs, arrived = self._jobs, self._arrived
        self._began = self.clock = self._kernel.now
        self._used_s = 0.0
        while True:
            job = self._choose() if arrived else jobs.popleft()
            cost_s, begin, finish, arguments, own, self._hops, inside = job
            if begin is not None:
                cost_s = begin(*arguments)
                arguments = ()
                if cost_s == PAID:
                    break
            if cost_s != DONE:
                if not self.pay(cost_s, own=own) or not inside:
                    break
                finish(*arguments)
            finish, arguments = _nothing, ()
            if not jobs and not arrived:
                break
        self._kernel.call_at(self.clock, self._finished, finish, arguments)

    def _choose(self) -> Job:
        """The thread that has the GIL goes on until it has nothing to do; another that wants it waits `switch_s`."""
        if self._jobs and not self._switches():
            return self._jobs.popleft()
        _, job = self._arrived.popleft()
        self._taking = bool(self._arrived)
        return job

    def _switches(self) -> bool:
        """Whether a message gets the GIL although another thread has work."""
        return self._taking or self.clock - self._arrived[0][0] >= self._switch_s

    def _finished(self, finish: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.cpu_s += self._used_s
        if not self.alive:
            self._host.release(self._core)
            return
        if self.stopped:
            self._host.release(self._core)
            self._parked = partial(self._resume, finish, arguments)
            return
        finish(*arguments)
        if self._jobs or self._arrived:
            self._go_on_or_yield()
        elif self._tail_s:
            call_in(self._kernel, self._tail_s, self._tail_over)
        else:
            self._host.release(self._core)
            self._busy = False
            self._coldness.rest(self._kernel.now)

    def _tail_over(self) -> None:
        self._tail_s = 0.0
        self._go_on_or_yield()

    def _go_on_or_yield(self) -> None:
        """Begin the next job on this core, or give the core back."""
        more, host, core = self._jobs or self._arrived, self._host, self._core
        in_slice = self._kernel.now < self._slice_ends and not self._handed
        mine = core not in host.seized and (not host.queues[core] or in_slice)
        if more and not self.stopped and mine:
            self._work()
        else:
            self._host.release(self._core)
            self._go_on()

    def _resume(self, finish: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.clock = self._kernel.now
        finish(*arguments)
        self._go_on()

    def _go_on(self) -> None:
        if self._jobs or self._arrived:
            self._want()
        else:
            self._busy = False
            self._coldness.rest(self._kernel.now)

    # --- faults ---

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


def _nothing() -> None:
    """All effects were worked out ahead."""
