"""Ctrl-C in the main thread, told when a library has finished what it was doing.

Python raises KeyboardInterrupt between any two instructions, also between two of grpc's own: a call that was counted
and never begun keeps the connection from being closed, for ever.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What is done inside is done whole; a Ctrl-C that came meanwhile counts at the end. Inside must be short."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual is None:  # None: not Python's to change
        yield
        return
    came = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: came.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if came.is_set():
            signal.raise_signal(signal.SIGINT)
