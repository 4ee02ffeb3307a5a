"""The server's own processor time.

etcd is one process with many threads: its pieces of work run side by side, each on a core that it shares with all
processes of the host. A thread that has a core does one piece after the other, whichever request they belong to (Go's
scheduler), until nothing is left, or its time slice is over and others wait. After a time on no core the server is cold
(`sim.coldness`), as a whole. A share of the work, `etcd_background`, is done aside, a portion at a time: it takes a
core from others, but no request waits for it.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from sim.coldness import Coldness
from sim.host import Host
from sim.kernel import Kernel
from sim.parameters import Values

Piece: TypeAlias = tuple[float, int, Callable[..., object], tuple[Any, ...]]
"""(CPU seconds when warm, life of the server, what comes after it, its arguments)."""

PORTION_S = 0.0002
"""Background work comes in portions of this size: as short as a decision, so that it does not block a core."""


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
        self._running = 0
        self._core = 0  # where some of its work was done last
        self._waiting: deque[Piece] = deque()
        self._asked = 0  # threads that wait for a core
        self._slice_s = values.slice_s
        self._slice_ends = [0.0] * host.cores
        self._life = 0

    @property
    def cpu_s(self) -> float:
        """CPU seconds, with what the server does of its own accord (ticks, garbage collection)."""
        return self._used_s + self._idle_cpu * self._kernel.now

    def use(self, work_s: float, done: Callable[..., object], *arguments: Any) -> None:
        """`done(*arguments)` after `work_s` CPU seconds (when warm) on some core."""
        host = self._host
        piece = (work_s, self._life, done, arguments)
        if host.free:
            core = host.take()
            self._slice_ends[core] = self._kernel.now + self._slice_s
            self._begin(core, piece)
            return
        self._waiting.append(piece)
        self._ask()

    def _ask(self) -> None:
        """A thread more queues for a core."""
        if self._asked < self._host.cores:
            self._asked += 1
            self._host.acquire(self._core, self._granted)

    def use_first(self, work_s: float, done: Callable[..., object], *arguments: Any) -> None:
        """As `use`, for a thread that the kernel wakes: it gets the next core that anybody gives back."""
        self._host.acquire_first(self._core, self._first, (work_s, self._life, done, arguments))

    def _first(self, core: int, piece: Piece) -> None:
        self._slice_ends[core] = self._kernel.now + self._slice_s
        self._begin(core, piece)

    def _granted(self, core: int) -> None:
        """A thread has a core; what it came for may have been done by another."""
        self._asked -= 1
        if self._waiting:
            self._first(core, self._waiting.popleft())
        else:
            self._host.release(core)

    def _begin(self, core: int, piece: Piece) -> None:
        work_s, life, done, arguments = piece
        self._core = core
        if not self._running:
            self._coldness.wake(self._kernel.now)
        self._running += 1
        cost_s = self._coldness.cost(work_s)
        self._used_s += cost_s
        if self._background:
            later_s = self._background * cost_s
            cost_s -= later_s
            self._owed_s += later_s
            if self._owed_s >= PORTION_S:
                self._host.acquire(core, self._collect)
        self._kernel.call_in(cost_s, self._finished, core, life, done, arguments)

    def _collect(self, core: int) -> None:
        """Background work has a core."""
        owed_s, self._owed_s = self._owed_s, 0.0
        self._kernel.call_in(owed_s, self._host.release, core)

    def _finished(self, core: int, life: int, done: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        host, now = self._host, self._kernel.now
        if self._waiting and core not in host.seized and (now < self._slice_ends[core] or not host.queues[core]):
            self._begin(core, self._waiting.popleft())
        else:
            if self._waiting:
                self._ask()
            host.release(core)
        self._running -= 1
        if not self._running:
            self._coldness.rest(now)
        if life == self._life:
            done(*arguments)

    def forget(self) -> None:
        """A kill."""
        self._life += 1
        self._waiting.clear()
