"""Slots run handlers; whatever a handler does, its slot reports a result that etcd can store, and lives on."""

import queue
import random
import threading
import time
from collections import Counter
from typing import Any, Self

import msgspec
import pytest
from msgspec import Raw

from core.handlers import Handlers, Task
from core.machine.messages import Finished, Job, Result
from core.model import MAX_PAYLOAD_BYTES, Marker, TaskSpec
from core.policy.pace import QUICK_S, STALL_S, Pace, need
from core.runtime.executor import Executor
from core.runtime.plain_executor import PlainExecutor

PATIENCE_S = 20.0

both = pytest.mark.parametrize("kind_of_executor", [Executor, PlainExecutor])
AnyExecutor = Executor | PlainExecutor


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


handlers = Handlers()


@handlers.handler("echo")
def echo(payload: Any, task: Task) -> Any:
    return {"payload": payload, "token": task.fencing_token, "attempt": task.attempt}


@handlers.handler("raise")
def raise_(payload: Any) -> Any:
    raise {
        "plain": ValueError("oh"),
        "exit": SystemExit(3),
        "interrupt": KeyboardInterrupt(),
        "unspeakable": UnspeakableError(),
        "odd name": FileNotFoundError("no file \udcff"),
    }[payload]


@handlers.handler("return")
def return_(payload: Any) -> Any:
    return {"object": object(), "odd": "\udcff", "large": "x" * MAX_PAYLOAD_BYTES, "set": {1, 2}}[payload]


def job(kind: str, payload: Any = None, number: int = 1) -> Job:
    spec = TaskSpec(f"{number:032x}", kind, payload=Raw(msgspec.json.encode(payload)))
    return Job(f"run/w/{spec.id}", 7, Marker(spec, attempt=2))


class Bench:
    """An executor and what comes out of it."""

    def __init__(self, slots: int, mine: Handlers = handlers, kind: type[AnyExecutor] = Executor) -> None:
        self.lots: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self.executor = kind(mine, slots, self.lots.put)
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.executor.close()

    def run(self, *jobs: Job) -> None:
        self.executor.run(jobs)

    def jobs(self, kind: str, *payloads: Any) -> list[Job]:
        self._number += len(payloads)
        first = self._number - len(payloads) + 1
        return [job(kind, payload, number) for number, payload in enumerate(payloads, first)]

    def results(self, count: int) -> list[Result]:
        """The next so many, in whatever lots they come."""
        results: list[Result] = []
        while len(results) < count:
            results += self.lots.get(timeout=PATIENCE_S).results
        assert len(results) == count, "more results than jobs"
        return results

    def learn(self, kind: str, payload: Any = None, times: int = 20) -> None:
        """Let the executor find out how long this takes."""
        for learned in self.jobs(kind, *[payload] * times):
            self.run(learned)
            self.results(1)


def run(*jobs: Job, slots: int = 1, kind: type[AnyExecutor] = Executor) -> list[Result]:
    with Bench(slots, kind=kind) as bench:
        bench.run(*jobs)
        return bench.results(len(jobs))


@both
def test_a_result_carries_its_token_and_times(kind_of_executor: type[AnyExecutor]) -> None:
    (result,) = run(job("echo", [1]), kind=kind_of_executor)
    assert msgspec.json.decode(result.result) == {"payload": [1], "token": 7, "attempt": 2}
    assert (result.error, result.token, result.key) == (None, 7, job("echo").key)
    assert result.started_mono <= result.finished_mono


@both
@pytest.mark.parametrize(
    ("kind", "payload", "sentence"),
    [
        ("raise", "plain", "ValueError: oh"),
        ("raise", "exit", "SystemExit: 3"),
        ("raise", "interrupt", "KeyboardInterrupt: "),
        ("raise", "unspeakable", "UnspeakableError: (its text cannot be shown)"),
        ("raise", "odd name", "FileNotFoundError: no file ?"),
        ("return", "object", "is not JSON"),
        ("return", "odd", "is not JSON"),
        ("return", "large", "bytes of JSON"),
        ("missing", None, "no handler for 'missing'"),
    ],
)
def test_whatever_goes_wrong_is_a_sentence_that_can_be_stored_and_the_slot_lives_on(
    kind_of_executor: type[AnyExecutor], kind: str, payload: object, sentence: str
) -> None:
    failed, after = run(job(kind, payload), job("echo", number=2), kind=kind_of_executor)
    assert failed.error is not None
    assert sentence in failed.error
    assert msgspec.json.decode(msgspec.json.encode(failed.error)) == failed.error
    assert bytes(failed.result) == b"null"
    assert after.error is None


