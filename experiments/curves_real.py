"""The real system under a curve: an etcd, schedulers, workers, one client and its watchers, all processes of their own.

One `Life` measures several points with the same processes. Each starts on an etcd of its own with empty data, so that
no point pays for what an earlier one left there.
"""

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec
import psutil

from core.etcd.embedded import EmbeddedEtcd
from experiments.child import Child
from experiments.components import Components
from experiments.curves_load import Outcome, Place, Round
from experiments.curves_probe import Probe, Shares
from experiments.curves_sweeps import Point
from experiments.world import ExperimentError

NAMESPACE = "/curves/"
READY_TIMEOUT_S = 60.0
"""Twenty interpreters starting on two cores take 10 s."""
ROUND_TIMEOUT_S = 60.0
"""A round is made to last about three seconds; slow machines and wrong guesses get twenty times that."""
SUBMITTED_EVERY_S = 120.0
"""A chunk of a backlog takes a second."""

WARM_UP_S = 0.3
WARM_UP_TASKS = (40, 1_000)
"""Fewest and most: connections, watches and code are warm after some hundred."""
MAX_TASKS = 50_000
MIN_TASKS = 40

Tell = Callable[[str], None]


class Measurement(msgspec.Struct, frozen=True):
    """One round of one point."""

    tasks: int
    outcome: Outcome
    shares: Shares


class Life:
    """Processes for points of one topology. Everything is ended on exit, whatever happens."""

    def __init__(self, point: Point, tell: Tell) -> None:
        self._point = point
        self._tell = tell
        self._stack = contextlib.ExitStack()
        self._held = point.drain is not None
        self._ours: dict[str, list[psutil.Process]] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._tell("starting the processes")
            self._etcd = stack.enter_context(EmbeddedEtcd())
            place = Place(",".join(self._etcd.endpoints), NAMESPACE)
            topology = self._point.scenario.topology
            self._components = stack.enter_context(Components(topology, place.endpoints, NAMESPACE))
            self._load = stack.enter_context(_helper("load", place))
            started = [name for name in self._components.names if not (self._held and name.startswith("scheduler"))]
            for name in started:
                self._components.start(name)
            self._watchers = [stack.enter_context(_helper("watch", place)) for _ in range(self._point.watchers)]
            for watcher in self._watchers:
                watcher.hear(READY_TIMEOUT_S)
            self._components.wait_registered(started)
            self._take_census()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    @property
    def server(self) -> str:
        """The etcd that is used."""
        return str(self._etcd.server)

    def warm_up(self, point: Point) -> float:
        """Run some tasks of this point; the rate they had, in tasks a second."""
        self._tell("warming up")
        fewest, most = WARM_UP_TASKS
        bound = point.slot_bound_per_s
        tasks = most if bound is None else int(min(max(bound * WARM_UP_S, fewest), most))
        self._load.say(Round(point.of(tasks, 0), ROUND_TIMEOUT_S))
        self._load.hear(READY_TIMEOUT_S)
        self._load.say({})  # the round that is ready begins
        return self._finished(tasks).steady.rate_per_s

    def measure(self, point: Point, repetition: int, tasks: int) -> Measurement:
        """One round. Raises ExperimentError where tasks don't end."""
        self._load.say(Round(point.of(tasks, repetition + 1), ROUND_TIMEOUT_S, point.drain))
        while "ready" not in (said := self._load.hear(SUBMITTED_EVERY_S)):
            self._tell(f"submitting the backlog: {said['submitted']:,} of {tasks:,}")
        self._tell(f"repetition {repetition + 1}, {point.drain or tasks:,} tasks")
        probe = Probe(lambda: self._ours, self._etcd.metrics_url())
        probe.start()
        try:
            self._load.say({})  # the round that is ready begins
            if self._held:
                self._start_schedulers()
            outcome = self._finished(tasks)
        finally:
            probe.finish()
        shares = probe.between(outcome.steady.from_s, outcome.steady.to_s)
        return Measurement(point.drain or tasks, outcome, shares)

    def _start_schedulers(self) -> None:
        for name in self._components.names:
            if name.startswith("scheduler"):
                self._components.start(name)
        self._take_census()

    def _finished(self, tasks: int) -> Outcome:
        said = self._load.hear(ROUND_TIMEOUT_S + READY_TIMEOUT_S)
        outcome = msgspec.convert(said["outcome"], Outcome)
        if outcome.unfinished:
            self._components.check_alive(self._components.names)
            raise ExperimentError(
                f"{outcome.unfinished} of {tasks} tasks did not end within {ROUND_TIMEOUT_S:.0f} s "
                f"({self._point.series}, {self._point.x:g})"
            )
        return outcome

    def _take_census(self) -> None:
        ours = {name: self._components.processes(name) for name in self._components.names}
        ours["client"] = [psutil.Process(self._load.pid)]
        ours["etcd"] = [psutil.Process(self._etcd.pid())]
        ours["watchers"] = [psutil.Process(watcher.pid) for watcher in self._watchers]
        self._ours = {name: processes for name, processes in ours.items() if processes}


def _helper(kind: str, place: Place) -> Child:
    """A process of `experiments.curves_load`."""
    return Child(f"the {kind} process", "experiments.curves_load", kind, msgspec.json.encode(place).decode())
