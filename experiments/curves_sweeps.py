"""The sweeps: which points each curve has, and what may be measured with the same processes.

All points but those of the backlog submit everything at once and follow it: the load is never what is missing. The
tasks are `echo`, which sleeps for the task's duration and returns its payload.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from experiments.schema import Burst, Constant, Measure, Scenario, Topology, Workload

SLOTS = 10
"""Slots of a worker, as in the source's set-up."""
WORKERS = 3

PLAIN_BYTES = 18
"""The smallest payload of the load: `{"duration_s":0.0}`. The point of 20 bytes has this."""


class SweepName(StrEnum):
    WORKERS = "workers"
    SCHEDULERS = "schedulers"
    PAYLOAD = "payload"
    BACKLOG = "backlog"
    WATCHERS = "watchers"


@dataclass(frozen=True, slots=True)
class Point:
    """One point of one curve. `tasks`: how many to measure; None: chosen from the warm-up's rate.

    `drain`: the tasks of the scenario are submitted before a scheduler runs, then so many completions are timed.
    """

    series: str
    x: float
    scenario: Scenario
    watchers: int = 0
    tasks: int | None = None
    drain: int | None = None
    repetitions: int | None = None

    @property
    def slots(self) -> int:
        return self.scenario.topology.workers * self.scenario.topology.slots

    @property
    def service_s(self) -> float:
        service = self.scenario.workload.service
        assert isinstance(service, Constant)
        return service.value_s

    @property
    def slot_bound_per_s(self) -> float | None:
        """What the slots allow; None where tasks have no duration."""
        return self.slots / self.service_s if self.service_s else None

    def of(self, tasks: int, repetition: int) -> Scenario:
        """The scenario with so many tasks. Each repetition has a seed of its own: ids must not come again."""
        workload = msgspec.structs.replace(self.scenario.workload, count=tasks)
        return msgspec.structs.replace(self.scenario, workload=workload, measure=Measure(seed=repetition))


@dataclass(frozen=True, slots=True)
class Sweep:
    """`lives`: points that are measured with the same processes, one after the other.

    `grows`: more of x should bring more; otherwise the curve should stay level. `modelled`: the model can run it.
    """

    name: SweepName
    title: str
    x_label: str
    lives: Sequence[Sequence[Point]]
    grows: bool = False
    modelled: bool = False
    logarithmic: bool = False
    note: str = ""
    points: Sequence[Point] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", [point for life in self.lives for point in life])


def point(
    series: str,
    x: float,
    *,
    workers: int = WORKERS,
    schedulers: int = 1,
    service_s: float = 0.0,
    payload_bytes: int = 0,
    watchers: int = 0,
    tasks: int | None = None,
    drain: int | None = None,
    repetitions: int | None = None,
) -> Point:
    scenario = Scenario(
        name="curve",
        topology=Topology(workers=workers, schedulers=schedulers, slots=SLOTS),
        workload=Workload(
            arrivals=Burst(), count=tasks or 1, service=Constant(value_s=service_s), payload_bytes=payload_bytes
        ),
    )
    return Point(series, x, scenario, watchers, tasks, drain, repetitions)


def workers(counts: Sequence[int], durations_ms: Sequence[int]) -> Sweep:
    return Sweep(
        name=SweepName.WORKERS,
        title=f"Throughput against workers ({SLOTS} slots each), for tasks of different duration",
        x_label="workers",
        lives=[
            [point(f"{ms} ms", count, workers=count, service_s=ms / 1000) for ms in durations_ms] for count in counts
        ],
        grows=True,
        modelled=True,
    )


def schedulers(counts: Sequence[int]) -> Sweep:
    return Sweep(
        name=SweepName.SCHEDULERS,
        title=f"Throughput against schedulers, {WORKERS} workers, tasks without duration",
        x_label="schedulers",
        lives=[[point("0 ms", count, schedulers=count)] for count in counts],
        grows=True,
        modelled=True,
    )


def payload(sizes: Sequence[int]) -> Sweep:
    return Sweep(
        name=SweepName.PAYLOAD,
        title=f"Throughput against the size of the payload, {WORKERS} workers, tasks without duration",
        x_label="payload (bytes)",
        lives=[[point("0 ms", size, payload_bytes=size)] for size in sizes],
        logarithmic=True,
        note=f"The result is the payload again. The smallest payload has {PLAIN_BYTES} bytes.",
    )


def backlog(sizes: Sequence[int]) -> Sweep:
    return Sweep(
        name=SweepName.BACKLOG,
        title=f"Drain rate against the backlog, {WORKERS} workers, tasks without duration",
        x_label="tasks waiting at the start",
        lives=[
            [point("0 ms", size, tasks=size, drain=min(size, DRAIN), repetitions=1 if size >= LARGE else None)]
            for size in sizes
        ],
        logarithmic=True,
        note=f"Submitted before the scheduler starts; the first {DRAIN:,} completions are timed, or all where there "
        f"are fewer. Backlogs of {LARGE:,} and more are measured once. A small backlog is over in a fraction of a "
        "second, in which the workers' buffers are still being filled: its rate is the least certain.",
    )


DRAIN = 20_000
"""Completions that are timed: about two seconds' worth."""
LARGE = 1_000_000
"""Submitting these takes most of a minute."""


def watchers(counts: Sequence[int]) -> Sweep:
    return Sweep(
        name=SweepName.WATCHERS,
        title=f"Throughput against watchers, {WORKERS} workers, tasks without duration",
        x_label="further processes that watch all outcomes",
        lives=[[point("0 ms", count, watchers=count)] for count in counts],
    )


def sweeps(*, quick: bool) -> dict[SweepName, Sweep]:
    """All of them; `quick` ones have fewer points."""
    chosen = (
        (
            workers((1, 2, 4, 8), (0, 10, 100)),
            schedulers((1, 2, 3)),
            payload((20, 2_048, 65_536)),
            backlog((1_000, 10_000, 100_000)),
            watchers((0, 5)),
        )
        if quick
        else (
            workers(range(1, 11), (0, 1, 10, 100)),
            schedulers((1, 2, 3)),
            payload((20, 200, 2_048, 16_384, 65_536)),
            backlog((1_000, 10_000, 100_000, 1_000_000)),
            watchers((0, 5, 20)),
        )
    )
    return {sweep.name: sweep for sweep in chosen}
