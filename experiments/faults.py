"""Breaks the real system as a scenario says, at the times it says, and mends it again."""

import heapq
import itertools
import signal
import threading
import time
from collections.abc import Callable
from functools import partial

from core.etcd.embedded import EmbeddedEtcd
from experiments.components import Components
from experiments.schema import ETCD_FOLLOWER, ETCD_LEADER, Fault, Scenario
from experiments.world import ExperimentError

Action = Callable[[], None]
Make = Callable[[], str | None]
"""Breaks something; its name, where the scenario names only what it is."""


class NoLeader(Exception):  # noqa: N818  says what is, not what kind of class it is
    """The members of etcd are electing one: what waits for it is tried again."""


ELECTION_POLL_S = 0.05

KEEP_INTERVAL_S = 0.2
"""How soon a component that was started again and has failed is started once more; a service manager waits as long."""


def check(scenario: Scenario, *, own_etcd: bool) -> None:
    """Raises ExperimentError for a fault, or a slow disk, that cannot be made here."""
    if scenario.topology.etcd_flush_delay_s and not own_etcd:
        raise ExperimentError(
            "a slow disk (topology.etcd_flush_delay_s) needs the embedded etcd: leave out --etcd-endpoints"
        )
    for fault in scenario.faults:
        if fault.kind == "partition":
            raise ExperimentError("the fault 'partition' exists in the model only: run it with --world sim")
        if fault.kind == "etcd_kill" and not own_etcd:
            raise ExperimentError("the fault 'etcd_kill' needs the embedded etcd: leave out --etcd-endpoints")


class Saboteur:
    """Applies faults in a thread of its own, and keeps what it started again alive."""

    def __init__(self, faults: tuple[Fault, ...], components: Components, etcd: EmbeddedEtcd | None) -> None:
        self.made: list[dict[str, str | float]] = []
        """What was broken, and when: for the record."""
        self._numbers = itertools.count()
        self._plan: list[tuple[float, int, Action]] = []  # a heap: seconds after the start, and what to do then
        for fault in faults:
            self._later(fault.at_s, partial(self._make, fault, *_actions(fault, components, etcd)))
        self._components = components
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._start = 0.0
        self._thread = threading.Thread(target=self._run, name="faults", daemon=True)

    def start(self, second_zero: float) -> None:
        """`second_zero`: the start of the run (monotonic)."""
        self._start = second_zero
        self._thread.start()

    def finish(self) -> None:
        """No more faults from now on.

        Raises ExperimentError where one could not be made.
        """
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise ExperimentError(f"a fault could not be made: {self._error}") from self._error

    def _make(self, fault: Fault, make: Make, mend: Action | None) -> None:
        began_s = self._now_s
        try:
            target = make() or fault.target
        except NoLeader:
            self._later(began_s + ELECTION_POLL_S, partial(self._make, fault, make, mend))
            return
        self.made.append({"kind": fault.kind, "target": target, "at_s": round(began_s, 3)})
        if fault.duration_s is not None and mend is not None:
            self._later(began_s + fault.duration_s, mend)

    def _later(self, at_s: float, act: Action) -> None:
        heapq.heappush(self._plan, (at_s, next(self._numbers), act))

    @property
    def _now_s(self) -> float:
        return time.monotonic() - self._start

    def _left_s(self) -> float:
        """Until the next is due; not negative."""
        return max(0.0, self._plan[0][0] - self._now_s) if self._plan else KEEP_INTERVAL_S

    def _run(self) -> None:
        try:
            while not self._stop.wait(min(self._left_s(), KEEP_INTERVAL_S)):
                if self._left_s() > 0:
                    self._components.keep()
                else:
                    heapq.heappop(self._plan)[2]()
        except Exception as error:  # noqa: BLE001 - told to the main thread
            self._error = error


def _actions(fault: Fault, components: Components, etcd: EmbeddedEtcd | None) -> tuple[Make, Action | None]:
    name = fault.target
    again: Action = lambda: components.start_again(name)  # noqa: E731 - used in three cases
    match fault.kind:
        case "worker_kill":
            return lambda: components.signal_worker(name, signal.SIGKILL), None
        case "host_kill":
            return lambda: components.kill_host(name), again
        case "worker_stop":
            return (
                lambda: components.signal_worker(name, signal.SIGSTOP),
                lambda: components.signal_worker(name, signal.SIGCONT),
            )
        case "worker_drain":
            return lambda: components.signal(name, signal.SIGTERM), again
        case "scheduler_kill":
            return lambda: components.signal(name, signal.SIGKILL), again
        case "scheduler_stop":
            return lambda: components.signal(name, signal.SIGSTOP), lambda: components.signal(name, signal.SIGCONT)
        case "etcd_kill":
            assert etcd is not None, "checked before the run"
            return _etcd_kill(name, etcd)
        case "partition":
            raise ExperimentError("the fault 'partition' exists in the model only")


def _etcd_kill(target: str, etcd: EmbeddedEtcd) -> tuple[Make, Action]:
    """Kill a member by its name, or by what it is when its time has come; and start the same one again."""
    killed: list[int] = []

    def find() -> int:
        if target not in (ETCD_LEADER, ETCD_FOLLOWER):
            return int(target.rpartition("-")[2])
        leader = etcd.leader()
        if target == ETCD_LEADER and leader is not None:
            return leader
        followers = [one for one in range(1, etcd.members + 1) if one != leader and etcd.running(one)]
        if leader is None or not followers:  # a leader that has lost all others believes in itself for a second
            raise NoLeader
        return followers[0]

    def make() -> str:
        killed.append(find())
        etcd.kill(killed[-1])
        return f"etcd-{killed[-1]}"

    def mend() -> None:
        if not etcd.running(killed[-1]):  # another fault's end may have been earlier
            etcd.restart(killed[-1], wait=False)  # others may be needed before it serves

    return make, mend
