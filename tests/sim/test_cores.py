"""Cores with queues of their own: who waits where, and when an idle core takes over."""

from collections.abc import Callable

import pytest

from sim.host import Host
from sim.kernel import Kernel
from sim.process import Process
from tests.sim.model import free

WORK_S = 1.0


class Bench:
    """Callers that take a core for as long as they say, and when each began, where."""

    def __init__(self, balance_s: float, cores: int = 2) -> None:
        self.kernel = Kernel()
        self.host = Host(self.kernel, cores, balance_s)
        self.began: dict[str, tuple[float, int]] = {}

    def work(self, name: str, home: int, seconds: float) -> None:
        self.host.acquire(home, self._granted, name, seconds)

    def _granted(self, core: int, name: str, seconds: float) -> None:
        self.began[name] = (self.kernel.now, core)
        self.kernel.call_in(seconds, self.host.release, core)

    def run(self, until: float = 100.0) -> None:
        self.kernel.run(until=until)
        self.host.validate()


def occupied(balance_s: float) -> Bench:
    """Core 0 is taken for 1 s, core 1 for 4 s, and one waits at core 1."""
    bench = Bench(balance_s)
    bench.work("short", 0, 1.0)
    bench.work("long", 1, 4.0)
    assert {core for _, core in bench.began.values()} == {0, 1}
    bench.work("waits", bench.began["long"][1], WORK_S)
    return bench


@pytest.mark.parametrize(("balance_s", "begins"), [(0.0, 1.0), (0.5, 1.5), (2.0, 3.0), (10.0, 4.0)])
def test_one_that_waits_for_a_busy_core_is_taken_by_an_idle_one_after_a_while(balance_s: float, begins: float) -> None:
    bench = occupied(balance_s)
    bench.run()
    assert bench.began["waits"][0] == begins


def test_who_comes_while_a_core_is_idle_takes_it_though_another_waits_elsewhere() -> None:
    bench = occupied(10.0)
    bench.kernel.call_in(2.0, bench.work, "late", 1, WORK_S)
    bench.run()
    assert bench.began["late"][0] == 2.0
    assert bench.began["waits"][0] == 4.0


def test_an_idle_core_takes_from_the_longest_queue() -> None:
    bench = Bench(0.5, cores=3)
    for name in ("a", "b", "c"):
        bench.work(name, 0, 10.0 if name != "a" else 1.0)
    one, two = (bench.began[name][1] for name in ("b", "c"))
    for name, home in (("first", one), ("second", two), ("third", two)):
        bench.work(name, home, WORK_S)
    bench.run(until=2.0)
    assert "second" in bench.began
    assert "first" not in bench.began


def test_a_process_queues_where_it_ran_last() -> None:
    kernel = Kernel()
    host = Host(kernel, 2, 100.0)
    mine, other, third = (Process(host, name, free(cores=2)) for name in ("mine", "other", "third"))
    ended: dict[str, float] = {}

    def runs(process: Process, name: str, seconds: float) -> Callable[[], None]:
        return lambda: process.run(seconds, lambda: ended.setdefault(name, kernel.now))

    runs(other, "other", 1.0)()
    runs(mine, "mine", 2.0)()
    kernel.call_in(2.1, runs(third, "third", 9.0))  # on the core that was free last, which was ours
    kernel.call_in(2.1, runs(other, "other again", 5.0))
    kernel.call_in(2.5, runs(mine, "mine again", 1.0))
    kernel.run(until=50.0)
    assert ended["other again"] == pytest.approx(7.1)
    assert ended["mine again"] == pytest.approx(ended["third"] + 1.0)
