"""The worker's machine alone: events in, commands out, no etcd and no threads."""

import pytest

from core.kv import keys
from core.kv.requests import Kv
from core.machine.messages import (
    Complete,
    FetchTasks,
    LeaseLost,
    LeaseRenewed,
    ListRuns,
    Register,
    Registered,
    Report,
    RunsListed,
    Started,
    TasksFetched,
    Timer,
    Watch,
    WatchLost,
)
from core.model import Marker, TaskRecord, TaskSpec, Verdict
from core.settings import WorkerSettings
from tests.unit.worker_bench import BIG, WALL, Bench, done, only, run, started, task_id

# --- running ----------------------------------------------------------------------------------------------------


def test_never_more_run_than_there_are_slots_and_the_rest_waits_in_order() -> None:
    bench = Bench()
    commands = bench.up(*(run(n) for n in range(4)))
    assert only(Watch, commands)[0].revision == 61
    jobs = started(commands)
    assert [job.marker.spec.id for job in jobs] == [task_id(0), task_id(1)]
    assert started(bench.receive(run(4, 65))) == []
    following = bench.finish(jobs[1])
    assert [job.marker.spec.id for job in started(following)] == [task_id(2)]


def test_a_result_is_committed_with_its_token() -> None:
    bench = Bench()
    (job,) = started(bench.up(run(1, 55)))
    (complete,) = only(Complete, bench.finish(job))
    outcome = complete.endings[0].outcome
    assert outcome is not None
    assert (outcome.verdict, outcome.token, outcome.worker, bytes(outcome.result)) == (
        Verdict.SUCCEEDED,
        55,
        "w.1",
        b"1",
    )
    assert outcome.started_at == bench.mono + WALL


def test_a_failure_is_retried_later_until_the_attempts_are_used_up() -> None:
    bench = Bench()
    first, last = started(bench.up(run(1), run(2, attempt=2)))
    (complete,) = only(Complete, bench.finish(first, error="oh"))
    (ending,) = complete.endings
    assert ending.outcome is None
    assert 0.5 <= ending.retry_at - (bench.mono + WALL) <= 1.0
    (complete,) = only(Complete, bench.finish(last, error="x" * 5000))
    outcome = complete.endings[0].outcome
    assert outcome is not None
    assert (outcome.verdict, len(outcome.error)) == (Verdict.FAILED, 2000)


def test_a_loss_is_not_charged_as_an_attempt() -> None:
    bench = Bench()
    spec = TaskSpec(task_id(1), "echo", max_attempts=2)
    (job,) = started(bench.up(Kv(keys.run("w.1", spec.id), Marker(spec, attempt=2, losses=1), 5)))
    (complete,) = only(Complete, bench.finish(job, error="oh"))
    assert complete.endings[0].outcome is None


def test_results_gather_while_commits_are_under_way() -> None:
    bench = Bench(WorkerSettings(slots=9, max_in_flight=1, max_batch=3))
    jobs = started(bench.up(*(run(n) for n in range(9))))
    (first,) = only(Complete, bench.finish(jobs[0]))
    assert not only(Complete, bench.finish(*jobs[1:6]))
    (second,) = only(Complete, bench(done(first)))
    assert len(second.endings) == 3


def test_results_that_came_too_late_are_reported() -> None:
    bench = Bench()
    (job,) = started(bench.up(run(1)))
    (complete,) = only(Complete, bench.finish(job))
    assert "1 results came too late" in only(Report, bench(done(complete, 0)))[0].text


# --- payloads by reference --------------------------------------------------------------------------------------


def test_a_large_payload_is_fetched_before_the_task_runs() -> None:
    bench = Bench()
    commands = bench.up(run(1, by_reference=True))
    assert only(FetchTasks, commands) == [FetchTasks((task_id(1),))]
    assert started(commands) == []
    spec = TaskSpec(task_id(1), "echo", payload=BIG)
    commands = bench(TasksFetched((Kv(keys.task(spec.id), TaskRecord(spec), 3),), ()))
    assert [bytes(job.marker.spec.payload) for job in started(commands)] == [bytes(BIG)]


