"""The parts of the etcd station, one cost at a time: rounds, bytes, connections, background, commits, followers."""

import pytest
from msgspec import Raw

from core.kv.requests import Delete, Found, Get, Put, Response, Txn, absent
from core.machine.messages import Changes, Message, Watch
from core.model import AnyRecord, Marker, Outcome, SchedulerRecord, TaskRecord, TaskSpec, Verdict
from sim.etcd.station import EtcdStation
from sim.host import Host
from sim.kernel import Kernel, call_in
from sim.link import Link
from sim.network import Line
from sim.parameters import Refinement, Values, WriteTimes
from sim.process import Process
from sim.steps import built_s
from sim.streams import Stream
from tests.sim.model import free

SMALL = SchedulerRecord("x")
SPEC = TaskSpec("1", "echo", payload=Raw(b"1" * 1000))


class Rig:
    """A station on many cores, and the moments of the answers by number of the request."""

    def __init__(self, values: Values, refinement: Refinement = "station") -> None:
        self.kernel = Kernel()
        self.host = Host(self.kernel, values.cores)
        self.station = EtcdStation(self.kernel, self.host, values, Stream(1, "fsync"), Stream(1, "kill"), refinement)
        self.answered: dict[int, float] = {}

    def put(self, number: int, *, at_s: float = 0.0, connection: object = None, record: AnyRecord = SMALL) -> None:
        request = Txn((), (Put(f"task/{number:03d}", record),))

        def note(_: Response) -> None:
            self.answered[number] = self.kernel.now

        call_in(self.kernel, at_s, self.station.request, request, note, connection)

    def run(self, until_s: float = 50.0) -> dict[int, float]:
        self.kernel.run(until=until_s)
        return self.answered


def test_a_write_pays_for_its_round_its_disk_its_effect_and_its_answer() -> None:
    rig = Rig(free(etcd_batch_s=1.0, etcd_fsync_s=2.0, etcd_apply_s=0.5, etcd_answer_s=0.25))
    rig.put(1)
    assert rig.run() == {1: pytest.approx(3.75)}
    assert rig.station.cpu_s[0] == pytest.approx(1.75)  # the disk is a wait


@pytest.mark.parametrize("record", [TaskRecord(SPEC), Marker(SPEC), Outcome(Verdict.SUCCEEDED, SPEC.payload)])
@pytest.mark.parametrize(("members", "seconds"), [(1, 0.5 + 2.0 + 0.5), (3, 0.5 + 0.5 + 2.0 + 0.5)])
def test_bytes_of_payloads_and_results_cost_servers_and_disks(record: AnyRecord, members: int, seconds: float) -> None:
    """Taken in, (taken in by a follower,) stored, applied: on every member."""
    rig = Rig(free(etcd_byte_s=0.001, etcd_fsync_byte_s=0.002, etcd_members=members))
    rig.put(1, record=record)
    rig.put(2)
    answered = rig.run()
    assert answered[1] == pytest.approx(seconds)
    assert rig.station.cpu_s == [pytest.approx(1.0)] * members


def test_bytes_cost_who_sends_who_tells_and_who_hears() -> None:
    """A put of a thousand bytes, which another process watches, and a read of it."""
    values = free(cores=8, send_byte_s=0.001, etcd_watch_byte_s=0.002, heard_byte_s=0.004)
    kernel = Kernel()
    host = Host(kernel, values.cores)
    station = EtcdStation(kernel, host, values, Stream(1, "fsync"), Stream(1, "kill"))
    heard: list[float] = []

    def hear(event: Message) -> None:
        if isinstance(event, Changes):
            heard.append(kernel.now)

    listener = Process(host, "listener", values)
    Link(kernel, station, listener, values, Stream(1, "network"), hear).watch(Watch("task", "task/", "task0", 0))
    reader = Process(host, "reader", values)
    link = Link(kernel, station, reader, values, Stream(1, "network"), hear)
    answered: list[float] = []
    call_in(kernel, 1.0, station.request, Txn((), (Put("task/1", TaskRecord(SPEC)),)), lambda _: None, None)
    call_in(kernel, 20.0, link.send, Get("task/1"), lambda _: answered.append(kernel.now))
    kernel.run(until=50.0)
    assert heard == [pytest.approx(1.0 + 2.0 + 4.0)]
    assert answered == [pytest.approx(20.0 + 2.0 + 4.0)]
    assert station.cpu_s[0] == pytest.approx(4.0)


def test_a_request_costs_its_sender_by_operations_compares_and_bytes() -> None:
    values = free(send_s=1.0, send_item_s=0.1, send_compare_s=0.01, send_byte_s=0.002)
    request = Txn((absent("task/1"), absent("task/3")), (Put("task/1", TaskRecord(SPEC)), Delete("task/2")))
    assert built_s(values, request) == pytest.approx(1.0 + 2 * 0.1 + 2 * 0.01 + 1000 * 0.002)
    assert built_s(values, Get("task/1")) == pytest.approx(1.1)


