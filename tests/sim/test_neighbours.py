"""Cores that are taken away: how often, for how long, and who waits for it."""

import pytest

from sim.host import Host
from sim.kernel import Kernel, call_in
from sim.neighbours import Neighbours
from sim.parameters import Values
from sim.process import Process
from sim.streams import Stream
from tests.sim.model import free


def busy(cores: int, values: Values, until_s: float, processes: int | None = None) -> tuple[float, float]:
    """Core seconds that so many processes (None: one for each core), which never rest, have had, and the neighbours."""
    kernel = Kernel()
    host = Host(kernel, cores, values.balance_s)
    neighbours = Neighbours(kernel, host, values, Stream(1, "neighbours"))
    workers = [Process(host, str(number), values) for number in range(processes or cores)]

    def again(process: Process) -> None:
        process.run(0.01, again, process)

    for process in workers:
        again(process)
    kernel.run(until=until_s)
    return sum(process.cpu_s for process in workers), neighbours.taken_s


@pytest.mark.parametrize("cores", [1, 2, 8])
def test_a_core_at_work_is_taken_away_so_often_and_for_so_long(cores: int) -> None:
    """5 times for 10 ms in each second that it is wanted: a twentieth, which who works does not get."""
    used_s, taken_s = busy(cores, free(cores=cores, balance_s=0.001, stolen_per_s=5.0, stolen_s=(0.005, 0.015)), 400.0)
    assert taken_s == pytest.approx(0.05 * 400.0 * cores, rel=0.07)  # 2,000 for each core: three standard errors
    assert used_s + taken_s == pytest.approx(400.0 * cores, rel=0.001)


def test_a_large_host_on_which_few_work_loses_as_much_of_their_time() -> None:
    values = free(cores=1000, balance_s=0.001, stolen_per_s=5.0, stolen_s=(0.005, 0.015))
    used_s, taken_s = busy(1000, values, 400.0, processes=3)
    assert taken_s == pytest.approx(0.05 * (used_s + taken_s), rel=0.07)


def test_without_neighbours_nothing_is_taken() -> None:
    assert busy(2, free(cores=2), 10.0)[1] == 0.0


def test_a_core_at_rest_has_nothing_to_lose() -> None:
    kernel = Kernel()
    host = Host(kernel, 2)
    neighbours = Neighbours(kernel, host, free(stolen_per_s=50.0, stolen_s=(0.1, 0.1)), Stream(1, "neighbours"))
    kernel.run(until=100.0)
    assert neighbours.taken_s == 0.0


def test_who_works_ends_the_job_and_goes_on_at_another_core_that_rests() -> None:
    values = free(cores=2)
    kernel = Kernel()
    host = Host(kernel, 2, 1.0)
    process = Process(host, "one", values)
    done: list[float] = []
    for _ in range(2):
        process.run(1.0, lambda: done.append(kernel.now))
    call_in(kernel, 0.5, lambda: host.seize(host.working()[0], lambda core: call_in(kernel, 5.0, host.release, core)))
    kernel.run(until=20.0)
    assert done == [pytest.approx(1.0), pytest.approx(2.0)]  # it asks for a core anew, and there is one
    host.validate()


def test_who_comes_twice_during_one_job_has_the_core_twice() -> None:
    kernel = Kernel()
    host = Host(kernel, 1)
    done: list[float] = []
    process = Process(host, "one", free(cores=1))
    for _ in range(2):
        process.run(1.0, lambda: done.append(kernel.now))
    for at_s in (0.25, 0.75):
        call_in(kernel, at_s, host.seize, 0, lambda core: call_in(kernel, 5.0, host.release, core))
    kernel.run(until=20.0)
    assert done == [pytest.approx(1.0), pytest.approx(12.0)]


def test_a_host_of_one_core_stands_still_meanwhile() -> None:
    values = free(cores=1)
    kernel = Kernel()
    host = Host(kernel, 1)
    process = Process(host, "one", values)
    done: list[float] = []
    for _ in range(2):
        process.run(1.0, lambda: done.append(kernel.now))
    call_in(kernel, 0.5, host.seize, 0, lambda core: call_in(kernel, 5.0, host.release, core))
    kernel.run(until=20.0)
    assert done == [pytest.approx(1.0), pytest.approx(7.0)]
