"""What is simulated, and what comes out: plain data."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.kv.memory import MemoryKv
from core.model import TaskSpec
from core.settings import ClientSettings, SchedulerSettings, WorkerSettings
from sim.parameters import Refinement, Values
from sim.stamps import Stamps

FaultKind = Literal[
    "worker_kill",
    "host_kill",
    "worker_stop",
    "worker_drain",
    "scheduler_kill",
    "scheduler_stop",
    "etcd_kill",
    "partition",
]


class Fault(msgspec.Struct, frozen=True):
    """`target` breaks `at_s` after the start and, with `duration_s`, is mended that much later."""

    kind: FaultKind
    at_s: float
    target: str
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """The tasks, in the order of submission. `intended_s` from the start of the load; unused where it is closed.

    `in_flight`: closed load, so many tasks unfinished at a time.
    """

    specs: Sequence[TaskSpec]
    service_s: Sequence[float] | NDArray[np.float64]
    intended_s: Sequence[float] | NDArray[np.float64]
    in_flight: int | None = None


@dataclass(frozen=True, slots=True)
class SimConfig:
    """One run. `limit_s`: it ends then, counted from the start of the load, whatever is still open.

    `quiet_s`: likewise, when no task has ended for so long, or up to twice as long.
    `check`: validate machines and store after every event (slow; for tests). `record`: components whose steps are kept.
    """

    load: Load
    schedulers: int = 1
    workers: int = 3
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    client: ClientSettings = field(default_factory=ClientSettings)
    faults: Sequence[Fault] = ()
    seed: int = 1
    values: Values = field(default_factory=Values)
    refinement: Refinement = "station"
    """How finely etcd is modelled."""
    limit_s: float = 3600.0
    quiet_s: float = inf
    start_wall_at: float = 1_767_225_600.0
    sample_interval_s: float = 0.5
    trace: bool = True
    check: bool = False
    record: tuple[str, ...] = ()


class Sample(msgspec.Struct, frozen=True):
    """CPU seconds that a component has used so far, `time_s` after the start of the load."""

    time_s: float
    component: str
    cpu_s: float


@dataclass(slots=True)
class SimResult:
    """Times of `spool` rows are simulated seconds; the load began at `start_s`."""

    start_s: float
    end_s: float
    unfinished: int
    spool: Stamps
    samples: list[Sample]
    kv: MemoryKv
    events: int
    reports: list[tuple[float, str, str, str]]
    """(time_s, component, level, text)."""
    recordings: dict[str, list[bytes]] = field(default_factory=dict)
    """By component, "worker-1#2" for its second life: lines for `core.machine.replay.replay`."""
