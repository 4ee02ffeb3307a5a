"""The handlers that every worker has: for trying out, and for experiments."""

import time
from typing import Any

from core.handlers import Handlers, Task

builtin = Handlers()


def _duration_s(payload: Any) -> float:
    value = payload.get("duration_s", 0.0) if isinstance(payload, dict) else 0.0
    if not isinstance(value, int | float) or not 0.0 <= value <= 86_400.0:
        raise ValueError(f"duration_s must be a number from 0 to 86400, not {value!r}")
    return float(value)


@builtin.handler("echo")
def echo(payload: Any) -> Any:
    """Return the payload after `duration_s` seconds."""
    duration_s = _duration_s(payload)
    if duration_s:
        time.sleep(duration_s)
    return payload


@builtin.handler("sleep")
def sleep(payload: Any) -> None:
    """Sleep for `duration_s` seconds."""
    time.sleep(_duration_s(payload))


@builtin.handler("cpu")
def cpu(payload: Any) -> int:
    """Burn `duration_s` seconds of CPU time in this thread; returns the number of rounds."""
    end = time.thread_time() + _duration_s(payload)
    rounds = 0
    while time.thread_time() < end:
        sum(range(1000))
        rounds += 1
    return rounds


@builtin.handler("fail")
def fail(payload: Any, task: Task) -> Any:
    """Fail with `message`; with `times`, only the first so many attempts."""
    options = payload if isinstance(payload, dict) else {}
    if task.attempt > options.get("times", task.attempt):
        return payload
    raise RuntimeError(options.get("message", "this task fails on purpose"))