@both
def test_slots_run_side_by_side_and_end_when_closed(kind_of_executor: type[AnyExecutor]) -> None:
    together = threading.Barrier(3)
    mine = Handlers()
    mine.handler("meet")(lambda _: together.wait(PATIENCE_S))
    before = set(threading.enumerate())
    with Bench(3, mine, kind_of_executor) as bench:
        bench.run(*bench.jobs("meet", None))
        bench.run(*bench.jobs("meet", None, None))
        assert [result.error for result in bench.results(3)] == [None] * 3
        threads = set(threading.enumerate()) - before
        assert len([thread for thread in threads if thread.name.startswith("slot-")]) >= 3
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@both
def test_a_closed_executor_still_finishes_what_it_has(kind_of_executor: type[AnyExecutor]) -> None:
    begun, released = threading.Event(), threading.Event()
    mine = Handlers()

    @mine.handler("wait")
    def wait(_: Any) -> bool:
        begun.set()
        return released.wait(PATIENCE_S)

    with Bench(2, mine, kind_of_executor) as bench:
        bench.run(*bench.jobs("wait", None))
        assert begun.wait(PATIENCE_S)
        bench.executor.close()
        assert bench.lots.empty()
        released.set()
        assert bytes(bench.results(1)[0].result) == b"true"


@pytest.mark.usefixtures("unwatched")
def test_handlers_of_an_unknown_type_get_a_slot_each_at_once() -> None:
    together = threading.Barrier(8)
    mine = Handlers()
    mine.handler("meet")(lambda _: together.wait(PATIENCE_S))
    with Bench(8, mine) as bench:
        bench.run(*bench.jobs("meet", *[None] * 8))
        assert [result.error for result in bench.results(8)] == [None] * 8


class Gated:
    """A handler that is quick, until its payload asks it to block. Remembers who ran."""

    def __init__(self) -> None:
        self.handlers = Handlers()
        self.released = threading.Event()
        self.blocked = threading.Semaphore(0)
        self.threads: list[int] = []
        self._lock = threading.Lock()
        self.running = self.most = 0
        self.handlers.handler("gated")(self._gated)

    def _gated(self, payload: Any) -> Any:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.threads.append(threading.get_ident())
        if payload == "block":
            self.blocked.release()
            assert self.released.wait(PATIENCE_S)
        elif isinstance(payload, float):
            time.sleep(payload)
        with self._lock:
            self.running -= 1
        return payload


@pytest.fixture
def gated() -> Gated:
    return Gated()


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """No watch thread puts right what was not done at once."""
    monkeypatch.setattr(Executor, "_guard", lambda _: None)


def payloads(results: list[Result]) -> list[Any]:
    return [msgspec.json.decode(result.result) for result in results]


def test_quick_handlers_share_a_slot_and_hand_over_together(gated: Gated) -> None:
    with Bench(10, gated.handlers) as bench:
        bench.learn("gated")
        lots = threads = 0
        for _ in range(50):
            gated.threads.clear()
            bench.run(*bench.jobs("gated", *range(10)))
            count = 0
            while count < 10:
                count += len(bench.lots.get(timeout=PATIENCE_S).results)
                lots += 1
            threads += len(set(gated.threads))
        # One each, but where the operating system takes the processor away in between.
        assert threads <= 100
        assert lots <= 100


def test_plain_executor_hands_over_each_result_by_itself(gated: Gated) -> None:
    with Bench(3, gated.handlers, PlainExecutor) as bench:
        bench.run(*bench.jobs("gated", *range(30)))
        lots = [bench.lots.get(timeout=PATIENCE_S).results for _ in range(30)]
        assert [len(lot) for lot in lots] == [1] * 30


def test_a_quick_handler_that_blocks_holds_up_neither_results_nor_jobs(gated: Gated) -> None:
    with Bench(4, gated.handlers) as bench:
        bench.learn("gated")
        bench.run(*bench.jobs("gated", 0, 1, 2, "block", 4, 5, "block", 7, 8, 9))
        assert sorted(payloads(bench.results(8))) == [0, 1, 2, 4, 5, 7, 8, 9]
        gated.released.set()
        assert payloads(bench.results(2)) == ["block", "block"]


def test_results_come_out_even_if_every_slot_blocks(gated: Gated) -> None:
    with Bench(1, gated.handlers) as bench:
        bench.learn("gated")
        bench.run(*bench.jobs("gated", 0, 1, "block", 3))
        assert payloads(bench.results(2)) == [0, 1]
        gated.released.set()
        assert payloads(bench.results(2)) == ["block", 3]


def test_a_job_that_comes_while_a_quick_handler_blocks_is_run(gated: Gated) -> None:
    with Bench(2, gated.handlers) as bench:
        bench.learn("gated")
        bench.run(*bench.jobs("gated", "block"))
        assert gated.blocked.acquire(timeout=PATIENCE_S)
        bench.run(*bench.jobs("gated", 1))
        assert payloads(bench.results(1)) == [1]
        gated.released.set()
        assert payloads(bench.results(1)) == ["block"]


@pytest.mark.usefixtures("unwatched")
def test_slow_handlers_do_not_wait_behind_quick_ones_nor_hold_their_results(gated: Gated) -> None:
    together = threading.Barrier(3)
    gated.handlers.handler("meet")(lambda _: together.wait(PATIENCE_S))
    with Bench(4, gated.handlers) as bench:
        bench.learn("gated")
        meet = bench.jobs("meet", None, None, None)
        quick = bench.jobs("gated", *range(6))
        bench.run(quick[0], meet[0], quick[1], quick[2], meet[1])
        assert sorted(payloads(bench.results(3))) == [0, 1, 2]
        bench.run(*quick[3:])
        assert sorted(payloads(bench.results(3))) == [3, 4, 5]
        bench.run(meet[2])
        assert [result.error for result in bench.results(3)] == [None] * 3


