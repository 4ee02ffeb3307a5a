"""Slots run handlers; whatever a handler does, its slot reports a result that etcd can store, and lives on."""

import queue
import threading
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from core.handlers import Handlers, Task
from core.machine.messages import Job, Result
from core.model import MAX_PAYLOAD_BYTES, Marker, TaskSpec
from core.runtime.executor import Executor

PATIENCE_S = 20.0


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


def run(*jobs: Job, slots: int = 1) -> list[Result]:
    results: queue.SimpleQueue[Result] = queue.SimpleQueue()
    executor = Executor(handlers, slots, results.put)
    executor.run(jobs)
    try:
        return [results.get(timeout=PATIENCE_S) for _ in jobs]
    finally:
        executor.close()


def test_a_result_carries_its_token_and_times() -> None:
    (result,) = run(job("echo", [1]))
    assert msgspec.json.decode(result.result) == {"payload": [1], "token": 7, "attempt": 2}
    assert (result.error, result.token, result.key) == (None, 7, job("echo").key)
    assert result.started_mono <= result.finished_mono


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
    kind: str, payload: object, sentence: str
) -> None:
    failed, after = run(job(kind, payload), job("echo", number=2))
    assert failed.error is not None
    assert sentence in failed.error
    assert msgspec.json.decode(msgspec.json.encode(failed.error)) == failed.error
    assert bytes(failed.result) == b"null"
    assert after.error is None


def test_slots_run_side_by_side() -> None:
    together = threading.Barrier(3)
    mine = Handlers()
    mine.handler("meet")(lambda _: together.wait(PATIENCE_S))
    results: queue.SimpleQueue[Result] = queue.SimpleQueue()
    executor = Executor(mine, 3, results.put)
    executor.run([job("meet", number=1)])
    executor.run([job("meet", number=number) for number in (2, 3)])
    assert [results.get(timeout=PATIENCE_S).error for _ in range(3)] == [None] * 3
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("slot-")]
    executor.close()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
