"""The client's machine alone: gathers while in flight, and no outcome slips through."""

from collections.abc import Sequence
from typing import TypeVar

from msgspec import Raw

from core.kv import keys
from core.kv.requests import Change
from core.machine.client import MAX_MAILBOXES, ClientMachine
from core.machine.messages import (
    Acknowledge,
    Changes,
    Deliver,
    Drain,
    Failed,
    FetchOutcomes,
    Follow,
    Message,
    Now,
    OutcomesFetched,
    Started,
    Stop,
    Submit,
    SubmitBatch,
    SubmitDone,
    Unwatch,
    Watch,
    WatchLost,
)
from core.model import Outcome, TaskSpec, Verdict
from core.policy.batch import MAX_BATCH_BYTES
from core.settings import ClientSettings

M = TypeVar("M", bound=Message)
OUTCOME = Outcome(Verdict.SUCCEEDED, Raw(b"1"))


def only(kind: type[M], commands: Sequence[Message]) -> list[M]:
    return [command for command in commands if isinstance(command, kind)]


def spec(number: int, payload: Raw = Raw(b"null")) -> TaskSpec:  # noqa: B008 - immutable
    return TaskSpec(f"{number:024x}00000001", "echo", payload=payload)


def ended(number: int, revision: int = 50) -> Change:
    return Change(keys.done(spec(number).id), OUTCOME, revision, version=1)


class Bench:
    def __init__(self, settings: ClientSettings | None = None) -> None:
        self.machine = ClientMachine(settings or ClientSettings(max_batch=2, max_in_flight=2, min_fill=1))
        assert self(Started()) == []

    def __call__(self, event: Message) -> Sequence[Message]:
        commands = self.machine.handle(event, Now(1.0, 2.0))
        self.machine.validate()
        return commands

    def submit(self, *numbers: int, follow: bool = False) -> Sequence[Message]:
        return self(Submit(tuple(spec(number) for number in numbers), 0.5, follow))

    def watching(self) -> None:
        """Follow something, so that the watch stands."""
        self(Follow((spec(99).id,)))
        assert only(Watch, self(OutcomesFetched((), (), 10)))


def sent(commands: Sequence[Message]) -> list[list[int]]:
    return [[int(one.id[:24], 16) for one in command.specs] for command in only(SubmitBatch, commands)]


def test_submits_go_at_once_and_gather_while_enough_are_under_way() -> None:
    bench = Bench()
    assert sent(bench.submit(1)) == [[1]]
    assert sent(bench.submit(2)) == [[2]]
    assert sent(bench.submit(3)) == []
    assert sent(bench.submit(4, 5)) == []
    commands = bench(SubmitDone(1, (0,), ()))
    assert only(Acknowledge, commands) == [Acknowledge((spec(1).id,))]
    assert sent(commands) == [[3, 4]]