@pytest.mark.usefixtures("unwatched")
def test_a_job_behind_one_whose_type_has_become_slow_gets_a_slot(gated: Gated) -> None:
    turns = threading.Event()
    gated.handlers.handler("turns")(lambda payload: turns.wait(PATIENCE_S) if payload else None)
    with Bench(2, gated.handlers) as bench:
        bench.learn("gated")
        bench.learn("turns")
        bench.run(*bench.jobs("gated", "block"))
        assert gated.blocked.acquire(timeout=PATIENCE_S)
        bench.run(*bench.jobs("turns", 1), *bench.jobs("gated", "behind"))  # nobody is woken: a quick one runs
        assert isinstance(bench.executor, Executor)
        for _ in range(10):
            bench.executor._kinds["turns"].pace.took(1.0)
        gated.released.set()
        assert payloads(bench.results(2)) == ["block", "behind"]
        turns.set()
        assert payloads(bench.results(1)) == [True]


@pytest.mark.usefixtures("unwatched")
def test_results_are_handed_over_before_a_slow_handler_begins(gated: Gated) -> None:
    gated.handlers.handler("wait")(lambda _: gated.released.wait(PATIENCE_S))
    with Bench(1, gated.handlers) as bench:
        bench.learn("gated")
        bench.run(*bench.jobs("gated", 0, 1), *bench.jobs("wait", None))
        assert payloads(bench.results(2)) == [0, 1]
        gated.released.set()
        assert payloads(bench.results(1)) == [True]


@pytest.mark.usefixtures("unwatched")
def test_a_job_that_comes_while_the_last_result_is_handed_over_is_run(gated: Gated) -> None:
    with Bench(1, gated.handlers) as bench:
        bench.learn("gated")
        executor, chain = bench.executor, bench.jobs("gated", *range(20))
        assert isinstance(executor, Executor)

        def answer(finished: Finished) -> None:
            bench.lots.put(finished)
            if chain:
                executor.run([chain.pop()])

        executor._sink = answer
        bench.run(chain.pop())
        assert payloads(bench.results(20)) == [*reversed(range(20))]


def test_the_watch_thread_looks_while_a_lot_is_run_and_then_sleeps(
    gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, asleep = threading.Semaphore(0), threading.Semaphore(0)
    look = Executor._look

    def spy(executor: Executor) -> bool:
        looks.release()
        again = look(executor)
        if not again:
            asleep.release()
        return again

    monkeypatch.setattr(Executor, "_look", spy)
    with Bench(2, gated.handlers) as bench:
        bench.learn("gated")
        assert not looks.acquire(blocking=False)  # lone jobs need nobody
        for _ in range(2):
            bench.run(*bench.jobs("gated", *range(10)))
            bench.results(10)
            assert asleep.acquire(timeout=PATIENCE_S)


@both
@pytest.mark.parametrize("seed", range(4))
def test_every_job_has_one_result_and_never_more_run_than_there_are_slots(
    kind_of_executor: type[AnyExecutor], seed: int, gated: Gated
) -> None:
    dice = random.Random(seed)
    slots, share = dice.randint(1, 5), (0.02, 0.1, 0.4)[seed % 3]
    with Bench(slots, gated.handlers, kind_of_executor) as bench:
        if dice.random() < 0.7:
            bench.learn("gated")
        expected: list[Job] = []
        for _ in range(60):
            slow = [0.0001, 0.001, 0.004]
            seconds = [dice.choice(slow) if dice.random() < share else 0 for _ in range(dice.randint(1, 12))]
            expected += (jobs := bench.jobs("gated", *seconds))
            bench.run(*jobs)
            if dice.random() < 0.3:
                time.sleep(dice.choice([0.0, 0.0005, 0.002]))
        results = bench.results(len(expected))
        assert Counter(result.key for result in results) == Counter(one.key for one in expected)
        assert gated.most <= slots
        assert gated.running == 0


# --- how long handlers take ---


def test_a_type_is_quick_once_it_has_been() -> None:
    pace = Pace()
    assert need([None, pace, pace]) == (3, 0)
    pace.took(0.00001)
    assert pace.quick
    assert need([None, pace, pace]) == (1, 1)


def test_one_interruption_does_not_make_a_type_slow_but_four_do() -> None:
    pace = Pace()
    for _ in range(50):
        pace.took(0.000002)
    pace.took(10.0)
    assert pace.quick
    for _ in range(3):
        pace.took(10.0)
    assert need([pace]) == (1, 0)
    assert pace.mean_s <= STALL_S


def test_quick_jobs_wake_as_many_slots_as_their_work_fills() -> None:
    pace = Pace()
    pace.took(0.00012)
    assert pace.mean_s < QUICK_S
    assert need([pace] * 3) == (0, 1)
    assert need([pace] * 10) == (0, 3)
    assert need([pace]) == (0, 1)
    assert need([]) == (0, 0)