@pytest.mark.parametrize("members", [1, 3])
def test_compares_cost_whoever_applies_them(members: int) -> None:
    rig = Rig(free(etcd_apply_s=0.5, etcd_compare_s=0.25, etcd_members=members))
    request = Txn((absent("task/1"), absent("task/2")), (Put("task/1", SMALL),))
    answered: list[float] = []
    rig.station.request(request, lambda _: answered.append(rig.kernel.now))
    rig.run()
    assert answered == [pytest.approx(1.0)]
    assert rig.station.cpu_s == [pytest.approx(1.0)] * members


def test_followers_apply_every_entry_of_a_batch() -> None:
    rig = Rig(free(etcd_apply_s=0.5, etcd_fsync_s=1.0, etcd_members=3))
    for number in (1, 2, 3):  # one alone, two while its batch is written
        rig.put(number)
    rig.run()
    assert rig.station.fsyncs == 2
    assert rig.station.cpu_s == [pytest.approx(1.5)] * 3


def test_the_disk_takes_longer_for_more_operations() -> None:
    rig = Rig(free(etcd_fsync_s=1.0, etcd_fsync_item_s=0.25))
    for number in (1, 2, 3):  # one alone, two together
        rig.put(number)
    assert rig.run() == {1: pytest.approx(1.25), 2: pytest.approx(2.75), 3: pytest.approx(2.75)}


@pytest.mark.parametrize("members", [1, 3])
def test_a_slow_disk_is_late_at_each_flush_whatever_the_shape_of_its_time(members: int) -> None:
    """One flush for a batch of the log, on all members at once; two for a commit of the database file."""
    slow = {"etcd_flush_delay_s": 0.25, "etcd_fsync_residuals": (2.0, 2.0), "etcd_members": members}
    rig = Rig(free(etcd_fsync_s=0.125, etcd_commit_interval_s=1.0, **slow))
    rig.put(1)
    rig.put(2, at_s=0.6)  # durable at 1.1, when a commit is under way since 1.0
    assert rig.run() == {1: pytest.approx(0.5), 2: pytest.approx(1.5)}
    assert rig.station.fsync_s == pytest.approx(1.0)


@pytest.mark.parametrize("refinement", ["constant", "quantiles"])
def test_coarse_models_know_a_slow_disk(refinement: Refinement) -> None:
    rig = Rig(free(etcd_flush_delay_s=0.25, write_times=(WriteTimes(1, 1, (1.0, 1.0)),)), refinement)
    rig.put(1)
    assert rig.run() == {1: pytest.approx(1.25)}


@pytest.mark.parametrize("members", [1, 3])
def test_the_end_of_an_fsync_is_work_on_a_core_within_the_time_it_takes_alone(members: int) -> None:
    rig = Rig(free(cores=8, etcd_fsync_s=1.0, etcd_sync_s=0.5, etcd_members=members))
    rig.put(1)
    assert rig.run() == {1: pytest.approx(1.0)}
    assert rig.station.cpu_s == [pytest.approx(0.5)] * members
    assert rig.station.fsync_s == pytest.approx(1.0)


def test_an_fsync_waits_until_somebody_gives_a_core_back() -> None:
    """It is the next then, before who has waited longer; twice: the journal's thread, then its caller."""
    values = free(cores=1, etcd_fsync_s=1.0, etcd_sync_s=0.5)
    rig = Rig(values)
    done: list[float] = []
    rig.put(1)
    for name in ("one", "another", "a third"):
        other = Process(rig.host, name, values)
        call_in(rig.kernel, 0.25, other.run, 2.0, lambda: done.append(rig.kernel.now))
    rig.run()
    assert done == [pytest.approx(2.25), pytest.approx(4.5), pytest.approx(6.75)]
    assert rig.station.fsync_s == pytest.approx(2.25 + 0.25 + 2.0 + 0.25)


def test_only_a_connection_at_rest_is_woken() -> None:
    rig = Rig(free(etcd_connection_s=1.0, etcd_fsync_s=0.5))
    for number in range(3):
        rig.put(number, connection="one")
    rig.put(3, connection="another")
    rig.run()
    assert rig.station.cpu_s[0] == pytest.approx(2.0)


def test_background_work_delays_nobody_but_uses_a_core() -> None:
    rig = Rig(free(etcd_apply_s=1.0, etcd_background=0.25))
    rig.put(1)
    assert rig.run() == {1: pytest.approx(0.75)}
    assert rig.station.cpu_s[0] == pytest.approx(1.0)


def test_background_work_keeps_others_from_the_core() -> None:
    rig = Rig(free(cores=1, etcd_apply_s=1.0, etcd_background=0.25))
    other = Process(rig.host, "other", free(cores=1))
    done: list[float] = []
    rig.put(1)
    call_in(rig.kernel, 0.5, other.run, 1.0, lambda: done.append(rig.kernel.now))
    rig.run()
    assert done == [pytest.approx(2.0)]  # 0.75 for the answer, 0.25 aside, then the other


