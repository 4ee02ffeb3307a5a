"""The scheduler's machine alone: events in, commands out, no etcd."""

from collections.abc import Sequence
from typing import TypeVar

import pytest
from msgspec import Raw
from msgspec.structs import replace

from core.kv import keys
from core.kv.requests import Change, Kv
from core.machine.messages import (
    Assign,
    AssignDone,
    Changes,
    Drain,
    Failed,
    LeaseLost,
    Load,
    Loaded,
    LoadPage,
    Message,
    Now,
    PageLoaded,
    Promote,
    PromoteDone,
    QueuePage,
    Reconcile,
    Reconciled,
    Register,
    Registered,
    Report,
    Requeue,
    RequeueDone,
    Started,
    Stop,
    Timer,
    Unregister,
    Watch,
    WatchLost,
)
from core.machine.scheduler import SchedulerMachine
from core.model import Marker, SchedulerRecord, TaskSpec, WorkerRecord
from core.policy.batch import MAX_BATCH_BYTES
from core.policy.share import owner
from core.settings import SchedulerSettings

M = TypeVar("M", bound=Message)
ME = "s.1"
WALL = 1_000_000.0


def only(kind: type[M], commands: Sequence[Message]) -> list[M]:
    return [command for command in commands if isinstance(command, kind)]


def task_id(number: int) -> str:
    return f"{number:032x}"


def ready(number: int, revision: int = 2, *, kind: str = "echo", priority: int = 5, queue: str = "default") -> Kv:
    spec = TaskSpec(task_id(number), kind, queue, priority=priority)
    return Kv(keys.ready(queue, priority, spec.id), Marker(spec), revision)


def put(kv: Kv) -> Change:
    return Change(kv.key, kv.value, kv.mod_revision, version=1)


class Bench:
    """A machine, its clock, and the commands of the last step. `validate` is called after every step."""

    def __init__(self, settings: SchedulerSettings | None = None) -> None:
        self.machine = SchedulerMachine(SchedulerRecord("s"), settings or SchedulerSettings(min_fill=1))
        self.mono = 10.0
        self.revision = 100

    def __call__(self, event: Message, after_s: float = 0.0) -> Sequence[Message]:
        self.mono += after_s
        commands = self.machine.handle(event, Now(self.mono, self.mono + WALL))
        self.machine.validate()
        return commands

    def loaded(
        self,
        kvs: Sequence[Kv] = (),
        *,
        workers: dict[str, int] | None = None,
        members: Sequence[str] = (ME,),
        runs: Sequence[str] = (),
        types: tuple[str, ...] = ("echo",),
        next_due_at: float | None = None,
    ) -> Loaded:
        live = {"w.1": 2} if workers is None else workers
        return Loaded(
            self.revision,
            tuple(Kv(keys.worker(name), WorkerRecord(name, slots, (), types), 1) for name, slots in live.items()),
            tuple(Kv(keys.scheduler(name), SchedulerRecord(name), 1) for name in members),
            tuple(runs),
            tuple(QueuePage(p.queue, tuple(sorted(p.kvs, key=lambda kv: kv.key)), p.more) for p in self.queues(kvs)),
            next_due_at,
        )

    @staticmethod
    def queues(kvs: Sequence[Kv]) -> list[QueuePage]:
        names = sorted({kv.key.split("/")[1] for kv in kvs})
        return [QueuePage(n, tuple(kv for kv in kvs if kv.key.split("/")[1] == n), more=False) for n in names]

    def up(self, loaded: Loaded) -> Sequence[Message]:
        """Register and load."""
        assert only(Register, self(Started()))
        assert only(Load, self(Registered(ME, 7, 5.0)))
        return self(loaded)

    def changes(self, watch: str, *changes: Change) -> Sequence[Message]:
        self.revision += 1
        return self(Changes(watch, changes, self.revision))


def numbers(commands: Sequence[Message]) -> list[int]:
    return [int(item.marker.spec.id, 16) for command in only(Assign, commands) for item in command.items]


def done(command: Assign) -> AssignDone:
    return AssignDone(command.batch, tuple(range(len(command.items))), ())


# --- assignment -------------------------------------------------------------------------------------------------


