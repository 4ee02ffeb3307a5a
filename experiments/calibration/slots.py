"""What the slots of a worker cost, and what it costs to be woken by a timer.

Measured in a process of its own, which carries along no more than a worker does.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

import msgspec
from msgspec import Raw

from core.handlers import Handlers
from core.machine.messages import Job, Result
from core.model import Marker, TaskSpec
from core.runtime.builtin import builtin
from core.runtime.executor import Executor
from experiments.components import ROOT
from experiments.world import ExperimentError

SLOTS, ROUNDS = 10, 5
PROCESSES = 3
"""Where its threads happen to run can make them cost a quarter: once ten tasks together took 13 us each, not 48."""
SHORT_S, LONG_S = 0.001, 0.03
"""After the short one nothing is cold yet, after the long one nearly everything."""
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class SlotCosts:
    """CPU seconds.

    `streaming_s`: of a task without duration among many; `together_s`: of each of `SLOTS` that sleep for `SHORT_S` at
    once; `alone_s`: of one alone that sleeps for `LONG_S`; `short_sleep_s`, `long_sleep_s`: of sleeps. `late_s`: by how
    much each sleep in a slot was too long.
    """

    streaming_s: float
    together_s: float
    alone_s: float
    short_sleep_s: float
    long_sleep_s: float
    late_s: tuple[float, ...]


COSTS = ("streaming_s", "together_s", "alone_s", "short_sleep_s", "long_sleep_s")


def in_own_processes(*, quick: bool) -> SlotCosts:
    """Medians over several processes. Raises ExperimentError where one fails."""
    found = [_in_own_process(quick=quick) for _ in range(1 if quick else PROCESSES)]
    costs = {name: statistics.median(getattr(one, name) for one in found) for name in COSTS}
    return SlotCosts(**costs, late_s=tuple(late for one in found for late in one.late_s))


def _in_own_process(*, quick: bool) -> SlotCosts:
    command = [sys.executable, "-m", __name__, *(["--quick"] if quick else [])]
    done = subprocess.run(command, cwd=ROOT, timeout=TIMEOUT_S, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ExperimentError(f"the process that measures slots: {done.stderr.strip()[-300:]}")
    return msgspec.json.decode(done.stdout, type=SlotCosts)


def measure(*, quick: bool) -> SlotCosts:
    done: SimpleQueue[Result] = SimpleQueue()
    handlers = Handlers()
    handlers.include(builtin)
    executor = Executor(handlers, SLOTS, done.put)
    count, sleeps = (1000, 20) if quick else (2000, 50)
    try:
        _run(executor, done, SLOTS * 10, 0.0)  # threads are there
        streaming_s = statistics.median(
            _cpu_of(lambda: _run(executor, done, count, 0.0)) / count for _ in range(ROUNDS)
        )
        late: list[float] = []

        def alone() -> None:
            for _ in range(sleeps):
                (result,) = _run(executor, done, 1, LONG_S)
                late.append(result.finished_mono - result.started_mono - LONG_S)

        alone_s = _cpu_of(alone) / sleeps

        def together() -> None:
            for _ in range(sleeps):
                _run(executor, done, SLOTS, SHORT_S)

        return SlotCosts(
            streaming_s,
            statistics.median(_cpu_of(together) / sleeps / SLOTS for _ in range(ROUNDS)),
            alone_s,
            _cpu_of(lambda: _sleep(10 * sleeps, SHORT_S)) / (10 * sleeps),
            _cpu_of(lambda: _sleep(sleeps, LONG_S)) / sleeps,
            tuple(late),
        )
    finally:
        executor.close()


def _sleep(count: int, seconds: float) -> None:
    for _ in range(count):
        time.sleep(seconds)


def _cpu_of(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def _run(executor: Executor, done: "SimpleQueue[Result]", count: int, duration_s: float) -> list[Result]:
    payload = Raw(b'{"duration_s":%g}' % duration_s)
    jobs = [
        Job(f"run/w/{number:032x}", number, Marker(TaskSpec(f"{number:032x}", "echo", payload=payload)))
        for number in range(count)
    ]
    results: list[Result] = []
    started = 0
    while len(results) < count:  # as a worker does: whatever slots are free get the next jobs
        free = SLOTS - (started - len(results))
        executor.run(jobs[started : started + free])
        started = min(count, started + free)
        results.append(done.get(timeout=30.0))
        while not done.empty():
            results.append(done.get_nowait())
    return results


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(measure(quick="--quick" in sys.argv)))
