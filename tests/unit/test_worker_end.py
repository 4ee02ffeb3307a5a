"""The worker's machine alone, how it ends."""

from core.machine.messages import (
    Announce,
    Complete,
    Drain,
    HandBack,
    HandedBack,
    Registered,
    RunsListed,
    Started,
    Stop,
    Timer,
    Unregister,
)
from core.machine.worker import LAST_COMMITS_S
from core.settings import WorkerSettings
from tests.unit.worker_bench import Bench, done, only, run, started, task_id

# --- drain ------------------------------------------------------------------------------------------------------


def test_drain_hands_back_what_waits_and_finishes_what_runs() -> None:
    bench = Bench()
    jobs = started(bench.up(*(run(n) for n in range(3)), run(9, by_reference=True)))
    commands = bench(Drain())
    assert only(Announce, commands)[0].record.draining
    (back,) = only(HandBack, commands)
    assert [job.marker.spec.id for job in back.jobs] == [task_id(2), task_id(9)]
    (more,) = only(HandBack, bench.receive(run(5, 65)))
    assert [job.marker.spec.id for job in more.jobs] == [task_id(5)]
    (complete,) = only(Complete, bench.finish(*jobs))
    bench(HandedBack(tuple(job.key for job in back.jobs)))
    assert not only(Stop, bench(done(complete)))
    assert not only(Stop, bench(HandedBack(tuple(job.key for job in more.jobs))))
    (last,) = only(HandBack, bench(RunsListed((run(6, 66),), 70)))  # given before it could be known that we drain
    commands = bench(HandedBack(tuple(job.key for job in last.jobs)))
    assert only(Unregister, commands) == [Unregister(7)]
    assert only(Stop, commands) == [Stop(0)]


def test_at_the_drain_limit_running_tasks_are_handed_back_and_their_results_ignored() -> None:
    bench = Bench(WorkerSettings(slots=2, drain_limit_s=3.0))
    jobs = started(bench.up(run(1), run(2)))
    bench(Drain())
    assert bench.machine.next_deadline() == bench.mono + 3.0
    commands = bench(Timer(), 3.0)
    assert only(HandBack, commands)[0].jobs == tuple(jobs)
    deadline = bench.machine.next_deadline()
    assert deadline is None or deadline > bench.mono, "a deadline in the past makes the driver spin"
    assert not only(Complete, bench.finish(*jobs))
    bench(RunsListed((), 70))
    assert only(Stop, bench(HandedBack(tuple(job.key for job in jobs))))


def test_a_worker_whose_etcd_is_gone_stops_all_the_same() -> None:
    bench = Bench(WorkerSettings(slots=2, drain_limit_s=3.0))
    bench.up(run(1))
    bench(Drain())
    for _ in range(5):
        deadline = bench.machine.next_deadline()
        assert deadline is not None
        bench.mono = deadline
        commands = bench(Timer())
        if only(Stop, commands):
            break
    assert only(Stop, commands)


def test_an_idle_worker_stops_as_soon_as_nothing_can_be_assigned_to_it() -> None:
    bench = Bench()
    bench.up()
    assert not only(Stop, bench(Drain()))
    assert only(Stop, bench(RunsListed((), 70))) == [Stop(0)]


def test_a_worker_that_is_ended_while_it_registers_leaves_no_lease() -> None:
    """Else tasks would be assigned to nobody until it expires."""
    bench = Bench()
    bench(Started())
    assert not only(Stop, bench(Drain()))
    (announced,) = only(Announce, bench(Registered("w.1", 7, 2.0)))
    assert (announced.lease, announced.record.draining) == (7, True)
    (back,) = only(HandBack, bench(RunsListed((run(1),), 70)))  # it was seen before it could say that it drains
    commands = bench(HandedBack(tuple(job.key for job in back.jobs)))
    assert (only(Unregister, commands), only(Stop, commands)) == ([Unregister(7)], [Stop(0)])


def test_a_worker_that_cannot_register_is_ended_all_the_same() -> None:
    bench = Bench()
    bench(Started())
    bench(Drain())
    assert bench.machine.next_deadline() == bench.mono + LAST_COMMITS_S
    commands = bench(Timer(), LAST_COMMITS_S)
    assert only(Stop, commands)
    assert not only(Unregister, commands)


def test_an_idle_worker_does_not_wait_long_for_an_etcd_that_is_gone() -> None:
    bench = Bench(WorkerSettings(slots=2, drain_limit_s=30.0))
    bench.up()
    bench(Drain())
    deadline = bench.machine.next_deadline()
    assert deadline == bench.mono + LAST_COMMITS_S
    assert only(Stop, bench(Timer(), LAST_COMMITS_S))