def test_priority_first_then_order_of_submission_and_only_as_much_as_there_are_slots() -> None:
    bench = Bench()
    commands = bench.up(bench.loaded([ready(1), ready(2), ready(3, priority=0), ready(4, priority=9)]))
    assert numbers(commands) == [3, 1]
    (assign,) = only(Assign, commands)
    assert (assign.scheduler, assign.items[0].worker) == (ME, "w.1")
    assert assign.items[0].marker.scheduler == ME
    assert numbers(bench(done(assign))) == []
    freed = bench.changes("run", Change(keys.run("w.1", task_id(3)), None, 101, deleted=True))
    assert numbers(freed) == [2]


def test_the_picture_is_watched_from_the_revision_after_it_was_loaded() -> None:
    bench = Bench()
    watches = only(Watch, bench.up(bench.loaded()))
    assert {watch.name for watch in watches} == {"worker", "scheduler", "ready", "later", "run"}
    assert {watch.revision for watch in watches} == {bench.revision + 1}
    assert numbers(bench.changes("ready", put(ready(1, 101)))) == [1]


def test_workers_share_the_load() -> None:
    bench = Bench()
    commands = bench.up(bench.loaded([ready(n) for n in range(9)], workers={"w.1": 2, "w.2": 2, "w.3": 4}))
    workers = [item.worker for command in only(Assign, commands) for item in command.items]
    assert {name: workers.count(name) for name in set(workers)} == {"w.1": 2, "w.2": 2, "w.3": 4}


def test_a_type_that_nobody_serves_waits_and_blocks_nobody() -> None:
    bench = Bench()
    assert numbers(bench.up(bench.loaded([ready(1, kind="gpu", priority=0), ready(2)]))) == [2]
    newcomer = WorkerRecord("g", 1, (), ("gpu",))
    commands = bench.changes("worker", Change(keys.worker("g.1"), newcomer, 101, version=1))
    (page,) = only(LoadPage, commands)
    assert page.after < ready(1, priority=0).key
    again = PageLoaded(page.queue, page.after, (ready(1, kind="gpu", priority=0),), more=False, revision=102)
    assert numbers(bench(again)) == [1]


def test_batches_and_pipelining_keep_to_their_limits() -> None:
    bench = Bench(SchedulerSettings(max_batch=2, max_in_flight=2))
    commands = bench.up(bench.loaded([ready(n) for n in range(9)], workers={"w.1": 9}))
    assert [len(assign.items) for assign in only(Assign, commands)] == [2, 2]
    assert numbers(bench(done(only(Assign, commands)[1]))) == [4, 5]


def test_a_second_transaction_beside_the_first_must_be_worth_it() -> None:
    bench = Bench(SchedulerSettings(max_batch=4, max_in_flight=2, min_fill=3))
    commands = bench.up(bench.loaded([ready(0)], workers={"w.1": 9}))
    first = only(Assign, commands)[0]
    assert numbers(bench.changes("ready", put(ready(1, 102)), put(ready(2, 102)))) == []
    assert numbers(bench.changes("ready", put(ready(3, 103)))) == [1, 2, 3]
    assert numbers(bench.changes("ready", put(ready(4, 104)))) == []
    assert numbers(bench(done(first))) == [], "one is still under way"


def test_what_somebody_else_took_frees_its_slot_and_is_not_tried_again() -> None:
    bench = Bench()
    (assign,) = only(Assign, bench.up(bench.loaded([ready(1), ready(2), ready(3)])))
    assert numbers(bench(AssignDone(assign.batch, (1,), (0,)))) == [3]


def test_tasks_of_a_worker_that_is_gone_go_to_another() -> None:
    bench = Bench()
    commands = bench.up(bench.loaded([ready(1), ready(2)], workers={"w.1": 1, "w.2": 1}))
    (assign,) = only(Assign, commands)
    index = next(i for i, item in enumerate(assign.items) if item.worker == "w.1")
    commands = bench(AssignDone(assign.batch, (1 - index,), (), ("w.1",)))
    assert numbers(commands) == [], "the other has no slot left"
    assert only(Requeue, commands) == [Requeue("w.1")], "an unknown assignment may still stand there"
    other = assign.items[1 - index].marker.spec.id
    freed = bench.changes("run", Change(keys.run("w.2", other), None, 105, deleted=True))
    assert [item.worker for item in only(Assign, freed)[0].items] == ["w.2"]


