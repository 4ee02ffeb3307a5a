"""The calendar keeps the order of SimPy's heap: by time, then by the order in which things were scheduled."""

from collections.abc import Generator
from math import inf, nextafter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.kernel import DAY_S, Kernel

MOMENTS = st.sampled_from([number * DAY_S for number in range(10)]) | st.floats(0.0, 1.0)


@given(st.lists(st.tuples(MOMENTS, st.lists(MOMENTS, max_size=3)), max_size=30))
def test_calls_come_in_order_wherever_they_fall_among_the_days(calls: list[tuple[float, list[float]]]) -> None:
    kernel = Kernel()
    made: list[tuple[float, int]] = []
    expected: list[tuple[float, int]] = []

    def call(at: float, number: int, then: list[float]) -> None:
        made.append((kernel.now, number))
        assert kernel.now == at
        for delay_s in then:
            add(delay_s, [])

    def add(delay_s: float, then: list[float]) -> None:
        at, number = kernel.now + delay_s, len(expected)
        expected.append((at, number))
        kernel.call_in(delay_s, call, at, number, then)

    for delay_s, then in calls:
        add(delay_s, then)
    kernel.run()
    assert made == sorted(expected)
    assert kernel.events == len(expected)


def test_calls_come_in_order_on_both_sides_of_midnight() -> None:
    """Dividing a moment by the length of a day may round it into another day; calls of one moment must not part."""
    kernel = Kernel()
    made: list[tuple[float, str]] = []

    def note(text: str) -> None:
        made.append((kernel.now, text))

    midnights = [number * DAY_S for number in range(1, 3000)]
    moments = [at for night in midnights for at in (night, nextafter(night, inf), nextafter(night, 0.0))]
    for at in moments:
        kernel.call_at(at, note, "first")
        kernel.call_at(at - 0.6 * DAY_S, kernel.call_at, at, note, "second")
        kernel.call_at(at - 0.4 * DAY_S, kernel.call_at, at, note, "third")
    kernel.run()
    assert made == [(at, text) for at in sorted(moments) for text in ("first", "second", "third")]


def test_simpys_own_events_and_calls_share_one_queue() -> None:
    kernel = Kernel()
    heard: list[tuple[float, str]] = []

    def process() -> Generator[Any, Any, None]:
        for _ in range(3):
            yield kernel.timeout(0.5)
            heard.append((kernel.now, "timeout"))

    kernel.process(process())
    kernel.call_at(0.5, lambda: heard.append((kernel.now, "call")))  # before the process has set its first timer
    kernel.call_at(1.5, lambda: heard.append((kernel.now, "call")))
    kernel.run(until=1.4)
    assert kernel.now == 1.4
    assert heard == [(0.5, "call"), (0.5, "timeout"), (1.0, "timeout")]
    kernel.run()
    assert heard[3:] == [(1.5, "call"), (1.5, "timeout")]


def test_an_event_that_never_comes_is_noticed() -> None:
    kernel = Kernel()
    with pytest.raises(RuntimeError, match="No scheduled events left"):
        kernel.run(until=kernel.event())