def test_each_operation_costs_and_each_change_that_is_told() -> None:
    values = free(etcd_request_item_s=0.5, etcd_watch_item_s=0.25)
    rig = Rig(values)
    heard: list[float] = []

    def hear(event: Message) -> None:
        if isinstance(event, Changes):
            heard.append(rig.kernel.now)

    listener = Process(rig.host, "listener", values)
    Link(rig.kernel, rig.station, listener, values, Stream(1, "network"), hear).watch(
        Watch("task", "task/", "task0", 0)
    )
    three = Txn((), tuple(Put(f"task/{number}", SMALL) for number in range(3)))
    call_in(rig.kernel, 1.0, rig.station.request, three, lambda _: None, None)
    rig.run()
    assert heard == [pytest.approx(1.0 + 3 * 0.5 + 3 * 0.25)]


def test_a_read_waits_until_what_was_committed_before_it_is_applied() -> None:
    rig = Rig(free(etcd_apply_s=1.0))
    found: list[tuple[float, Response]] = []
    rig.put(1)
    call_in(rig.kernel, 0.5, rig.station.request, Get("task/001"), lambda one: found.append((rig.kernel.now, one)))
    rig.run()
    ((moment, answer),) = found
    assert moment == pytest.approx(1.0)
    assert isinstance(answer, Found)
    assert [kv.key for kv in answer.kvs] == ["task/001"]


def test_messages_of_one_line_arrive_in_order() -> None:
    """However long each is under way."""
    kernel = Kernel()
    line = Line(kernel, 0.001, 1.0, Stream(1, "jitter"))
    arrived: list[int] = []
    for number in range(100):
        call_in(kernel, 0.01 * number, line.send, arrived.append, number)
    kernel.run()
    assert arrived == list(range(100))


def test_nothing_is_applied_while_the_backend_commits() -> None:
    rig = Rig(free(etcd_commit_s=0.5, etcd_commit_interval_s=1.0))
    rig.put(1, at_s=0.2)
    rig.put(2, at_s=1.2)
    rig.put(3, at_s=1.7)
    answered = rig.run(10.0)
    assert answered[1] == pytest.approx(0.2)
    assert answered[2] == pytest.approx(1.5)  # the tick at 1.0 began a commit
    assert answered[3] == pytest.approx(1.7)


def test_a_commit_of_the_backend_writes_the_bytes_that_were_put_since_the_last_one() -> None:
    rig = Rig(free(etcd_commit_byte_s=0.0005, etcd_commit_interval_s=1.0))
    rig.put(1, at_s=0.2, record=Marker(SPEC))
    rig.put(2, at_s=1.2)  # the tick at 1.0 began a commit of 1000 bytes
    rig.put(3, at_s=2.2)  # and that at 2.0 one of none
    answered = rig.run(10.0)
    assert answered[2] == pytest.approx(1.5)
    assert answered[3] == pytest.approx(2.2)


def test_a_server_with_nothing_written_commits_nothing() -> None:
    rig = Rig(free(etcd_commit_s=0.5, etcd_commit_interval_s=1.0))
    rig.put(1, at_s=0.2)
    rig.put(2, at_s=5.2)
    assert rig.run(10.0)[2] == pytest.approx(5.2)


@pytest.mark.parametrize(("members", "seconds"), [(1, 2.0), (3, 3.5), (5, 3.5)])
def test_a_majority_decides(members: int, seconds: float) -> None:
    """The leader's disk and the followers' work side by side: half a round trip, their round, their disk, and back."""
    rig = Rig(free(etcd_members=members, etcd_member_delay_s=0.5, etcd_batch_s=1.0, etcd_fsync_s=1.0))
    rig.put(1)
    expected = seconds if members == 1 else 1.0 + 0.5 + 1.0 + 1.0
    assert rig.run() == {1: pytest.approx(expected)}
    assert seconds == expected
    assert len(rig.station.cpu_s) == members


def test_coarse_models_answer_after_measured_times() -> None:
    times = (WriteTimes(1, 1, (1.0, 2.0, 3.0)), WriteTimes(1, 8, (7.0, 7.0, 7.0)))
    constant = Rig(free(write_times=times, etcd_apply_s=5.0), "constant")
    constant.put(1)
    assert constant.run() == {1: 2.0}  # the median of single puts
    drawn = Rig(free(write_times=times, etcd_apply_s=5.0), "quantiles")
    for number in range(4):
        drawn.put(number)
    answered = drawn.run()
    assert 1.0 <= answered[0] <= 3.0  # one under way
    assert [answered[number] for number in (1, 2, 3)] == [7.0] * 3  # several: the row of eight
    assert drawn.station.cpu_s[0] == 0.0
