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

    def __init__(self, slice_s: float, cores: int = 1) -> None:
        values = free(cores=cores, slice_s=slice_s)
        self.kernel = Kernel()
        self.host = Host(self.kernel, cores)
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


@pytest.mark.parametrize("slice_s", [0.0, 0.3, 5.0])
@pytest.mark.parametrize("cores", [1, 2])
def test_no_work_of_etcd_is_left_behind(slice_s: float, cores: int) -> None:
    bench, rng = Bench(slice_s, cores), Random(7)
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
