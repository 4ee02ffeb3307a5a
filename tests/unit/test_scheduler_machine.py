"""The scheduler's machine alone: events in, commands out, no etcd."""

import pytest
from msgspec import Raw
from msgspec.structs import replace

from core.kv import keys
from core.kv.requests import Change, Kv
from core.machine.messages import (
    Assign,
    AssignDone,
    Load,
    LoadPage,
    PageLoaded,
    Requeue,
    Timer,
    Watch,
    WatchLost,
)
from core.model import Marker, SchedulerRecord, TaskSpec, WorkerRecord
from core.policy.batch import MAX_BATCH_BYTES
from core.policy.share import owner
from core.settings import SchedulerSettings
from tests.unit.scheduler_bench import ME, MEMBERS, Bench, done, numbers, only, put, ready, task_id

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
