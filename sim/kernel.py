"""Simulated time. SimPy's event queue, used through callbacks: a process per task would be five times slower.

Events of one moment run in the order in which they were scheduled, so a run depends on nothing but its input.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from simpy import Environment

Kernel: TypeAlias = Environment


def call_in(kernel: Kernel, delay_s: float, function: Callable[..., Any], *arguments: Any) -> None:
    """Call `function(*arguments)` in `delay_s` seconds. There is no calling off: look whether it is late."""
    event = kernel.timeout(delay_s)
    assert event.callbacks is not None
    event.callbacks.append(lambda _: function(*arguments))
