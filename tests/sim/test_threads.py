"""Threads and cores: whose work comes next on a core, and what sleeps that differ do."""

from dataclasses import replace
from random import Random

import pytest

from core.model import TaskSpec
from sim.config import SimConfig
from sim.etcd.cores import Cores
from sim.host import Host
from sim.kernel import Kernel
from sim.process import Process
from sim.run import simulate
from tests.sim.model import free, load, moments


class Bench:
    """A server and a process on the same cores; `done` in order."""

    def __init__(self, slice_s: float, cores: int = 1, steal_s: float = 0.0) -> None:
        values = free(cores=cores, slice_s=slice_s, etcd_steal_s=steal_s)
        self.kernel = Kernel()
        self.host = Host(self.kernel, cores, 0.0, slice_s)
        self.etcd = Cores(self.kernel, self.host, values)
        self.mine, self.other = Process(self.host, "mine", values), Process(self.host, "other", values)
        self.done: list[str] = []

    def run(self) -> str:
        self.kernel.run()
        self.host.validate()
        assert self.host.free == self.host.cores
        return " ".join(self.done)


@pytest.mark.parametrize(("slice_s", "order"), [(10.0, "a b c other"), (1.5, "a b other c"), (0.5, "a other b c")])
def test_a_thread_of_etcd_keeps_its_core_for_a_slice(slice_s: float, order: str) -> None:
    bench = Bench(slice_s)
    bench.etcd.use(1.0, bench.done.append, "a")
    bench.other.run(1.0, bench.done.append, "other")
    bench.etcd.use(1.0, bench.done.append, "b")
    bench.etcd.use(1.0, bench.done.append, "c")
    assert bench.run() == order


@pytest.mark.parametrize(("steal_s", "moments"), [(0.0, [1, 1, 2]), (0.5, [1, 1.5, 2]), (3.0, [1, 2, 3])])
def test_what_a_thread_of_etcd_makes_ready_waits_for_it_before_another_takes_it(
    steal_s: float, moments: list[float]
) -> None:
    bench = Bench(10.0, 2, steal_s)
    ended: list[float] = []
    for _ in range(3):
        bench.etcd.use(1.0, lambda: ended.append(bench.kernel.now))
    bench.run()
    assert ended == moments


def test_etcd_has_no_more_threads_than_the_host_has_cores() -> None:
    """However much it has to do: who queues behind two of its threads has his turn after two slices."""
    bench = Bench(1.0, 2)
    for name in "abcdefgh":
        bench.etcd.use(1.0, bench.done.append, name)
    bench.other.run(1.0, bench.done.append, "other")
    assert bench.run() == "a b other c d e f g h"


@pytest.mark.parametrize(
    ("slice_s", "ended"),
    [(0.0, [("long", 3), ("short", 4)]), (1.0, [("short", 2), ("long", 4)]), (2.6, [("long", 3), ("short", 4)])],
)
@pytest.mark.parametrize("of_etcd", [True, False])
def test_long_work_takes_turns_with_what_waits(
    slice_s: float, ended: list[tuple[str, float]], *, of_etcd: bool
) -> None:
    """But what would soon be over is let go on."""
    bench = Bench(slice_s)
    moments: list[tuple[str, float]] = []

    def end(name: str) -> None:
        moments.append((name, bench.kernel.now))

    (bench.etcd.use if of_etcd else bench.mine.run)(3.0, end, "long")
    bench.other.run(1.0, end, "short")
    bench.run()
    assert moments == ended
    assert (bench.etcd.cpu_s, bench.mine.cpu_s, bench.other.cpu_s) == ((3, 0, 1) if of_etcd else (0, 3, 1))