def test_a_listing_older_than_an_assignment_does_not_bring_it_back() -> None:
    """Sent, asked to list, answered, listed: in that order the listing may or may not show the task."""
    bench = Bench()
    (assign,) = only(Assign, bench.up(bench.loaded([ready(1)])))
    assert only(Load, bench(WatchLost("ready")))
    bench(done(assign))
    assert numbers(bench(bench.loaded([ready(1)]))) == []
    bench.changes("ready", Change(ready(1).key, None, 102, deleted=True))
    # The same task again, after a retry, is another matter.
    bench.changes("run", Change(keys.run("w.1", task_id(1)), None, 103, deleted=True))
    assert numbers(bench.changes("ready", put(ready(1, 104)))) == [1]


def test_a_listing_newer_than_an_assignment_in_flight_shows_the_tasks_next_attempt() -> None:
    bench = Bench()
    (assign,) = only(Assign, bench.up(bench.loaded([ready(1)])))
    bench(WatchLost("ready"))
    assert numbers(bench(bench.loaded([ready(1, 50)]))) == [1]
    bench(done(assign))


# --- several schedulers -----------------------------------------------------------------------------------------


MEMBERS = (ME, "t.2", "u.3")
MINE = [n for n in range(60) if owner(task_id(n), MEMBERS) == ME]
THEIRS = [n for n in range(60) if owner(task_id(n), MEMBERS) == "t.2"]


def test_each_takes_its_own_share_of_tasks_and_of_credit() -> None:
    bench = Bench()
    kvs = [ready(n) for n in range(60)]
    commands = bench.up(bench.loaded(kvs, members=MEMBERS, workers={"w.1": 12}))
    assert numbers(commands) == MINE[:4]


def test_an_idle_scheduler_steals_from_one_that_moves_nothing() -> None:
    bench = Bench(SchedulerSettings(steal_after_s=2.0))
    kvs = [ready(n) for n in THEIRS[:3]]
    commands = bench.up(bench.loaded(kvs, members=MEMBERS, workers={"w.1": 12}))
    assert numbers(commands) == []
    deadline = bench.machine.next_deadline()
    assert deadline is not None
    assert deadline <= bench.mono + 2.0
    assert numbers(bench(Timer(), 1.9)) == []
    assert numbers(bench.changes("ready", Change(kvs[0].key, None, 101, deleted=True))) == []
    assert numbers(bench(Timer(), 1.9)) == [], "its owner has moved something"
    assert numbers(bench(Timer(), 0.2)) == THEIRS[1:3]


def test_a_thief_that_meets_the_owner_lets_go() -> None:
    bench = Bench(SchedulerSettings(steal_after_s=2.0, max_batch=1, max_in_flight=1))
    kvs = [ready(n) for n in THEIRS[:3]]
    bench.up(bench.loaded(kvs, members=MEMBERS, workers={"w.1": 12}))
    (stolen,) = only(Assign, bench(Timer(), 2.1))
    assert numbers(bench(AssignDone(stolen.batch, (), (0,)))) == []


def test_the_share_of_a_scheduler_that_goes_is_taken_over_at_once() -> None:
    bench = Bench()
    bench.up(bench.loaded([ready(n) for n in THEIRS[:3]], members=(ME, "t.2"), workers={"w.1": 12}))
    commands = bench.changes("scheduler", Change(keys.scheduler("t.2"), None, 101, deleted=True))
    assert numbers(commands) == THEIRS[:3]


# --- poll mode --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ticker", "second"), [("rate", 1.0), ("delay", 1.3)])
def test_poll_mode_lists_at_every_tick_and_watches_nothing(ticker: str, second: float) -> None:
    chosen = SchedulerSettings(dispatch="poll", poll_interval_s=1.0, ticker="rate" if ticker == "rate" else "delay")
    bench = Bench(replace(chosen, reconcile_interval_s=1000.0))
    start = bench.mono
    assert not only(Watch, bench.up(bench.loaded()))  # the first listing counts as the first tick
    assert not only(Load, bench(Timer(), 0.5))
    assert only(Load, bench(Timer(), 0.5))
    assert bench.machine.next_deadline() != bench.mono, "no tick while a listing is under way"
    bench.mono += 0.3
    assert numbers(bench(bench.loaded([ready(1)]))) == [1]
    assert bench.machine.next_deadline() == pytest.approx(start + 1.0 + second)


def test_poll_mode_gives_a_second_set_of_tasks() -> None:
    bench = Bench(SchedulerSettings(dispatch="poll"))
    assert len(numbers(bench.up(bench.loaded([ready(n) for n in range(9)], workers={"w.1": 3})))) == 6


