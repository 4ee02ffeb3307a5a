"""Breaks the real system as a scenario says, at the times it says, and mends it again."""

import signal
import threading
import time
from collections.abc import Callable

from core.etcd.embedded import EmbeddedEtcd
from experiments.components import Components
from experiments.schema import ETCD_FOLLOWER, ETCD_LEADER, Fault, Scenario
from experiments.world import ExperimentError

Action = Callable[[], None]

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
        plan = [step for fault in faults for step in _plan(fault, components, etcd)]
        self._plan = sorted(plan, key=lambda step: step[0])
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

    def _run(self) -> None:
        try:
            for at_s, act in self._plan:
                while (left_s := self._start + at_s - time.monotonic()) > 0:
                    if self._stop.wait(min(left_s, KEEP_INTERVAL_S)):
                        return
                    self._components.keep()
                act()
            while not self._stop.wait(KEEP_INTERVAL_S):
                self._components.keep()
        except Exception as error:  # noqa: BLE001 - told to the main thread
            self._error = error


def _plan(fault: Fault, components: Components, etcd: EmbeddedEtcd | None) -> list[tuple[float, Action]]:
    make, mend = _actions(fault, components, etcd)
    plan = [(fault.at_s, make)]
    if fault.duration_s is not None and mend is not None:
        plan.append((fault.at_s + fault.duration_s, mend))
    return plan


def _actions(fault: Fault, components: Components, etcd: EmbeddedEtcd | None) -> tuple[Action, Action | None]:
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


def _etcd_kill(target: str, etcd: EmbeddedEtcd) -> tuple[Action, Action]:
    """Kill a member by its name, or by what it is when its time has come; and start the same one again."""
    killed: list[int] = []

    def find() -> int:
        if target == ETCD_LEADER:
            return etcd.leader()
        if target == ETCD_FOLLOWER:
            leader = etcd.leader()
            return next(one for one in range(1, etcd.members + 1) if one != leader and etcd.running(one))
        return int(target.rpartition("-")[2])

    def make() -> None:
        killed.append(find())
        etcd.kill(killed[-1])

    def mend() -> None:
        if not etcd.running(killed[-1]):  # another fault's end may have been earlier
            etcd.restart(killed[-1])

    return make, mend
