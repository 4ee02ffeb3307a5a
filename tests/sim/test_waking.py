"""What it costs to wake up: coldness, messages and timers that find a process asleep, and the wait for the GIL."""

import math

import pytest
from scipy.integrate import quad

from sim.coldness import Coldness
from sim.host import Host
from sim.kernel import Kernel, call_in
from sim.process import Process
from tests.sim.model import free

FACTOR, WARM_S, IDLE_S = 8.0, 0.001, 0.005


def cold() -> Coldness:
    one = Coldness(FACTOR, WARM_S, IDLE_S)
    one.rest(0.0)
    one.wake(1000.0)  # as cold as can be
    return one


@pytest.mark.parametrize("work_s", [1e-6, 1e-4, 1e-3, 0.01])
def test_cold_work_takes_as_long_as_the_integral_says(work_s: float) -> None:
    """Progress is 1 / (1 + k z) a second, z falls exponentially: over the cost it adds up to the work."""
    cost_s = cold().cost(work_s)
    progress, _ = quad(lambda t: 1.0 / (1.0 + FACTOR * math.exp(-t / WARM_S)), 0.0, cost_s)
    assert progress == pytest.approx(work_s, rel=1e-6)


def test_work_in_pieces_costs_what_it_costs_in_one() -> None:
    one, pieces = cold(), cold()
    whole_s = one.cost(0.002)
    assert sum(pieces.cost(0.0005) for _ in range(4)) == pytest.approx(whole_s, rel=1e-9)
    assert pieces.degree == pytest.approx(one.degree, rel=1e-9)


def test_a_rest_cools_and_work_warms() -> None:
    one = cold()
    one.cost(0.02)
    warm = one.degree
    assert warm < 1e-3
    one.rest(10.0)
    one.wake(10.0 + IDLE_S)
    assert one.degree == pytest.approx(1 - (1 - warm) / math.e, rel=1e-9)


def test_a_share_is_forgotten_sooner_than_the_rest() -> None:
    one = Coldness(FACTOR, WARM_S, IDLE_S, share=0.4, quick_s=IDLE_S / 10)
    one.cost(1.0)
    one.cost(0.01)
    one.rest(10.0)
    one.wake(10.0 + IDLE_S / 10)
    assert one.degree == pytest.approx(0.4 * (1 - math.exp(-1)) + 0.6 * (1 - math.exp(-0.1)), rel=1e-3)
    whole_s = one.cost(0.001)
    one.rest(20.0)
    one.wake(1e6)
    assert one.degree == pytest.approx(1.0)
    assert 0.001 < whole_s < one.cost(0.001)


def test_much_work_is_hardly_dearer_and_none_costs_nothing() -> None:
    assert cold().cost(1.0) == pytest.approx(1.0, rel=0.01)
    assert cold().cost(0.0) == 0.0
    assert Coldness(0.0, WARM_S, IDLE_S).cost(0.003) == 0.003


class Bench:
    """One process, and the moments at which its jobs took effect."""

    def __init__(self, **values: float) -> None:
        self.kernel = Kernel()
        self.process = Process(Host(self.kernel, 1), "one", free(cores=1, **values))
        self.done: dict[str, float] = {}

    def finish(self, name: str) -> None:
        self.done[name] = self.kernel.now


def test_who_sleeps_is_woken_once() -> None:
    bench = Bench(wake_s=0.5, alarm_s=0.125)
    bench.process.run(1.0, bench.finish, "first")
    bench.process.run(1.0, bench.finish, "second")
    bench.kernel.run()
    assert bench.done == {"first": 1.5, "second": 2.5}
    assert bench.process.cpu_s == 2.5


def test_a_timer_wakes_more_cheaply_than_a_message() -> None:
    bench = Bench(wake_s=0.5, alarm_s=0.125)
    bench.process.alarm(lambda: 1.0, lambda: bench.finish("timer"))
    bench.kernel.run()
    assert bench.done == {"timer": 1.125}


def test_a_timer_costs_more_the_colder_the_process_is() -> None:
    """Cold at first; then it has worked for a second, and is as cold as the rest was long."""
    bench = Bench(alarm_s=0.125, alarm_cold_s=0.5, cold_factor=FACTOR, cold_warm_s=0.01, cold_idle_s=4.0)
    bench.process.alarm(lambda: 1.0, lambda: bench.finish("cold"))
    bench.kernel.run()
    assert bench.done["cold"] == 1.625
    bench.process.run(1.0, bench.finish, "warms")
    bench.kernel.run()
    rested_at = bench.kernel.now
    call_in(bench.kernel, 4.0, bench.process.alarm, lambda: 1.0, lambda: bench.finish("later"))
    bench.kernel.run()
    assert bench.done["later"] - rested_at - 4.0 == pytest.approx(1.125 + 0.5 * (1 - 1 / math.e), rel=1e-6)


