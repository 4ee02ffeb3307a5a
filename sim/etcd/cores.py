"""The server's own processor time.

etcd is one process with many goroutines, which its threads carry out: at most as many at a time as the host has cores,
as Go's scheduler has it, so with twelve Python processes beside it two threads of etcd wait for their turns among them.
A thread that has a core does one piece of work after the other, whichever request they belong to, until nothing is left
or its time slice is over and others wait. What a thread makes ready waits for that very thread: another one looks for
it only `etcd_steal_s` later. So a server that is asked much uses little more than one core, though two were free.
(Measured: 64 callers, transactions of 1 to 256 puts: 1.1 to 1.3 of two cores, of which the callers took 0.3.)

A share of the work, `etcd_background`, is done aside, a portion at a time: no request waits for it. After a time on no
core the server is cold (`sim.coldness`), as a whole. The kernel's own threads do not keep to any of this: `use_kernel`.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from sim.coldness import Coldness
from sim.host import Host
from sim.kernel import Kernel
from sim.parameters import Values

Piece: TypeAlias = tuple[float, int, Callable[..., object] | None, tuple[Any, ...]]
"""(CPU seconds when warm, life of the server, what comes after it, its arguments); nothing comes after background work.
"""

PORTION_S = 0.0002
"""Background work comes in portions of this size: as short as a decision, so that it does not block a core."""
PREEMPT_S = 0.0001
"""A thread of the kernel that has been woken waits so long for a core, then it interrupts who runs. (Two cores, etcd
asked by 64: an fsync takes 0.5 ms, alone 0.3. Waiting at the head of the queue for a core to be given back it would
take 1.2; fits with this as a free parameter led to 0.10 and 0.14 ms.)"""


class Cores:
    """`cpu_s` is what the server has used. What is under way at a kill ends without effect."""

    def __init__(self, kernel: Kernel, host: Host, values: Values) -> None:
        self._kernel = kernel
        self._host = host
        self._coldness = Coldness(
            values.etcd_cold_factor, values.etcd_cold_warm_s, values.cold_idle_s, values.cold_share, values.cold_quick_s
        )
        self._background = values.etcd_background
        self._owed_s = 0.0
        self._idle_cpu = values.etcd_idle_cpu
        self._used_s = 0.0
        self._core = 0  # where some of its work was done last
        self._waiting: deque[Piece] = deque()
        self._threads = 0  # that run or wait for a core
        self._running = 0
        self._steal_s = values.etcd_steal_s
        self._looking = False
        self._slice_s = values.slice_s
        self._life = 0

    @property
    def cpu_s(self) -> float:
        """CPU seconds, with what the server does of its own accord (ticks, garbage collection)."""
        return self._used_s + self._idle_cpu * self._kernel.now

    def use(self, work_s: float, done: Callable[..., object], *arguments: Any) -> None:
        """`done(*arguments)` after `work_s` CPU seconds (when warm) on some core."""
        self._waiting.append((work_s, self._life, done, arguments))
        if not self._threads or not self._steal_s:
            self._start()
        elif not self._looking and self._threads < self._host.cores:
            self._looking = True
            self._kernel.call_in(self._steal_s, self._steal)

    def _steal(self) -> None:
        self._looking = False
        if self._waiting:
            self._start()

    def _start(self) -> None:
        """A thread more, if there may be one."""
        if self._threads < self._host.cores:
            self._threads += 1
            self._host.acquire(self._core, self._granted)

    def _granted(self, core: int) -> None:
        """A thread has a core; what it came for may have been done by another."""
        if self._waiting:
            self._begin(core, self._kernel.now + self._slice_s)
        else:
            self._threads -= 1
            self._host.release(core)

    def _begin(self, core: int, slice_ends: float) -> None:
        work_s, life, done, arguments = self._waiting.popleft()
        self._core = core
        if not self._running:
            self._coldness.wake(self._kernel.now)
        self._running += 1
        cost_s = work_s
        if done is not None:
            cost_s = self._coldness.cost(work_s)
            self._used_s += cost_s
            later_s = self._background * cost_s
            cost_s -= later_s
            self._owe(later_s)
        self._host.run(core, cost_s, self._finished, slice_ends, life, done, arguments)

    def _owe(self, later_s: float) -> None:
        self._owed_s += later_s
        if self._owed_s >= PORTION_S:
            self._waiting.append((self._owed_s, self._life, None, ()))
            self._owed_s = 0.0

    def _finished(
        self, core: int, slice_ends: float, life: int, done: Callable[..., object] | None, arguments: tuple[Any, ...]
    ) -> None:
        host, now = self._host, self._kernel.now
        self._core = core
        self._running -= 1
        if not self._running:
            self._coldness.rest(now)
        if done is not None and life == self._life:
            done(*arguments)
        if not self._waiting:
            self._threads -= 1
            host.release(core)
        elif core not in host.seized and (now < slice_ends or not host.queues[core]):
            self._begin(core, max(slice_ends, now))
        else:
            host.release(core)
            host.acquire(core, self._granted)

    # --- threads of the kernel that work for the server ---

    def use_kernel(self, work_s: float, done: Callable[..., object], *arguments: Any) -> None:
        """`done(*arguments)` after `work_s` CPU seconds of such a thread, which has just been woken."""
        self._used_s += work_s
        woken = _Woken(self._life, work_s, done, arguments)
        self._host.acquire_first(self._core, self._run_woken, woken)
        if woken.waits:
            self._kernel.call_in(PREEMPT_S, self._interrupt, woken)

    def _run_woken(self, core: int, woken: "_Woken") -> None:
        if woken.waits:
            woken.waits = False
            self._kernel.call_in(woken.work_s, self._woken_done, woken, core)
        else:
            self._host.release(core)

    def _interrupt(self, woken: "_Woken") -> None:
        """It runs at once; who was interrupted has lost that time: it is taken from us, as background work."""
        if woken.waits:
            woken.waits = False
            self._owe(woken.work_s)
            if not self._threads:
                self._start()
            self._kernel.call_in(woken.work_s, self._woken_done, woken, None)

    def _woken_done(self, woken: "_Woken", core: int | None) -> None:
        if core is not None:
            self._host.release(core)
        if woken.life == self._life:
            woken.done(*woken.arguments)

    def forget(self) -> None:
        """A kill."""
        self._life += 1
        self._waiting.clear()


class _Woken:
    """A thread of the kernel that works for the server once."""

    __slots__ = ("arguments", "done", "life", "waits", "work_s")

    def __init__(self, life: int, work_s: float, done: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.waits = True
        self.life = life
        self.work_s = work_s
        self.done = done
        self.arguments = arguments