def test_batches_keep_below_what_etcd_takes() -> None:
    bench = Bench(ClientSettings(max_batch=100, min_fill=1))
    large = Raw(b'"' + b"x" * (MAX_BATCH_BYTES // 5) + b'"')
    batches = sent(bench(Submit(tuple(spec(number, large) for number in range(4)), 0.0)))
    assert batches == [[0, 1], [2, 3]]


def test_a_submit_that_is_to_be_followed_waits_for_the_watch() -> None:
    bench = Bench()
    commands = bench.submit(1, follow=True)
    assert only(FetchOutcomes, commands) == [FetchOutcomes(())]
    assert sent(commands) == []
    commands = bench(OutcomesFetched((), (), 41))
    assert only(Watch, commands)[0].revision == 42
    assert sent(commands) == [[1]]
    # The outcome may even come before the acknowledgement.
    assert only(Deliver, bench(Changes("done/00000001/", (ended(1),), 50))) == [Deliver(((spec(1).id, OUTCOME),))]
    assert only(Deliver, bench(Changes("done/00000001/", (ended(1),), 50))) == [], "told twice"


def test_an_outcome_from_before_the_follow_is_read() -> None:
    bench = Bench()
    bench.watching()
    assert only(FetchOutcomes, bench(Follow((spec(1).id,)))) == [FetchOutcomes((spec(1).id,))]
    assert only(Deliver, bench(OutcomesFetched(((spec(1).id, OUTCOME),), (), 20))) == [
        Deliver(((spec(1).id, OUTCOME),))
    ]


def test_a_task_that_does_not_exist_is_said_so() -> None:
    bench = Bench()
    bench.watching()
    bench(Follow((spec(1).id,)))
    assert only(Deliver, bench(OutcomesFetched((), (spec(1).id,), 20))) == [Deliver(((spec(1).id, None),))]


def test_a_task_followed_while_its_submit_is_under_way_exists() -> None:
    """The read came before the submit, and is answered before or after it."""
    for answered_first in (True, False):
        bench = Bench()
        bench.watching()
        bench.submit(1)
        bench(Follow((spec(1).id,)))
        if answered_first:
            bench(SubmitDone(1, (0,), ()))
        assert only(Deliver, bench(OutcomesFetched((), (spec(1).id,), 20))) == []
        assert only(Deliver, bench(Changes("done/00000001/", (ended(1),), 50))) == [Deliver(((spec(1).id, OUTCOME),))]


def test_the_same_submit_again_finds_the_outcome_of_the_first() -> None:
    bench = Bench()
    bench.watching()
    bench.submit(1, follow=True)
    commands = bench(SubmitDone(1, (0,), (), existing=(0,)))
    assert only(FetchOutcomes, commands) == [FetchOutcomes((spec(1).id,))]


def test_conflicts_and_refusals_are_told_of_exactly_those_tasks() -> None:
    bench = Bench(ClientSettings(max_batch=9))
    bench.watching()
    bench.submit(1, 2, 3, follow=True)
    (told,) = only(Acknowledge, bench(SubmitDone(1, (0,), (1,), refused="too large")))
    assert told.ids == (spec(1).id,)
    assert dict(told.failed).keys() == {spec(2).id, spec(3).id}
    assert dict(told.failed)[spec(3).id] == "too large"
    assert only(Deliver, bench(Changes("done/00000001/", (ended(2),), 50))) == [], "another's task was followed"


def test_a_lost_watch_reads_everything_that_is_followed_again() -> None:
    bench = Bench()
    bench.watching()
    bench.submit(1, follow=True)
    bench(SubmitDone(1, (0,), ()))
    assert only(FetchOutcomes, bench(WatchLost("done/00000001/"))) == [FetchOutcomes((spec(99).id, spec(1).id))]
    assert sent(bench.submit(2)) == [], "submitted before the watch stands again"
    commands = bench(OutcomesFetched(((spec(1).id, OUTCOME),), (spec(99).id,), 60))
    assert only(Watch, commands)[0].revision == 61
    assert {task_id for told in only(Deliver, commands) for task_id, _ in told.outcomes} == {spec(1).id, spec(99).id}
    assert sent(commands) == [[2]]


def test_closing_waits_for_the_acknowledgements() -> None:
    bench = Bench()
    bench.submit(1)
    assert not only(Stop, bench(Drain()))
    assert only(Stop, bench(SubmitDone(1, (0,), ()))) == [Stop(0)]


def test_a_refusal_for_good_ends_the_client() -> None:
    assert only(Stop, Bench()(Failed("SubmitBatch", "permission denied"))) == [Stop(1)]


# --- mailboxes ---


def foreign(number: int) -> str:
    """The id of a task in a mailbox of its own."""
    return f"{0:024x}{number:08x}"


def done(task_id: str, revision: int = 50) -> Changes:
    mailbox = keys.mailbox(keys.mailbox_of(task_id))
    return Changes(mailbox, (Change(keys.done(task_id), OUTCOME, revision, version=1),), revision)


def test_only_the_mailboxes_of_what_is_followed_are_watched() -> None:
    bench = Bench()
    bench.submit(1, follow=True)
    (watch,) = only(Watch, bench(OutcomesFetched((), (), 10)))
    assert (watch.key, watch.revision, watch.puts, watch.deletes) == ("done/00000001/", 11, True, False)
    bench(SubmitDone(1, (0,), ()))
    assert only(FetchOutcomes, bench(Follow((foreign(7),))))
    assert [one.key for one in only(Watch, bench(OutcomesFetched((), (), 20)))] == ["done/00000007/"]


def test_a_mailbox_of_others_is_watched_as_long_as_somebody_waits() -> None:
    bench = Bench()
    bench.submit(1, follow=True)
    bench(OutcomesFetched((), (), 10))
    bench(SubmitDone(1, (0,), ()))
    assert only(Unwatch, bench(Changes("done/00000001/", (ended(1),), 50))) == [], "our own stays: more will come"
    bench(Follow((foreign(7),)))
    bench(OutcomesFetched((), (), 60))
    commands = bench(done(foreign(7), 70))
    assert only(Deliver, commands) == [Deliver(((foreign(7), OUTCOME),))]
    assert only(Unwatch, commands) == [Unwatch("done/00000007/")]


def test_nothing_is_sent_before_its_mailbox_is_watched() -> None:
    bench = Bench()
    bench(Follow((foreign(7),)))  # a read is under way, for another mailbox
    assert sent(bench.submit(1, follow=True)) == []
    commands = bench(OutcomesFetched((), (), 10))
    assert sent(commands) == []
    assert only(FetchOutcomes, commands) == [FetchOutcomes(())]
    assert sent(bench(OutcomesFetched((), (), 12))) == [[1]]


def test_too_many_mailboxes_make_one_watch_of_all_and_nothing_slips_through() -> None:
    bench = Bench()
    few = tuple(foreign(number) for number in range(1, 1 + MAX_MAILBOXES))
    bench(Follow(few))
    assert len(only(Watch, bench(OutcomesFetched((), (), 10)))) == MAX_MAILBOXES
    commands = bench(Follow((foreign(1000),)))
    # What the watches of the many have not delivered yet is read: they end when the one begins.
    assert set(only(FetchOutcomes, commands)[0].ids) == {*few, foreign(1000)}
    commands = bench(OutcomesFetched(((few[0], OUTCOME),), (), 20))
    assert [(one.key, one.revision) for one in only(Watch, commands)] == [("done/", 21)]
    assert {one.name for one in only(Unwatch, commands)} == {keys.mailbox(keys.mailbox_of(each)) for each in few}
    assert only(Deliver, commands) == [Deliver(((few[0], OUTCOME),))]
    change = Change(keys.done(foreign(1000)), OUTCOME, 30, version=1)
    assert only(Deliver, bench(Changes("done/", (change,), 30))) == [Deliver(((foreign(1000), OUTCOME),))]
    assert only(FetchOutcomes, bench(WatchLost("done/")))[0].ids == few[1:]