def test_poll_mode_pages_past_types_that_nobody_serves() -> None:
    bench = Bench(SchedulerSettings(dispatch="poll", window=4))
    loaded = bench.loaded([ready(n, kind="gpu") for n in range(4)])
    commands = bench.up(replace(loaded, ready=(loaded.ready[0]._replace(more=True),)))
    (page,) = only(LoadPage, commands)
    assert numbers(bench(PageLoaded(page.queue, page.after, (ready(9),), more=False, revision=101))) == [9]


# --- upkeep -----------------------------------------------------------------------------------------------------


def test_tasks_of_a_lost_worker_are_requeued_once_and_it_takes_nothing_more() -> None:
    bench = Bench()
    bench.up(bench.loaded())
    commands = bench.changes("worker", Change(keys.worker("w.1"), None, 101, deleted=True))
    assert only(Requeue, commands) == [Requeue("w.1")]
    assert numbers(bench.changes("ready", put(ready(1, 102)))) == []
    assert not only(Requeue, bench(Timer(), 60.0))
    reports = only(Report, bench(RequeueDone("w.1", 3, 1)))
    assert "3 tasks requeued" in reports[0].text
    assert not only(Requeue, bench(Timer(), 60.0))


def test_work_of_a_worker_that_was_gone_before_we_came_is_requeued() -> None:
    bench = Bench()
    assert only(Requeue, bench.up(bench.loaded(runs=[keys.run("old.9", task_id(1))]))) == [Requeue("old.9")]


def test_another_schedulers_lost_worker_is_requeued_only_when_it_sleeps() -> None:
    worker = next(name for name in (f"w.{n}" for n in range(99)) if owner(name, MEMBERS) != ME)
    bench = Bench(SchedulerSettings(steal_after_s=2.0))
    bench.up(bench.loaded(members=MEMBERS, workers={worker: 2}))
    commands = bench.changes("worker", Change(keys.worker(worker), None, 101, deleted=True))
    assert not only(Requeue, commands)
    assert not only(Requeue, bench(Timer(), 1.9))
    assert only(Requeue, bench(Timer(), 0.2)) == [Requeue(worker)]


def test_a_retry_is_promoted_when_it_is_due_and_not_before() -> None:
    bench = Bench(SchedulerSettings(reconcile_interval_s=1000.0))
    bench.up(bench.loaded())
    due_at = bench.mono + WALL + 5.0
    change = Change(keys.later(due_at, task_id(1)), Marker(TaskSpec(task_id(1), "echo")), 101, version=1)
    assert not only(Promote, bench.changes("later", change))
    deadline = bench.machine.next_deadline()
    assert deadline == pytest.approx(bench.mono + 5.0, abs=0.01)
    bench.mono = deadline or 0.0
    (promote,) = only(Promote, bench(Timer()))
    assert promote.wall >= due_at
    assert not only(Promote, bench(Timer(), 5.0)), "one at a time"
    assert not only(Promote, bench(PromoteDone(1, None)))
    assert only(Promote, bench(PromoteDone(0, bench.mono + WALL - 1.0)))


def test_credit_that_drifted_is_given_back_after_two_passes() -> None:
    bench = Bench()
    (assign,) = only(Assign, bench.up(bench.loaded([ready(1), ready(2), ready(3)])))
    bench(done(assign))
    runs = (keys.run("w.1", task_id(1)),)  # task 2 has left run/, and nobody told us

    def reconcile() -> Sequence[Message]:
        assert only(Reconcile, bench(Timer(), 1.1))
        return bench(Reconciled(runs, ("w.1",), "", 105))

    assert numbers(reconcile()) == [], "it may just have been assigned"
    assert numbers(reconcile()) == [3]


def test_what_is_in_flight_is_no_drift() -> None:
    bench = Bench()
    (assign,) = only(Assign, bench.up(bench.loaded([ready(1), ready(2), ready(3)])))
    for _ in range(3):
        assert only(Reconcile, bench(Timer(), 1.1))
        assert numbers(bench(Reconciled((), ("w.1",), "", 105))) == []
    assert numbers(bench(done(assign))) == []


