"""Breaks the modelled system as a scenario says, and mends it: the same faults as on the real one, and partitions."""

from collections.abc import Callable, Mapping

from sim.component import Component
from sim.config import Fault
from sim.etcd.station import EtcdStation
from sim.kernel import Kernel, call_in
from sim.streams import Stream

Action = Callable[[], None]
LEADER, FOLLOWER = ROLES = ("etcd-leader", "etcd-follower")
ELECTION_POLL_S = 0.05
"""As on the real system (`experiments.faults`): without a leader, a fault that needs one is put off."""


def plan(
    kernel: Kernel,
    faults: tuple[Fault, ...],
    components: Mapping[str, Component],
    etcd: EtcdStation,
    stream: Stream,
) -> None:
    """Arm the faults; their times count from now. `stream` draws who leads the members of etcd.

    Raises ValueError for a target that does not exist.
    """
    cluster = _Cluster(kernel, etcd, stream)
    for fault in faults:
        if fault.kind == "etcd_kill":
            call_in(kernel, fault.at_s, cluster.kill, fault)
            continue
        make, mend = _actions(fault, components)
        call_in(kernel, fault.at_s, make)
        if fault.duration_s is not None and mend is not None:
            call_in(kernel, fault.at_s + fault.duration_s, mend)


class _Cluster:
    """Which members of etcd are up, and who leads. It serves while a majority is up and has a leader."""

    def __init__(self, kernel: Kernel, etcd: EtcdStation, stream: Stream) -> None:
        self._kernel = kernel
        self._etcd = etcd
        self._stream = stream
        self._up = [f"etcd-{number}" for number in range(1, etcd.values.etcd_members + 1)]
        self._leader = self._any(self._up)

    def kill(self, fault: Fault) -> None:
        """Kill the fault's target: a member by its name, or by what it is as soon as there is a leader."""
        if fault.target in ROLES and not self._etcd.up:
            call_in(self._kernel, ELECTION_POLL_S, self.kill, fault)
            return
        member = self._find(fault.target)
        if fault.duration_s is not None:
            call_in(self._kernel, fault.duration_s, self.restart, member)
        if member not in self._up:
            return
        self._up.remove(member)
        followers = len(self._up) - 1
        if not self._majority:
            self._etcd.kill()
        elif member == self._leader:
            self._leader = self._any(self._up)
            self._etcd.serve_with(followers)
            self._etcd.kill_leader(followers + 1)
        else:
            self._etcd.serve_with(followers)

    def restart(self, member: str) -> None:
        """Start it again, unless it runs."""
        if member in self._up:
            return
        served = self._majority
        self._up.append(member)
        self._etcd.serve_with(len(self._up) - 1)
        if self._majority and not served:
            self._leader = self._any(self._up)
            self._etcd.restart()

    @property
    def _majority(self) -> bool:
        return 2 * len(self._up) > self._etcd.values.etcd_members

    def _find(self, target: str) -> str:
        if target == LEADER:
            return self._leader
        if target == FOLLOWER:
            return self._any([member for member in self._up if member != self._leader] or [self._leader])
        return target

    def _any(self, members: list[str]) -> str:
        return members[self._stream.integer(len(members))]


def _actions(fault: Fault, components: Mapping[str, Component]) -> tuple[Action, Action | None]:
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
        case "etcd_kill":
            raise AssertionError("a member of etcd is no component: see _Cluster")
