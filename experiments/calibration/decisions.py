"""What the shared code costs: decisions of the machines, the building of transactions, and writing moments.

Decisions are timed on recordings of the model's own runs: the same events as in a run, replayed on fresh machines.
"""

import tempfile
import time
from pathlib import Path

from msgspec import Raw

from core.machine.messages import Assign, Assignment, Trace
from core.machine.replay import build, decode_header, decode_step
from core.model import Marker, TaskSpec
from core.procedure.table import start
from core.runtime.spool import Spool
from experiments.calibration import fit
from sim.config import Load, SimConfig
from sim.etcd.sizes import size
from sim.run import simulate
from sim.steps import items_of

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