def test_who_waits_for_a_core_that_others_use_grows_cold_meanwhile() -> None:
    kernel = Kernel()
    done: dict[str, float] = {}
    host = Host(kernel, 1)
    values = free(cores=1, cold_factor=FACTOR, cold_warm_s=WARM_S, cold_idle_s=IDLE_S)
    mine, other = Process(host, "mine", values), Process(host, "other", free(cores=1))
    mine.run(1.0, lambda: None)  # warm after that; the other is next, and only its time counts as rest
    other.run(IDLE_S, lambda: done.setdefault("other", kernel.now))
    mine.run(0.001, lambda: done.setdefault("mine", kernel.now))
    kernel.run()
    rested = Coldness(FACTOR, WARM_S, IDLE_S)
    rested.cost(1.0)
    rested.rest(0.0)
    rested.wake(IDLE_S)
    assert done["mine"] - done["other"] == pytest.approx(rested.cost(0.001), rel=1e-6)


def test_what_comes_after_the_effect_keeps_the_process_busy() -> None:
    """Half of what waking costs comes after: the effect is early, the next job is not."""
    bench = Bench(wake_s=1.0, tail=0.5)
    bench.process.run(1.0, bench.finish, "first")
    call_in(bench.kernel, 1.6, bench.process.run, 1.0, bench.finish, "second")
    bench.kernel.run()
    assert bench.done["first"] == 1.5
    assert bench.done["second"] == 3.0  # begins when the tail is over, at 2.0, and is not woken again
    assert bench.process.cpu_s == 3.0


def test_a_message_waits_until_the_others_are_done() -> None:
    bench = Bench(switch_s=5.0)
    bench.process.run(1.0, bench.finish, "first")
    bench.process.message(1.0, bench.finish, "message")
    bench.process.run(1.0, bench.finish, "second")
    bench.kernel.run()
    assert bench.done == {"first": 1.0, "second": 2.0, "message": 3.0}


def test_but_no_longer_than_the_switch_interval() -> None:
    bench = Bench(switch_s=2.5)
    for number in range(6):
        bench.process.run(1.0, bench.finish, str(number))
    bench.process.message(1.0, bench.finish, "message")
    bench.process.message(1.0, bench.finish, "another")
    bench.kernel.run()
    assert bench.done["message"] == 4.0  # asked at 0, gets it at the first end of a job after 2.5
    assert bench.done["another"] == 5.0  # who has the GIL goes on while there is something
    assert bench.done["3"] == 6.0


def test_without_a_switch_interval_jobs_are_taken_in_turn() -> None:
    bench = Bench()
    bench.process.run(1.0, bench.finish, "first")
    bench.process.message(1.0, bench.finish, "message")
    bench.process.run(1.0, bench.finish, "second")
    bench.kernel.run()
    assert bench.done == {"first": 1.0, "message": 2.0, "second": 3.0}


def test_a_busy_process_keeps_its_core_for_a_slice() -> None:
    kernel = Kernel()
    host, values = Host(kernel, 1), free(cores=1, slice_s=2.5)
    done: list[str] = []
    one, other = Process(host, "one", values), Process(host, "other", values)
    for _ in range(5):
        one.run(1.0, done.append, "one")
    other.run(1.0, done.append, "other")
    kernel.run()
    assert done == ["one", "one", "one", "other", "one", "one"]


HOP_S, FIRST_S = 0.25, 0.5


def test_handing_work_to_a_thread_costs_more_for_the_first_since_the_process_slept() -> None:
    """A cold process: 0.25 for each, 0.5 for the first. It sleeps after that, and is cold again."""
    bench = Bench(slot_hop_s=HOP_S, slot_cold_s=FIRST_S, cold_factor=FACTOR, cold_warm_s=WARM_S, cold_idle_s=IDLE_S)
    bench.process.run_own(1.0, bench.finish, "first", hops=True)
    bench.process.run_own(1.0, bench.finish, "plain")
    bench.process.run_own(1.0, bench.finish, "second", hops=True)
    bench.kernel.run()
    assert bench.done == {"first": 1.75, "plain": 2.75, "second": 4.0}
    call_in(bench.kernel, 1.0, lambda: bench.process.run_own(1.0, bench.finish, "later", hops=True))
    bench.kernel.run()
    assert bench.done["later"] == pytest.approx(5.0 + 1.75, rel=1e-9)
    assert bench.process.cpu_s == pytest.approx(4.0 + 1.75, rel=1e-9)


def test_a_warm_process_hands_over_at_the_plain_price() -> None:
    bench = Bench(slot_hop_s=HOP_S, slot_cold_s=FIRST_S)
    bench.process.run_own(1.0, bench.finish, "hop", hops=True)
    bench.kernel.run()
    assert bench.done["hop"] == 1.25


def test_a_part_of_what_coldness_adds_to_a_hop_comes_after_its_effect() -> None:
    bench = Bench(slot_cold_s=FIRST_S, tail=0.5, cold_factor=FACTOR, cold_warm_s=WARM_S, cold_idle_s=IDLE_S)
    bench.process.run_own(1.0, bench.finish, "hop", hops=True)
    bench.process.run_own(1.0, bench.finish, "next")
    bench.kernel.run()
    assert bench.done == {"hop": 1.25, "next": 2.5}  # whatever comes next waits for that part as well
