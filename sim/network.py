"""The network: a delay for each message; what two ends say to each other on one line arrives in order (TCP)."""

from collections.abc import Callable
from typing import Any

from sim.kernel import Kernel, call_in
from sim.streams import Stream


class Line:
    """One direction of one connection. Each message takes `delay_s` and up to `jitter_s` more, evenly drawn."""

    __slots__ = ("_delay_s", "_free_at", "_jitter_s", "_kernel", "_stream")

    def __init__(self, kernel: Kernel, delay_s: float, jitter_s: float, stream: Stream) -> None:
        self._kernel = kernel
        self._delay_s = delay_s
        self._jitter_s = jitter_s
        self._stream = stream
        self._free_at = 0.0

    def send(self, deliver: Callable[..., object], *arguments: Any) -> None:
        kernel = self._kernel
        now = kernel.now
        arrives = now + self._delay_s
        if self._jitter_s:
            arrives = now + (self._delay_s + self._jitter_s * self._stream.random())
        self._free_at = max(self._free_at, arrives)
        call_in(kernel, self._free_at - now, deliver, *arguments)