@pytest.mark.parametrize("slice_s", [0.0, 0.3, 5.0])
@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("steal_s", [0.0, 0.1, 7.0])
def test_no_work_of_etcd_is_left_behind(slice_s: float, cores: int, steal_s: float) -> None:
    bench, rng = Bench(slice_s, cores, steal_s), Random(7)
    for number in range(200):
        bench.kernel.call_in(rng.uniform(0, 30), bench.etcd.use, rng.uniform(0, 0.5), bench.done.append, str(number))
        bench.kernel.call_in(rng.uniform(0, 30), bench.other.run, rng.uniform(0, 0.2), lambda: None)
    assert sorted(map(int, bench.run().split())) == list(range(200))


def test_a_kill_ends_what_waits_for_a_core() -> None:
    bench = Bench(10.0)
    for name in ("a", "b"):
        bench.etcd.use(1.0, bench.done.append, name)
    bench.kernel.call_in(0.5, bench.etcd.forget)
    assert bench.run() == ""
    assert bench.kernel.now == 1.0


@pytest.mark.parametrize(("hops", "order"), [(False, "first heard next other"), (True, "first heard other next")])
def test_who_is_handed_a_message_needs_a_core_behind_those_that_wait(*, hops: bool, order: str) -> None:
    bench = Bench(10.0)
    bench.mine.run(1.0, bench.done.append, "first")
    bench.other.run(1.0, bench.done.append, "other")
    bench.mine.message(1.0, bench.done.append, "heard", hops=hops)
    bench.mine.message(1.0, bench.done.append, "next")
    assert bench.run() == order


def test_a_slot_that_is_handed_a_task_goes_on_before_those_that_wait_for_the_core() -> None:
    """Measured on full cores: ten tasks that are started together start, and end, within half a millisecond."""
    bench = Bench(10.0)
    bench.mine.run(1.0, bench.done.append, "first")
    bench.other.run(1.0, bench.done.append, "other")
    for name in ("slot 1", "slot 2"):
        bench.mine.run_own(1.0, bench.done.append, name, hops=True)
    assert bench.run() == "first slot 1 slot 2 other"


def test_handing_over_costs_time() -> None:
    kernel = Kernel()
    process = Process(Host(kernel, 1), "one", free(cores=1, slot_hop_s=0.25))
    for hops in (True, False, True):
        process.message(1.0, lambda: None, hops=hops)
    kernel.run()
    assert process.cpu_s == 3.5


def test_sleeps_are_too_long_by_what_was_measured() -> None:
    config = SimConfig(load([0.1] * 400), workers=3, values=free(sleep_overshoot_s=0.01))
    drawn = free(sleep_overshoot_s=0.01, sleep_overshoot_residuals=(0.5, 1.0, 3.0))
    alike, different = simulate(config), simulate(replace(config, values=drawn))
    for result, least, most in ((alike, 0.01, 0.01), (different, 0.005, 0.03)):
        began, ended = (moments(result, "executed", column) for column in (0, 1))
        late = [ended[one] - began[one] - 0.1 for one in began]
        assert min(late) == pytest.approx(least, abs=5e-4)
        assert max(late) == pytest.approx(most, abs=5e-4)
    late = [ended[one] - began[one] - 0.1 for one in began]
    assert sum(late) / len(late) == pytest.approx(0.01375, abs=0.001)  # half of them from each interval


def test_a_handler_burns_the_cpu_time_it_was_told_to_however_cold_its_process_is() -> None:
    """It counts CPU time, not work: what makes other work dearer after a rest must not make this dearer."""
    arrives = [0.5 * number for number in range(20)]
    burning = load([0.02] * 20, arrives)
    specs = [TaskSpec(spec.id, "cpu") for spec in burning.specs]
    cold = free(cores=1, cold_factor=8.0, cold_warm_s=0.02, cold_idle_s=0.01)
    result = simulate(SimConfig(replace(burning, specs=specs), workers=1, values=cold))
    began, ended = (moments(result, "executed", column) for column in (0, 1))
    assert [ended[one] - began[one] for one in began] == pytest.approx([0.02] * 20, abs=1e-9)
