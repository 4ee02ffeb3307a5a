"""The handlers that every worker has: for trying out, and for experiments."""

import time
from typing import Any

from core.handlers import Handlers, Task

builtin = Handlers()


def _duration_s(payload: Any) -> float:
    """0 where the payload says nothing of it; for `sleep` and `cpu` it must be an object, or nothing."""
    value = payload.get("duration_s", 0.0)
    if not isinstance(value, int | float) or not 0.0 <= value <= 86_400.0:
        raise ValueError(f"duration_s must be a number from 0 to 86400, not {value!r}")
    return float(value)


def _options(payload: Any) -> dict[str, Any]:
    if payload is None:
        return {}
    if not isinstance(payload, dict):
        raise ValueError(f'the payload must be a JSON object like {{"duration_s": 0.1}}, not {payload!r:.80}')  # noqa: TRY004
    return payload


@builtin.handler("echo")
def echo(payload: Any) -> Any:
    """Return the payload after `duration_s` seconds."""
    duration_s = _duration_s(payload) if isinstance(payload, dict) else 0.0  # any payload may be echoed
    if duration_s:
        time.sleep(duration_s)
    return payload


@builtin.handler("sleep")
def sleep(payload: Any) -> None:
    """Sleep for `duration_s` seconds."""
    time.sleep(_duration_s(_options(payload)))


@builtin.handler("cpu")
def cpu(payload: Any) -> int:
    """Burn `duration_s` seconds of CPU time in this thread; returns the number of rounds."""
    end = time.thread_time() + _duration_s(_options(payload))
    rounds = 0
    while time.thread_time() < end:
        sum(range(1000))
        rounds += 1
    return rounds


@builtin.handler("fail")
def fail(payload: Any, task: Task) -> Any:
    """Fail with `message`; with `times`, only the first so many attempts."""
    options = _options(payload)
    if task.attempt > options.get("times", task.attempt):
        return payload
    raise RuntimeError(options.get("message", "this task fails on purpose"))
