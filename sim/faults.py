"""Breaks the modelled system as a scenario says, and mends it: the same faults as on the real one, and partitions."""

from collections.abc import Callable, Mapping
from functools import partial

from sim.component import Component
from sim.config import Fault
from sim.etcd.station import EtcdStation
from sim.kernel import Kernel, call_in

Action = Callable[[], None]


def plan(kernel: Kernel, faults: tuple[Fault, ...], components: Mapping[str, Component], etcd: EtcdStation) -> None:
    """Arm the faults; their times count from now.

    Raises ValueError for a target that does not exist.
    """
    quorum = _Quorum(etcd)
    for fault in faults:
        make, mend = _actions(fault, components, quorum)
        call_in(kernel, fault.at_s, make)
        if fault.duration_s is not None and mend is not None:
            call_in(kernel, fault.at_s + fault.duration_s, mend)


class _Quorum:
    """Which members of the cluster are down. It serves while a majority is up; elections are not modelled."""

    def __init__(self, etcd: EtcdStation) -> None:
        self._etcd = etcd
        self._down: set[str] = set()

    def kill(self, member: str) -> None:
        self._down.add(member)
        if 2 * len(self._down) >= self._etcd.values.etcd_members:
            self._etcd.kill()

    def restart(self, member: str) -> None:
        self._down.discard(member)
        if 2 * len(self._down) < self._etcd.values.etcd_members:
            self._etcd.restart()


def _actions(fault: Fault, components: Mapping[str, Component], quorum: _Quorum) -> tuple[Action, Action | None]:
    if fault.kind == "etcd_kill":
        return partial(quorum.kill, fault.target), partial(quorum.restart, fault.target)
    target = components.get(fault.target)
    if target is None:
        raise ValueError(f"fault {fault.kind}: there is no {fault.target!r}")
    match fault.kind:
        case "worker_kill":
            return target.kill_worker, None
        case "host_kill" | "scheduler_kill":
            return target.kill, target.start
        case "worker_stop" | "scheduler_stop":
            return target.stop, target.resume
        case "worker_drain":
            return target.drain, target.start
        case "partition":
            return target.cut, target.mend
