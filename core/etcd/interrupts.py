"""Ctrl-C in the main thread, told when a library has finished what it was doing.

Python raises KeyboardInterrupt between any two instructions, also between two of grpc's own: a call that was counted
and never begun keeps the connection from being closed, for ever. A program may have SIGTERM do the same.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What is done inside is done whole; a signal that came meanwhile counts at the end. Inside must be short."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Those alone that run Python code: what ends the process at once, or does nothing, leaves nothing half done.
    usual = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}
    came: list[int] = []
    for number in usual:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        for one in dict.fromkeys(came):
            signal.raise_signal(one)
