"""What the shared code costs: decisions of the machines, the building of transactions, and the slots.

Decisions are timed on recordings of the model's own runs: the same events as in a run, replayed on fresh machines.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from msgspec import Raw

from core.handlers import Handlers
from core.machine.messages import Assign, Assignment, Job, Result, Trace
from core.machine.replay import build, decode_header, decode_step
from core.model import Marker, TaskSpec
from core.procedure.table import start
from core.runtime.builtin import builtin
from core.runtime.executor import Executor
from core.runtime.spool import Spool
from experiments.calibration import fit
from sim.config import Load, SimConfig
from sim.etcd.sizes import size
from sim.run import simulate
from sim.steps import items_of

SLOTS, SLEEP_S, SLOT_ROUNDS = 10, 0.01, 7
COMPONENTS = ("scheduler-1", "worker-1", "client-1")


def _recordings(quick: bool) -> list[dict[str, list[bytes]]]:  # noqa: FBT001
    """A burst, where batches are large, and a trickle, where they are small."""
    loads = []
    for count, gap_s in ((2000 if quick else 6000, 0.0), (300 if quick else 1000, 0.005)):
        specs = [TaskSpec(f"{number:032x}", "echo", payload=Raw(b'{"duration_s":0.0}')) for number in range(count)]
        loads.append(Load(specs, [0.0] * count, [gap_s * number for number in range(count)]))
    return [simulate(SimConfig(load, record=COMPONENTS)).recordings for load in loads]


def machines(*, quick: bool) -> dict[str, fit.Line]:
    """CPU seconds of one decision by the number of items, for "scheduler", "worker" and "client"."""
    lines = {}
    recordings = _recordings(quick)
    for component in COMPONENTS:
        items: list[float] = []
        seconds: list[float] = []
        for recording in recordings:
            _replay(recording[component], items, seconds)
        lines[component.partition("-")[0]] = fit.least_absolute(items, seconds)
    return lines


def _replay(lines: list[bytes], items: list[float], seconds: list[float]) -> None:
    machine = build(decode_header(lines[0]))
    steps = [decode_step(line) for line in lines[1:]]
    for event, now in steps:
        before = time.perf_counter()
        commands = machine.handle(event, now)
        seconds.append(time.perf_counter() - before)
        items.append(items_of(event) + sum(map(items_of, commands)))


def procedures() -> fit.Line:
    """CPU seconds of building one transaction, by its operations."""
    operations: list[float] = []
    seconds: list[float] = []
    for count in (1, 8, 32, 128, 256):
        command = _assign(count)
        for _ in range(30):
            before = time.perf_counter()
            procedure = start(command)
            assert procedure is not None
            request = next(procedure)
            seconds.append(time.perf_counter() - before)
            operations.append(size(request))  # type: ignore[arg-type]
            procedure.close()
    return fit.least_absolute(operations, seconds)


def _assign(count: int) -> Assign:
    markers = [
        Marker(TaskSpec(f"{number:032x}", "echo", payload=Raw(b'{"duration_s":0.0}'))) for number in range(count)
    ]
    items = tuple(Assignment(f"ready/default/5/{m.spec.id}", 7, f"worker-{n % 3}", m) for n, m in enumerate(markers))
    return Assign(1, "scheduler-1", items, 0.0)


@dataclass(frozen=True, slots=True)
class SlotCosts:
    """CPU seconds of a task without duration among many; of one that waits for a sleeping slot, and of a sleep alone.

    `late_s`: by how much a sleep is too long.
    """

    streaming_s: float
    alone_s: float
    sleep_s: float
    late_s: float


def slots(*, quick: bool) -> SlotCosts:
    """What the slots cost."""
    done: SimpleQueue[Result] = SimpleQueue()
    handlers = Handlers()
    handlers.include(builtin)
    executor = Executor(handlers, SLOTS, done.put)
    count, sleeps = (1000, 30) if quick else (3000, 100)
    try:
        _run(executor, done, SLOTS * 10, 0.0)  # threads are there
        streaming_s = statistics.median(
            _cpu_of(lambda: _run(executor, done, count, 0.0)) / count for _ in range(SLOT_ROUNDS)
        )
        late: list[float] = []

        def alone() -> None:
            for _ in range(sleeps):
                (result,) = _run(executor, done, 1, SLEEP_S)
                late.append(result.finished_mono - result.started_mono - SLEEP_S)

        alone_s = _cpu_of(alone) / sleeps
        sleep_s = _cpu_of(partial(_sleep, sleeps)) / sleeps
        return SlotCosts(streaming_s, alone_s, sleep_s, max(0.0, statistics.median(late)))
    finally:
        executor.close()


def _sleep(count: int) -> None:
    for _ in range(count):
        time.sleep(SLEEP_S)


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


def traces(*, quick: bool) -> fit.Line:
    """CPU seconds of writing moments, by the rows of a batch."""
    rows, seconds = [], []
    with tempfile.TemporaryDirectory(prefix="tandem-") as folder:
        spool = Spool(Path(folder), "calibrate")
        for count in (1, 8, 64):
            batch = Trace("started", tuple((f"{number:032x}", 1, (1234.5678, 1234.5679)) for number in range(count)))
            for _ in range(100 if quick else 400):
                before = time.perf_counter()
                spool.write(batch)
                seconds.append(time.perf_counter() - before)
                rows.append(float(count))
        spool.close()
    return fit.least_absolute(rows, seconds)
