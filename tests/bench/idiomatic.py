"""The scheduler as one would first write it in SimPy: a process for each task, a resource for each worker's slots.

It is there to compare the model's speed with. It knows polls, slots and random delays of calls; no etcd, no
processors, and none of the scheduler's own code.
"""

import random
from collections.abc import Generator
from typing import Any

import simpy

POLL_INTERVAL_S, PULL_INTERVAL_S = 0.1, 0.5
CALL_MEAN_S = 0.002
"""Intervals and calls as in the report of the scheduler that Tandem's claims come from."""

Steps = Generator[simpy.Event, Any, None]


class IdiomaticModel:
    """`tasks` at once on `workers` of `slots` each; every task takes `service_s`."""

    def __init__(self, tasks: int, workers: int, slots: int, service_s: float, seed: int = 1) -> None:
        self.env = simpy.Environment()
        self.ended = 0
        self._rng = random.Random(seed)
        self._service_s = service_s
        self._slots = slots
        self._ready: list[simpy.Event] = []
        self._workers = [simpy.Resource(self.env, slots) for _ in range(workers)]
        self._credit = [2 * slots] * workers
        self.env.process(self._scheduler())
        self._tasks = [self.env.process(self._task()) for _ in range(tasks)]

    def run(self) -> float:
        """Until the last task has ended; the simulated seconds."""
        self.env.run(until=self.env.all_of(self._tasks))
        return float(self.env.now)

    def _call(self) -> simpy.Event:
        return self.env.timeout(self._rng.expovariate(1 / CALL_MEAN_S))

    def _task(self) -> Steps:
        yield self._call()  # enqueued
        assigned = self.env.event()
        self._ready.append(assigned)
        number = yield assigned
        yield self._call()
        yield self.env.timeout(PULL_INTERVAL_S - self.env.now % PULL_INTERVAL_S)
        with self._workers[number].request() as slot:
            yield slot
            yield self.env.timeout(self._service_s)
        yield self._call()  # committed
        self._credit[number] += 1
        self.ended += 1

    def _scheduler(self) -> Steps:
        while True:
            yield self.env.timeout(POLL_INTERVAL_S)
            free = [number for number, credit in enumerate(self._credit) for _ in range(credit)]
            now, self._ready = self._ready[: len(free)], self._ready[len(free) :]
            for assigned, number in zip(now, free, strict=False):
                self._credit[number] -= 1
                assigned.succeed(number)
