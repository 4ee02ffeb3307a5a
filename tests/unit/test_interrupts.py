"""A Ctrl-C while a library is at work is told when it has finished."""

import os
import signal
import threading
import time

import pytest

from core.etcd.interrupts import uninterrupted


def interrupt(number: signal.Signals = signal.SIGINT) -> None:
    """As Ctrl-C does; returns when the handler has run, or raises what it raises."""
    os.kill(os.getpid(), number)
    time.sleep(0.001)  # the interpreter looks for signals between instructions


def whole(done: list[str]) -> None:
    with uninterrupted():
        interrupt()
        done.append("the rest")


def test_what_is_inside_is_done_whole_and_the_interrupt_counts_after_it() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        whole(done)
    assert done == ["the rest"]


def terminated(done: list[str]) -> None:
    with uninterrupted():
        interrupt(signal.SIGTERM)
        done.append("the rest")


def test_so_does_the_end_from_outside_where_a_program_has_it_raise() -> None:
    usual, done = signal.signal(signal.SIGTERM, signal.default_int_handler), list[str]()
    try:
        with pytest.raises(KeyboardInterrupt):
            terminated(done)
        assert done == ["the rest"]
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, usual)


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_signal_that_python_does_not_handle_is_left_alone(handler: signal.Handlers) -> None:
    usual = signal.signal(signal.SIGTERM, handler)
    try:
        with uninterrupted():
            assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, usual)


def test_outside_an_interrupt_counts_at_once() -> None:
    with uninterrupted():
        pass
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def nested(done: list[str]) -> None:
    with uninterrupted():
        whole(done)
        done.append("between")


def test_blocks_in_blocks_are_told_at_the_end_of_the_outermost() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        nested(done)
    assert done == ["the rest", "between"]


def failing() -> None:
    with uninterrupted():
        interrupt()
        raise ValueError("of the library")


def test_an_error_inside_is_not_lost_in_the_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt) as told:
        failing()
    assert isinstance(told.value.__context__, ValueError)


def test_other_threads_have_no_part_in_it() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_program_that_ignores_interrupts_goes_on_ignoring_them() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with uninterrupted():
            interrupt()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
