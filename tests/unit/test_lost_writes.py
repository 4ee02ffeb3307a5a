"""Writes that a barrier has overtaken are given up; others never."""

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from core.etcd.lost import LostWrites

TIMEOUT_S = 10.0

Barriers = queue.SimpleQueue[Callable[[], None]]


@pytest.fixture
def barriers() -> Barriers:
    """What is called when a barrier has been carried out, in the order of sending."""
    return queue.SimpleQueue()


@pytest.fixture
def writes(barriers: Barriers) -> Iterator[LostWrites]:
    watched = LostWrites(barriers.put)
    yield watched
    watched.close()


def sent(writes: LostWrites) -> tuple["Future[Any]", "queue.SimpleQueue[bool]"]:
    """A write under way, and what tells when it is over: whether it was given up."""
    call: Future[Any] = Future()
    over: queue.SimpleQueue[bool] = queue.SimpleQueue()
    call.add_done_callback(lambda done: over.put(done.cancelled()))
    writes.watch(call)
    return call, over


def test_a_write_that_a_barrier_has_overtaken_is_given_up(writes: LostWrites, barriers: Barriers) -> None:
    _, over = sent(writes)
    barriers.get(timeout=TIMEOUT_S)()
    assert over.get(timeout=TIMEOUT_S)


def test_a_barrier_that_is_lost_as_well_is_followed_by_others(writes: LostWrites, barriers: Barriers) -> None:
    call, over = sent(writes)
    for _ in range(3):
        barriers.get(timeout=TIMEOUT_S)
    assert not call.done(), "no barrier was carried out: the disk may be slow"
    barriers.get(timeout=TIMEOUT_S)()
    assert over.get(timeout=TIMEOUT_S)


def test_a_write_that_was_sent_about_when_the_barrier_was_is_not_given_up(
    writes: LostWrites, barriers: Barriers
) -> None:
    _, over = sent(writes)
    carried_out = barriers.get(timeout=TIMEOUT_S)
    late, _ = sent(writes)
    carried_out()
    assert over.get(timeout=TIMEOUT_S)
    for _ in range(2):  # two more looks at it
        barriers.get(timeout=TIMEOUT_S)
    assert not late.done()


def test_writes_that_are_answered_call_for_no_barrier(writes: LostWrites, barriers: Barriers) -> None:
    for number in range(5):
        sent(writes)[0].set_result(number)
    _, over = sent(writes)
    barriers.get(timeout=TIMEOUT_S)()  # the thread is awake, and found nothing but the last one
    assert over.get(timeout=TIMEOUT_S)
    assert not writes._open


def test_close_ends_the_thread_and_no_write_is_watched_any_more(barriers: Barriers) -> None:
    writes = LostWrites(barriers.put)
    sent(writes)
    writes.close()
    thread = writes._thread
    assert thread is not None
    assert not thread.is_alive()
    while not barriers.empty():
        barriers.get()
    sent(writes)
    with pytest.raises(queue.Empty):
        barriers.get(timeout=0.8)
