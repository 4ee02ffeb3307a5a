"""The one place where the real scheduler reads the time."""

import time

from core.machine.messages import Now


def now() -> Now:
    return Now(time.monotonic(), time.time())
