"""The etcd station: group commit, faults with both fates of an unknown write, and connections that come back."""

import statistics

import msgspec
import pytest

from core.kv.requests import Found, Get, Grant, Granted, Put, Response, Txn, TxnDone, Unknown, absent
from core.machine.messages import Changes, LeaseLost, LeaseRenewed, Message, Watch
from core.model import SchedulerRecord
from sim.config import Fault
from sim.etcd.election import MEMBER_START_S
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


CLUSTER = msgspec.structs.replace(VALUES, etcd_members=3)
RETURN_S = MEMBER_START_S + CLUSTER.etcd_election_timeout_s
"""At most, from the restart that makes a majority again."""


def etcd_kills(rig: Rig, *faults: tuple[float, str, float], seed: int = 1) -> None:
    """Members that are killed: (when, which, for how long)."""
    kills = tuple(Fault("etcd_kill", at_s, member, duration_s) for at_s, member, duration_s in faults)
    plan(rig.kernel, kills, {}, rig.station, Stream(seed, "leader"))


def test_a_cluster_serves_while_a_majority_is_up() -> None:
    rig = Rig(CLUSTER)
    etcd_kills(rig, (0.1, "etcd-follower", 5.0), (1.0, "etcd-follower", 3.0))
    served: list[bool] = []
    for moment in (0.9, 1.1, 4.0 + RETURN_S):
        rig.kernel.run(until=moment)
        served.append(rig.station.up)
    assert served == [True, False, True]


def test_a_killed_leader_is_replaced_after_an_election() -> None:
    """The shorter of two evenly drawn timeouts: 1/3 of the way on average, over 60 kills, within 5 deviations."""
    took: list[float] = []
    for seed in range(60):
        rig = Rig(CLUSTER, seed=seed)
        etcd_kills(rig, (0.5, "etcd-leader", 9.0))
        rig.kernel.run(until=0.501)
        while not rig.station.up:
            rig.kernel.run(until=rig.kernel.now + 0.001)
        took.append(rig.kernel.now - 0.5)
    timeout_s = CLUSTER.etcd_election_timeout_s
    assert all(0.95 * timeout_s <= one <= 1.96 * timeout_s for one in took)
    assert statistics.fmean(took) == pytest.approx(timeout_s * (0.95 + 1 / 3), abs=5 * (1 / 18) ** 0.5 / 60**0.5)


def test_without_a_leader_writes_are_lost_and_reads_wait() -> None:
    """A write is in nobody's log, and its sender knows before its deadline; a read is answered by the new leader."""
    rig = Rig(CLUSTER)
    etcd_kills(rig, (0.5, "etcd-leader", 9.0))
    read: list[Response] = []
    rig.send(1)
    call_in(rig.kernel, 0.7, rig.send, 2)
    call_in(rig.kernel, 0.7, rig.link.send, Get("task/", "task0"), read.append)
    call_in(rig.kernel, 4.0, rig.send, 3)
    rig.kernel.run(until=0.9)
    assert set(rig.answers) == {1}
    assert not read
    rig.kernel.run(until=0.7 + CLUSTER.request_timeout_s / 2)
    assert isinstance(rig.answers[2], Unknown)
    (found,) = read
    assert isinstance(found, Found)
    assert [kv.key for kv in found.kvs] == ["task/001"]
    rig.kernel.run(until=6.0)
    assert isinstance(rig.answers[3], TxnDone)
    assert rig.stored() == ["task/001", "task/003"]


def test_an_acknowledged_write_survives_its_leader_and_both_fates_of_others_occur() -> None:
    fates: set[tuple[bool, bool]] = set()
    for seed in range(40):
        rig = Rig(CLUSTER, seed=seed)
        for number in range(40):
            call_in(rig.kernel, number * 0.0007, rig.send, number)
        etcd_kills(rig, (0.02, "etcd-leader", 1.0), seed=seed)
        rig.kernel.run(until=6.0)
        stored = set(rig.stored())
        assert len(rig.answers) == 40
        for number, answer in rig.answers.items():
            fates.add((isinstance(answer, TxnDone), f"task/{number:03d}" in stored))
    assert fates == {(True, True), (False, True), (False, False)}


def test_who_was_connected_to_the_dead_leader_knows_at_once_and_others_only_after_the_election() -> None:
    """The others hear from the new leader what of their writes survived, or find out that they are lost."""
    at_once: list[bool] = []
    survived = False
    for seed in range(20):
        rig = Rig(CLUSTER, seed=seed)
        for number in range(30):
            rig.send(number)
        etcd_kills(rig, (0.004, "etcd-leader", 9.0), seed=seed)
        rig.kernel.run(until=0.1)
        early = set(rig.answers)
        at_once += [number in early for number in range(30)]
        rig.kernel.run(until=5.0)
        assert len(rig.answers) == 30
        survived |= any(isinstance(answer, TxnDone) for number, answer in rig.answers.items() if number not in early)
    assert statistics.fmean(at_once) == pytest.approx(1 / 3, abs=5 * (2 / 9) ** 0.5 / len(at_once) ** 0.5)
    assert survived


def test_a_majority_that_is_lost_during_the_election_answers_nobody() -> None:
    rig = Rig(CLUSTER)
    names = ("etcd-1", "etcd-2", "etcd-3")  # two of them during the election, whoever leads
    etcd_kills(rig, (0.5, "etcd-leader", 9.0), *((0.8, name, 4.0) for name in names))
    call_in(rig.kernel, 0.6, rig.send, 1)
    rig.kernel.run(until=4.5)
    assert isinstance(rig.answers[1], Unknown)
    assert not rig.station.up, "the election that was under way has no voters"
    rig.kernel.run(until=4.8 + RETURN_S)
    assert rig.station.up


def test_a_fault_that_needs_a_leader_waits_for_one() -> None:
    """The second comes during the election, is put off until it is over, and lasts as long as it should."""
    rig = Rig(CLUSTER)
    etcd_kills(rig, (0.5, "etcd-leader", 9.0), (0.6, "etcd-leader", 2.0))
    spans: list[tuple[bool, float]] = [(True, 0.0)]
    while rig.kernel.now < 6.0:
        rig.kernel.run(until=rig.kernel.now + 0.01)
        if rig.station.up is not spans[-1][0]:
            spans.append((rig.station.up, rig.kernel.now))
    assert [up for up, _ in spans] == [True, False, True, False, True]
    down, again = spans[3][1], spans[4][1]
    assert spans[2][1] <= down <= spans[2][1] + 0.06
    assert down + 2.0 + MEMBER_START_S - 0.02 <= again <= down + 2.0 + RETURN_S + 0.02


def test_watches_resume_after_an_election_without_gap_or_duplicate() -> None:
    rig = Rig(CLUSTER)
    rig.link.watch(Watch("task", "task/", "task0", 1))
    for number in range(200):
        call_in(rig.kernel, 0.02 * number, rig.send, number)
    etcd_kills(rig, (0.5, "etcd-leader", 1.0))
    rig.kernel.run(until=10.0)
    assert len(rig.seen()) == len(set(rig.seen()))
    assert sorted(rig.seen()) == rig.stored()
    assert 100 <= len(rig.seen()) < 200
