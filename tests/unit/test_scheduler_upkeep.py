"""The scheduler's machine alone, what it does besides assigning: upkeep, drain, accidents."""

from collections.abc import Sequence

import pytest

from core.kv import keys
from core.kv.requests import Change
from core.machine.messages import (
    Assign,
    Drain,
    Failed,
    LeaseLost,
    Load,
    Message,
    Promote,
    PromoteDone,
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
)
from core.model import Marker, SchedulerRecord, TaskSpec
from core.policy.share import owner
from core.settings import SchedulerSettings
from tests.unit.scheduler_bench import ME, MEMBERS, WALL, Bench, done, numbers, only, put, ready, task_id

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


def test_a_scheduler_that_is_ended_while_it_registers_leaves_no_lease() -> None:
    bench = Bench()
    bench(Started())
    assert not only(Stop, bench(Drain()))
    commands = bench(Registered("s.7", 7, 2.0))
    assert commands == [Unregister(7), Stop(0)]


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
