"""The etcd station: group commit, faults with both fates of an unknown write, and connections that come back."""

import statistics

import msgspec
import pytest

from core.kv.requests import Found, Get, Grant, Granted, Put, Response, Txn, TxnDone, Unknown, absent
from core.machine.messages import Changes, LeaseLost, LeaseRenewed, Message, Watch
from core.model import SchedulerRecord
from sim.config import Fault
from sim.etcd.station import EtcdStation
from sim.faults import plan
from sim.host import Host
from sim.kernel import Kernel, call_in
from sim.link import Link
from sim.parameters import Values
from sim.process import Process
from sim.streams import Stream

VALUES = Values(etcd_fsync_s=0.010, etcd_fsync_item_s=0.0)


def put(number: int) -> Txn:
    key = f"task/{number:03d}"
    return Txn((absent(key),), (Put(key, SchedulerRecord("x")),))


class Rig:
    def __init__(self, values: Values = VALUES, seed: int = 1) -> None:
        self.kernel = Kernel()
        self.host = Host(self.kernel, 2)
        self.station = EtcdStation(self.kernel, self.host, values, Stream(seed, "fsync"), Stream(seed, "kill"))
        self.process = Process(self.host, "one", values)
        self.events: list[Message] = []
        self.link = Link(self.kernel, self.station, self.process, values, Stream(seed, "net"), self.events.append)
        self.answers: dict[int, Response] = {}

    def send(self, number: int) -> None:
        self.link.send(put(number), lambda answer: self.answers.__setitem__(number, answer))

    def stored(self) -> list[str]:
        found = self.station.kv.apply(Get("task/", "task0"), 0.0)
        assert isinstance(found, Found)
        return [kv.key for kv in found.kvs]

    def seen(self) -> list[str]:
        return [change.key for event in self.events if isinstance(event, Changes) for change in event.changes]


def test_writes_that_wait_share_one_fsync() -> None:
    rig = Rig()
    for number in range(50):
        rig.send(number)
    rig.kernel.run(until=1.0)
    assert all(isinstance(answer, TxnDone) and answer.succeeded for answer in rig.answers.values())
    assert len(rig.answers) == 50
    assert rig.station.fsyncs <= 3


def test_a_kill_leaves_writes_unknown_and_some_are_applied() -> None:
    fates: set[bool] = set()
    for seed in range(20):
        rig = Rig(seed=seed)
        rig.send(1)
        call_in(rig.kernel, 0.005, rig.station.kill)  # while the log is being written
        call_in(rig.kernel, 0.1, rig.station.restart)
        rig.kernel.run(until=2.0)
        assert isinstance(rig.answers[1], Unknown)
        fates.add(bool(rig.stored()))
        rig.send(2)
        rig.kernel.run(until=3.0)
        assert isinstance(rig.answers[2], TxnDone)
    assert fates == {True, False}


def test_an_acknowledged_write_survives_a_kill() -> None:
    for moment_ms in range(10, 20):
        rig = Rig()
        for number in range(40):
            call_in(rig.kernel, number * 0.0007, rig.send, number)
        call_in(rig.kernel, moment_ms / 1000, rig.station.kill)
        call_in(rig.kernel, 0.1, rig.station.restart)
        rig.kernel.run(until=2.0)
        acknowledged = {f"task/{number:03d}" for number, one in rig.answers.items() if isinstance(one, TxnDone)}
        assert len(rig.answers) == 40
        assert acknowledged <= set(rig.stored())


def test_watches_resume_without_gap_or_duplicate() -> None:
    rig = Rig()
    rig.link.watch(Watch("task", "task/", "task0", 1))
    for number in range(200):
        call_in(rig.kernel, 0.01 * number, rig.send, number)
    for at in (0.3, 1.2):
        call_in(rig.kernel, at, rig.station.kill)
        call_in(rig.kernel, at + 0.2, rig.station.restart)
    call_in(rig.kernel, 1.6, rig.link.cut)
    call_in(rig.kernel, 1.9, rig.link.mend)
    rig.kernel.run(until=10.0)
    assert rig.seen() == sorted(set(rig.seen()), key=rig.seen().index), "a change came twice"
    assert sorted(rig.seen()) == rig.stored()
    assert len(rig.seen()) >= 50


def test_a_stopped_process_loses_its_lease_and_hears_of_it() -> None:
    rig = Rig()
    answers: list[Response] = []
    rig.link.send(Grant(2.0), answers.append)
    rig.kernel.run(until=0.5)
    granted = answers[0]
    assert isinstance(granted, Granted)
    rig.link.keep_alive(granted.lease, granted.ttl_s)
    rig.kernel.run(until=5.0)
    assert isinstance(rig.events[-1], LeaseRenewed)
    rig.process.stop()
    rig.kernel.run(until=10.0)
    before = len(rig.events)
    rig.process.resume()
    rig.kernel.run(until=12.0)
    assert LeaseLost(granted.lease) in rig.events[before:]


def test_a_restart_begins_every_lease_anew() -> None:
    """A lease of 2 s, never renewed; killed after 1.5 s, up again at 2.5 s: it ends at 4.5 s and not at the restart."""
    values = msgspec.structs.replace(VALUES, etcd_start_s=0.5)
    rig = Rig(values)
    answers: list[Response] = []
    rig.link.send(Grant(2.0), answers.append)
    call_in(rig.kernel, 1.5, rig.station.kill)
    call_in(rig.kernel, 2.0, rig.station.restart)
    rig.kernel.run(until=4.4)
    (granted,) = answers
    assert isinstance(granted, Granted)
    next_expiry = rig.station.kv.next_expiry()
    assert next_expiry == pytest.approx(2.5 + 2.0)
    rig.kernel.run(until=4.5 + values.etcd_expiry_interval_s)
    assert rig.station.kv.next_expiry() is None


def test_a_restart_takes_up_to_an_election_longer() -> None:
    """Evenly spread over the second: the mean of 40 within 5 standard deviations, and never outside."""
    values = msgspec.structs.replace(VALUES, etcd_start_s=0.5, etcd_election_s=1.0)
    rig = Rig(values)
    took: list[float] = []
    for _ in range(40):
        rig.station.kill()
        rig.station.restart()
        before = rig.kernel.now
        while not rig.station.up:
            rig.kernel.run(until=rig.kernel.now + 0.01)
        took.append(rig.kernel.now - before - 0.005)
    assert all(0.49 <= one <= 1.51 for one in took)
    assert statistics.fmean(took) == pytest.approx(1.0, abs=5 * (1 / 12) ** 0.5 / 40**0.5)
    assert max(took) - min(took) > 0.8


def test_a_killed_process_is_heard_of_no_more() -> None:
    rig = Rig()
    rig.link.watch(Watch("task", "task/", "task0", 1))
    rig.send(1)
    rig.kernel.run(until=0.0002)
    rig.process.kill()
    rig.link.close()
    rig.kernel.run(until=1.0)
    assert rig.stored() == ["task/001"]  # what was sent arrives
    assert not rig.answers
    assert not rig.events


def test_a_cluster_serves_while_a_majority_is_up() -> None:
    values = msgspec.structs.replace(VALUES, etcd_members=3)
    rig = Rig(values)
    kills = tuple(Fault("etcd_kill", at_s, member, 3.0) for at_s, member in ((0.1, "etcd-2"), (1.0, "etcd-3")))
    plan(rig.kernel, kills, {}, rig.station)
    served: list[bool] = []
    for moment in (0.9, 1.1, 3.2 + values.etcd_start_s):
        rig.kernel.run(until=moment)
        served.append(rig.station.up)
    assert served == [True, False, True]