def test_a_task_without_its_record_is_let_go() -> None:
    bench = Bench()
    bench.up(run(1, by_reference=True))
    assert started(bench(TasksFetched((), (task_id(1),)))) == []
    assert len(bench.machine._held) == 0


# --- what is seen twice -----------------------------------------------------------------------------------------


def test_the_same_assignment_is_not_run_twice_however_often_it_is_seen() -> None:
    bench = Bench()
    (job,) = started(bench.up(run(1)))
    assert started(bench.receive(run(1))) == []
    assert only(ListRuns, bench(WatchLost("run")))
    (complete,) = only(Complete, bench.finish(job))
    bench(done(complete))
    assert started(bench(RunsListed((run(1),), 60))) == [], "the listing was older than the commit"


def test_the_next_attempt_may_come_before_the_last_one_is_known_to_be_committed() -> None:
    bench = Bench()
    (job,) = started(bench.up(run(1)))
    (complete,) = only(Complete, bench.finish(job, error="oh"))
    (again,) = started(bench.receive(run(1, 80, attempt=2)))
    bench(done(complete))
    assert only(Complete, bench.finish(again))


# --- the lease --------------------------------------------------------------------------------------------------


def test_past_its_own_deadline_a_worker_starts_nothing_and_holds_its_results() -> None:
    bench = Bench()
    (job,) = started(bench.up(run(1)))
    bench.mono += 5.0
    assert only(Complete, bench.finish(job)) == []
    assert started(bench.receive(run(2, 65))) == []
    commands = bench(LeaseRenewed(7, bench.mono + 5.0))
    assert len(only(Complete, commands)) == 1
    assert len(started(commands)) == 1


def test_the_lease_counts_from_when_it_was_asked_for() -> None:
    bench = Bench()
    bench(Started())
    bench(Registered("w.1", 7, 5.0), 4.0)
    assert started(bench(RunsListed((run(1),), 60), 1.1)) == []


def test_a_lost_lease_drops_what_waits_and_commits_what_runs_all_the_same() -> None:
    bench = Bench()
    jobs = started(bench.up(*(run(n) for n in range(4)), run(9, by_reference=True)))
    commands = bench(LeaseLost(7))
    assert only(Register, commands)
    assert only(Complete, bench.finish(jobs[0]))[0].endings[0].job == jobs[0]
    late = bench(TasksFetched((Kv(keys.task(task_id(9)), TaskRecord(TaskSpec(task_id(9), "echo")), 3),), ()))
    assert started(late) == [], "it was fetched for somebody we no longer are"
    bench(Registered("w.8", 8, 5.0))
    fresh = bench(RunsListed((run(2, 90, worker="w.8"), run(3, worker="w.1")), 91))
    assert [job.key for job in started(fresh)] == [keys.run("w.8", task_id(2))]


# --- poll mode --------------------------------------------------------------------------------------------------


def test_a_pull_takes_at_most_the_free_slots() -> None:
    bench = Bench(WorkerSettings(slots=2, dispatch="poll", poll_interval_s=1.0))
    bench(Started())
    pull = only(ListRuns, bench(Registered("w.1", 7, 100.0)))
    assert pull == [ListRuns("w.1", 2)]
    assert bench.machine.next_deadline() is None, "no tick while a pull is under way"
    commands = bench(RunsListed((run(1, by_reference=True), run(2), run(3)), 60))
    assert [job.marker.spec.id for job in started(commands)] == [task_id(2)]
    assert not only(Watch, commands)
    assert bench.machine.next_deadline() == 11.0
    assert only(ListRuns, bench(Timer(), 1.0)) == [ListRuns("w.1", 2)], "those it has, and no slot is free"
    assert started(bench(RunsListed((run(1, by_reference=True), run(2), run(3)), 61))) == []


@pytest.mark.parametrize(("ticker", "due"), [("rate", 11.0), ("delay", 11.4)])
def test_pulls_come_on_a_grid_or_after_the_last(ticker: str, due: float) -> None:
    chosen = WorkerSettings(dispatch="poll", poll_interval_s=1.0, ticker="rate" if ticker == "rate" else "delay")
    bench = Bench(chosen)
    bench(Started())
    bench(Registered("w.1", 7, 100.0))
    bench(RunsListed((), 60), 0.4)
    assert bench.machine.next_deadline() == pytest.approx(due)
