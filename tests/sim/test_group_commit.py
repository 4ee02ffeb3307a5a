"""The etcd station against theory: group commit as a gated batch server, cores, the apply loop, Little's law."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core.kv.requests import EtcdRequest, Get, Put, Txn
from core.model import SchedulerRecord
from sim.etcd.station import EtcdStation
from sim.host import Host
from sim.kernel import Kernel, call_in
from sim.parameters import Values
from sim.streams import Stream
from tests.sim import closed_forms
from tests.sim.model import assert_within, free, poisson

REPLICATIONS = 8
FSYNC_S, FSYNC_ITEM_S = 0.002, 0.00004


def station(values: Values) -> EtcdStation:
    kernel = Kernel()
    return EtcdStation(kernel, Host(kernel, values.cores), values, Stream(1, "fsync"), Stream(1, "kill"))


def put(name: object, operations: int = 1) -> Txn:
    record = SchedulerRecord("x")
    return Txn((), tuple(Put(f"task/{name}/{number}", record) for number in range(operations)))


def sojourns(values: Values, arrivals: list[float], request: Callable[[int], EtcdRequest]) -> list[float]:
    """How long each of these requests takes."""
    etcd = station(values)
    kernel = etcd.kernel
    found: dict[int, float] = {}

    def arrive(number: int) -> None:
        at = kernel.now

        def reply(_: object) -> None:
            found[number] = kernel.now - at

        etcd.request(request(number), reply)

    for number, at in enumerate(arrivals):
        call_in(kernel, at, arrive, number)
    kernel.run(until=arrivals[-1] + 10.0)
    return [found[number] for number in range(len(arrivals))]


@pytest.mark.parametrize(("customers", "operations"), [(1, 1), (2, 1), (10, 1), (100, 1), (20, 8)])
def test_group_commit_with_callers_that_ask_again_at_once(customers: int, operations: int) -> None:
    """A batch takes T = a + b n operations, and the next begins before the answers of the last have come back.

    So N > 1 callers fall into two groups that take turns: both together commit N in 2 a + b N, a batch holds N / 2 on
    average. One caller alone is answered every a + b.
    """
    etcd = station(free(etcd_fsync_s=FSYNC_S, etcd_fsync_item_s=FSYNC_ITEM_S))
    answered = 0

    def ask(customer: int) -> None:
        def reply(_: object) -> None:
            nonlocal answered
            answered += 1
            ask(customer)

        etcd.request(put(customer, operations), reply)

    for customer in range(customers):
        ask(customer)
    batches = 2 if customers > 1 else 1
    cycle_s = batches * FSYNC_S + FSYNC_ITEM_S * operations * customers
    cycles = 200
    etcd.kernel.run(until=cycles * cycle_s * (1 + 1e-9))
    assert answered == cycles * customers
    assert etcd.fsyncs == batches * cycles + 1  # one is under way


def test_group_commit_under_a_heavy_open_load() -> None:
    """At a load of which a batch never finds the log empty, n = rate x T(n) on average: E n = rate a / (1 - rate b)."""
    rate = 10_000.0
    batches, means = 150, []
    expected = rate * FSYNC_S / (1 - rate * FSYNC_ITEM_S)
    for seed in range(REPLICATIONS):
        arrivals = poisson(seed, int(batches * expected), rate)
        etcd = station(free(etcd_fsync_s=FSYNC_S, etcd_fsync_item_s=FSYNC_ITEM_S))
        for number, at in enumerate(arrivals):
            call_in(etcd.kernel, at, etcd.request, put(number), lambda _: None)
        warm_s, end_s = arrivals[-1] / 10, arrivals[-1]
        etcd.kernel.run(until=warm_s)
        before = etcd.fsyncs
        etcd.kernel.run(until=end_s)
        arrived = sum(warm_s <= at < end_s for at in arrivals)
        means.append(arrived / (etcd.fsyncs - before))
    assert_within(means, expected, 0.03)


def test_reads_use_the_cores_side_by_side() -> None:
    """M/D/3: etcd is many threads on the host's cores."""
    cores, read_s, rate = 3, 0.001, 2400.0
    means = []
    for seed in range(REPLICATIONS):
        arrivals = poisson(seed, 4000, rate)
        times = sojourns(free(cores=cores, etcd_read_s=read_s), arrivals, lambda number: Get(f"task/{number}"))
        means.append(float(np.mean(times[300:])))
    assert_within(means, closed_forms.mdc_wait_s(cores, rate, read_s) + read_s, 0.1)


def test_writes_are_applied_one_after_the_other() -> None:
    """M/D/1, however many cores there are."""
    apply_s, rate = 0.001, 700.0
    means = []
    for seed in range(REPLICATIONS):
        times = sojourns(free(etcd_apply_s=apply_s), poisson(seed, 4000, rate), put)
        means.append(float(np.mean(times[300:])))
    assert_within(means, closed_forms.mdc_wait_s(1, rate, apply_s) + apply_s, 0.1)


class Watched(dict[int, Any]):
    """A dictionary that knows how many there were in it, integrated over time."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self._kernel = kernel
        self._since = 0.0
        self.area = 0.0

    def _count(self) -> None:
        self.area += len(self) * (self._kernel.now - self._since)
        self._since = self._kernel.now

    def __setitem__(self, key: int, value: Any) -> None:
        self._count()
        super().__setitem__(key, value)

    def pop(self, key: int, default: Any = None) -> Any:
        self._count()
        return super().pop(key, default)


def test_littles_law_holds_exactly() -> None:
    """Mean number of requests that the station has open = arrival rate x mean time until the answer."""
    etcd = station(Values(etcd_commit_s=0.003, etcd_batch_s=0.0001, etcd_cold_factor=0.0002))
    kernel = etcd.kernel
    etcd._open = inside = Watched(kernel)
    times: list[float] = []

    def arrive(request: EtcdRequest) -> None:
        at = kernel.now
        etcd.request(request, lambda _: times.append(kernel.now - at))

    count, rate = 3000, 5000.0
    arrivals = poisson(7, count, rate)
    for number, at in enumerate(arrivals):
        call_in(kernel, at, arrive, put(number) if number % 3 else Get(f"task/{number - 1}"))
    seconds = arrivals[-1] + 5.0
    kernel.run(until=seconds)
    assert len(times) == count
    assert etcd.fsyncs < count / 2  # writes that came together went to disk together: there was a crowd
    assert inside.area / seconds == pytest.approx(count / seconds * np.mean(times), rel=1e-12)
