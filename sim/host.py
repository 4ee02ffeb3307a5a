"""The cores of a host, and who waits for which."""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from sim.kernel import Kernel

Queue: TypeAlias = deque[tuple[Callable[..., None], tuple[Any, ...]]]


class Host:
    """`cores` servers. Who finds one free takes it.

    Who finds none queues at the core it ran on last, as Linux has it, where each core has a queue of its own. A core
    that runs out of work looks at the queues of others only `balance_s` later: so a core may stand idle while somebody
    waits for another. With `balance_s` 0 all cores share one queue, and nobody ever waits beside an idle core.
    """

    def __init__(self, kernel: Kernel, cores: int, balance_s: float = 0.0) -> None:
        self.kernel = kernel
        self.cores = cores
        self.free = cores
        self._balance_s = balance_s
        self._idle = list(range(cores - 1, -1, -1))
        self._waiting = 0  # in all queues
        self.seized: dict[int, list[Callable[[int], None]]] = {}
        """Cores at work that somebody takes before all others when they are given back."""
        one: Queue = deque()
        self.queues: list[Queue] = [deque() if balance_s else one for _ in range(cores)]

    def take(self) -> int:
        """A free core, of which there must be one."""
        self.free -= 1
        return self._idle.pop()

    def acquire(self, home: int, granted: Callable[..., None], *arguments: Any) -> None:
        """`granted(core, *arguments)` once there is a core; `home`: the one to queue at."""
        if self.free:
            granted(self.take(), *arguments)
        else:
            self.queues[home].append((granted, arguments))
            self._waiting += 1

    def acquire_first(self, home: int, granted: Callable[..., None], *arguments: Any) -> None:
        """As `acquire`, before all who wait: it still does not interrupt who runs."""
        if self.free:
            granted(self.take(), *arguments)
        else:
            self.queues[home].appendleft((granted, arguments))
            self._waiting += 1

    def working(self) -> list[int]:
        """The cores that somebody has."""
        idle = set(self._idle)
        return [core for core in range(self.cores) if core not in idle]

    def seize(self, core: int, granted: Callable[[int], None]) -> None:
        """`granted(core)` for this very core, which is at work, as soon as it is given back; several in turn."""
        self.seized.setdefault(core, []).append(granted)

    def release(self, core: int) -> None:
        if core in self.seized:
            first, *others = self.seized.pop(core)
            if others:
                self.seized[core] = others
            first(core)
            return
        queue = self.queues[core]
        if queue:
            self._waiting -= 1
            granted, arguments = queue.popleft()
            granted(core, *arguments)
            return
        self.free += 1
        self._idle.append(core)
        if self._balance_s and self._waiting:
            self.kernel.call_in(self._balance_s, self._pull)

    def _pull(self) -> None:
        """A core that is idle takes from the longest queue."""
        if not self._waiting:
            return
        longest = max(self.queues, key=len)
        if self.free:
            self._waiting -= 1
            granted, arguments = longest.popleft()
            granted(self.take(), *arguments)

    def validate(self) -> None:
        assert 0 <= self.free == len(self._idle) <= self.cores, "a core was given back twice"
        assert self._balance_s or not (self.free and self.queues[0]), "somebody waits for a free core"