def test_reconciliation_goes_through_all_pages_and_finds_lost_workers() -> None:
    bench = Bench()
    bench.up(bench.loaded())
    assert only(Reconcile, bench(Timer(), 1.1))[0].after == ""
    last = keys.run("dead.1", task_id(1))
    assert only(Requeue, bench(Reconciled((last,), ("w.1",), last, 105))) == [Requeue("dead.1")]
    assert only(Reconcile, bench(Timer(), 1.1))[0].after == last


# --- the end, and accidents -------------------------------------------------------------------------------------


def test_drain_waits_for_what_is_in_flight() -> None:
    bench = Bench()
    (assign,) = only(Assign, bench.up(bench.loaded([ready(1)])))
    assert not only(Stop, bench(Drain()))
    assert numbers(bench.changes("ready", put(ready(2, 101)))) == []
    commands = bench(done(assign))
    assert only(Unregister, commands) == [Unregister(7)]
    assert only(Stop, commands) == [Stop(0)]


def test_drain_does_not_wait_for_ever() -> None:
    bench = Bench()
    bench.up(bench.loaded([ready(1)]))
    bench(Drain())
    deadline = bench.machine.next_deadline()
    assert deadline is not None
    bench.mono = deadline
    assert only(Stop, bench(Timer()))


def test_a_lost_lease_means_a_new_registration_and_nothing_is_assigned_meanwhile() -> None:
    bench = Bench()
    bench.up(bench.loaded())
    assert not only(Register, bench(LeaseLost(99))), "somebody else's lease"
    assert only(Register, bench(LeaseLost(7)))
    assert numbers(bench.changes("ready", put(ready(1, 101)))) == []
    assert bench.machine.next_deadline() is None
    assert only(Load, bench(Registered("s.8", 8, 5.0)))
    (assign,) = only(Assign, bench(bench.loaded([ready(1, 101)], members=("s.8",))))
    assert assign.scheduler == "s.8"


def test_a_refusal_for_good_ends_the_scheduler_loudly() -> None:
    bench = Bench()
    bench.up(bench.loaded())
    commands = bench(Failed("Assign", "permission denied"))
    assert only(Stop, commands) == [Stop(1)]
    assert "permission denied" in only(Report, commands)[0].text


def test_garbage_is_left_alone() -> None:
    bench = Bench()
    bench.up(bench.loaded([ready(1)]))
    for watch in ("worker", "scheduler", "ready", "later", "run"):
        for key in (f"{watch}/", f"{watch}/what/is/this", f"{watch}/x/5/no-id"):
            bench.changes(
                watch, Change(key, None, 101, deleted=True), Change(key, SchedulerRecord("?"), 102, version=1)
            )
    commands = bench.changes("ready", Change(ready(2).key, ready(2).value, 103, version=1))
    assert [item.marker.spec.id for item in only(Assign, commands)[0].items] == [task_id(2)]


# --- deletions of ready markers ---


def test_deletions_under_ready_are_watched_only_while_others_take_tasks_too() -> None:
    bench = Bench()
    watched = {watch.name: watch.deletes for watch in only(Watch, bench.up(bench.loaded()))}
    assert watched == {"worker": True, "scheduler": True, "ready": False, "later": False, "run": True}
    commands = bench.changes("scheduler", Change("scheduler/t.2", SchedulerRecord("t"), 120))
    assert only(Load, commands), "what the other takes from now on must be seen: list, and watch anew"
    commands = bench(bench.loaded(members=(ME, "t.2")))
    assert {watch.name: watch.deletes for watch in only(Watch, commands)}["ready"]
    assert not only(Load, bench.changes("scheduler", Change("scheduler/t.2", None, 140, deleted=True)))
    assert not only(Load, bench.changes("scheduler", Change("scheduler/u.3", SchedulerRecord("u"), 150)))


def test_large_payloads_make_smaller_batches() -> None:
    bench = Bench(SchedulerSettings(max_batch=1000, min_fill=1, max_buffer=0))
    kvs = []
    for number in range(600):
        spec = TaskSpec(task_id(number), "echo", payload=Raw(b'"' + b"x" * 4000 + b'"'))
        kvs.append(Kv(keys.ready("default", 5, spec.id), Marker(spec), 2))
    assigns = only(Assign, bench.up(bench.loaded(kvs, workers={"w.1": 600})))
    sizes = [sum(len(item.marker.spec.payload) for item in assign.items) for assign in assigns]
    assert sum(len(assign.items) for assign in assigns) == 600
    assert len(sizes) > 1
    assert max(sizes) <= MAX_BATCH_BYTES
