"""Random additions, removals and reads: the index in order holds what a plain set holds."""

from hypothesis import given
from hypothesis import strategies as st

from core.kv.ordered import OrderedKeys

KEYS = [f"{folder}{number}" for folder in ("a", "run/", "run/a/", "rum/") for number in range(12)]
STEPS = st.lists(st.sampled_from(KEYS) | st.just(None), max_size=200)
BORDERS = st.sampled_from(["", "a", "a3", "run/", "run/4", "run/a/", "run0", "s", "~"])


@given(steps=STEPS, key=BORDERS, end=BORDERS, limit=st.integers(0, 5))
def test_reads_find_what_a_set_holds(steps: list[str | None], key: str, end: str, limit: int) -> None:
    """A key is added where it is absent and removed where it is there; None reads."""
    ordered, plain = OrderedKeys(), set[str]()
    for step in [*steps, None]:
        if step is None:
            expected = sorted(one for one in plain if key <= one < end)
            assert ordered.first(key, end, limit) == (expected[: limit or None], len(expected))
        elif step in plain:
            ordered.remove(step)
            plain.remove(step)
        else:
            ordered.add(step)
            plain.add(step)
    assert sorted(ordered) == sorted(plain)
