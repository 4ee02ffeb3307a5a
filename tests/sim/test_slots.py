"""The model's slots charge for waking one and for calling handlers, in lots where the real ones run lots."""

import pytest
from msgspec import Raw

from core.machine.messages import Finished, Job
from core.model import Marker, TaskSpec
from core.policy.pace import STALL_S
from sim.executor import Executor
from sim.host import Host, Process
from sim.kernel import Kernel
from sim.parameters import Values

VALUES = Values(slot_pickup_s=0.00003, slot_wrap_s=0.00001, sleep_overshoot_s=0.0)


class Bench:
    """Handovers by the moment at which they came, in microseconds from the start of the run, with their keys."""

    def __init__(self, *, batching: bool = True) -> None:
        self.kernel = Kernel()
        self.seconds: dict[str, float] = {}
        self.lots: list[Finished] = []
        self.moments: list[int] = []
        self.process = Process(Host(self.kernel, 2), "w")
        self.executor = Executor(self.kernel, self.process, VALUES, self.seconds, self._take, batching=batching)

    def _take(self, lot: Finished) -> None:
        self.lots.append(lot)
        self.moments.append(round((self.kernel.now - self.start) * 1e6))

    def run(self, *seconds: float, kind: str = "echo") -> list[tuple[int, list[str]]]:
        self.start = self.kernel.now
        self.lots.clear()
        self.moments.clear()
        self.seconds.clear()
        jobs = []
        for number, service_s in enumerate(seconds):
            self.seconds[str(number)] = service_s
            jobs.append(Job(str(number), 1, Marker(TaskSpec(str(number), kind, payload=Raw(b"1")))))
        self.executor.run(jobs)
        self.kernel.run()
        return [
            (moment, [result.key for result in lot.results])
            for moment, lot in zip(self.moments, self.lots, strict=True)
        ]


def test_quick_tasks_are_picked_up_and_handed_over_together() -> None:
    bench = Bench()
    assert bench.run(0.0, 0.0) == [(40, ["0"]), (80, ["1"])]  # not known yet
    assert bench.run(0.0, 0.0, 0.0) == [(60, ["0", "1", "2"])]
    times = [(result.started_mono, result.finished_mono) for result in bench.lots[0].results]
    assert [finished - started for started, finished in times] == pytest.approx([0.00001] * 3)
    assert times[0][1] == times[1][0]


def test_without_batching_each_is_by_itself() -> None:
    bench = Bench(batching=False)
    bench.run(0.0)
    assert bench.run(0.0, 0.0) == [(40, ["0"]), (80, ["1"])]


def test_behind_a_task_that_is_not_quick_after_all_the_others_wait_a_moment() -> None:
    bench = Bench()
    bench.run(0.0)
    stall = round(STALL_S * 1e6)
    assert bench.run(0.0, 1.0, 0.0) == [
        (40 + stall, ["0"]),
        (40 + stall + 40, ["2"]),
        (40 + 1_000_000 + 10, ["1"]),
    ]
    assert bench.process.cpu_s == pytest.approx(0.00004 + 0.00004 + 0.00004 + 0.00001)
