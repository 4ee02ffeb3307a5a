"""A line against a sorted set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.machine.line import Line


@given(st.lists(st.tuples(st.sampled_from(["add", "pop", "lose"]), st.integers(0, 9).map(str))))
def test_the_smallest_key_that_is_held_comes_first(steps: list[tuple[str, str]]) -> None:
    line = Line(("default", "echo"))
    held: set[str] = set()
    for step, key in steps:
        if step == "add" and key not in held:
            held.add(key)
            line.add(key)
        elif step == "lose":
            held.discard(key)
        elif step == "pop" and held:
            head = line.head(held)
            assert head is not None
            line.pop(head)
            held.remove(head)
        assert line.head(held) == min(held, default=None)
        assert set(line) >= held


@pytest.mark.parametrize("order", ["123", "321", "213"])
def test_a_cleared_line_is_empty(order: str) -> None:
    line = Line(("default", "echo"))
    for key in order:
        line.add(key)
    line.clear()
    assert line.head("123") is None
    assert list(line) == []
