"""One simulated repetition, from the start of the processes to the last of them draining."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from sim import faults
from sim.client import NAME, LoadGenerator
from sim.component import Component, Surroundings
from sim.config import Sample, SimConfig, SimResult
from sim.kernel import Kernel, call_in

SETTLE_S = 2.0
"""From the start of the processes (which are up at once) to the start of the load: registered, watching, idle."""
START_SPREAD_S = 1.0
"""The processes start within this time."""
DRAIN_S = 10.0
"""At the end everybody drains, so that last acknowledgements are seen; nobody needs this long without a fault."""


def simulate(config: SimConfig) -> SimResult:
    """Run one repetition. The same config gives the same result, byte for byte, in every process.

    Raises ValueError for a fault whose target does not exist.
    """
    with _collector_paused():
        return _simulate(config)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """What a run throws away refers to nothing in a circle, and what it keeps grows with the tasks.

    So Python's collector would find nothing, looking through more and more: a third of the time of a long run.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _simulate(config: SimConfig) -> SimResult:
    kernel = Kernel()
    around = Surroundings(kernel, config)
    components = _components(around, config)
    for component in components.values():  # not together: the ticks of pollers must not be in step
        component.start(START_SPREAD_S * around.streams["starts"].random())
    load = LoadGenerator(around)
    kernel.run(until=SETTLE_S)
    samples = _Samples(kernel, around, components, load, config.sample_interval_s)
    faults.plan(kernel, tuple(config.faults), components, around.etcd, around.streams["etcd/leader"])
    load.start()
    _run_load(kernel, load, config)
    end_s, unfinished = kernel.now, load.unfinished
    samples.take()
    samples.stop()
    if load.finished.triggered:
        for component in components.values():
            component.drain()
        _run_until_over(kernel, components)
    if config.check:
        around.etcd.kv.validate()
        around.host.validate()
    return SimResult(
        start_s=SETTLE_S,
        end_s=end_s,
        unfinished=unfinished,
        spool=around.spool,
        samples=samples.rows,
        kv=around.etcd.kv,
        events=kernel.events,
        reports=around.reports,
        recordings=around.recordings,
    )


def _components(around: Surroundings, config: SimConfig) -> dict[str, Component]:
    names = [(f"scheduler-{number}", False) for number in range(1, config.schedulers + 1)]
    names += [(f"worker-{number}", True) for number in range(1, config.workers + 1)]
    return {name: Component(around, name, worker=worker) for name, worker in names}


def _run_load(kernel: Kernel, load: LoadGenerator, config: SimConfig) -> None:
    limit_s = kernel.now + config.limit_s
    left = -1
    while not load.finished.triggered and kernel.now < limit_s and left != load.unfinished:
        left = load.unfinished
        until_s = min(limit_s, kernel.now + config.quiet_s)
        kernel.run(until=kernel.any_of([load.finished, kernel.timeout(until_s - kernel.now)]))


def _run_until_over(kernel: Kernel, components: dict[str, Component]) -> None:
    limit = kernel.now + DRAIN_S
    while any(component.running for component in components.values()) and kernel.now < limit:
        kernel.run(until=min(limit, kernel.now + 0.1))


class _Samples:
    """CPU time of every component, at fixed intervals."""

    def __init__(
        self,
        kernel: Kernel,
        around: Surroundings,
        components: dict[str, Component],
        load: LoadGenerator,
        interval_s: float,
    ) -> None:
        self._kernel = kernel
        self._around = around
        self._components = components
        self._load = load
        self._interval_s = interval_s
        self._start = kernel.now
        self._over = False
        self.rows: list[Sample] = []
        self._tick()

    def take(self) -> None:
        time_s = self._kernel.now - self._start
        self.rows.append(Sample(time_s, NAME, self._load.cpu_s))
        self.rows += [Sample(time_s, name, one.cpu_s()) for name, one in self._components.items()]
        for number, cpu_s in enumerate(self._around.etcd.cpu_s, start=1):
            self.rows.append(Sample(time_s, f"etcd-{number}", cpu_s))

    def stop(self) -> None:
        self._over = True

    def _tick(self) -> None:
        if not self._over:
            self.take()
            call_in(self._kernel, self._interval_s, self._tick)
