"""A store with a shelf answers as one without, whatever was put away."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from core.kv.memory import MemoryKv
from core.kv.requests import Kv
from tests.property.test_memory import ALL_KEYS, CONVERSATIONS, placed


class Greedy:
    """Takes everything."""

    prefixes: tuple[str, ...] = ("",)

    def __init__(self) -> None:
        self.kvs: dict[str, Kv] = {}

    def take(self, kv: Kv) -> bool:
        self.kvs[kv.key] = kv
        return True

    def give_back(self, key: str) -> Kv | None:
        return self.kvs.pop(key, None)

    def within(self, key: str, end: str) -> list[str]:
        return [one for one in self.kvs if key <= one < end]

    def each(self, prefix: str) -> Iterator[Kv]:
        return (kv for key, kv in self.kvs.items() if key.startswith(prefix))


@given(CONVERSATIONS, st.lists(st.sampled_from(ALL_KEYS), max_size=20))
def test_what_lies_on_a_shelf_answers_all_the_same(conversation: list[object], away: list[str]) -> None:
    shelf = Greedy()
    with_shelf, without = MemoryKv(shelf=shelf), MemoryKv()
    for number, request in enumerate(conversation):
        asked = placed(request, 0)  # type: ignore[arg-type]
        assert with_shelf.apply(asked, 0.0) == without.apply(asked, 0.0)
        for key in away[number::3]:
            with_shelf.records.put_away(key)
        with_shelf.validate()
        assert not set(shelf.kvs) & set(with_shelf.records.data)
    for prefix in ("", "d/", "d/e/"):
        found = sorted(with_shelf.records.each(prefix), key=lambda kv: kv.key)
        assert found == sorted(without.records.each(prefix), key=lambda kv: kv.key)
    assert sorted(without.records.each(""), key=lambda kv: kv.key) == sorted(
        (kv for key in ALL_KEYS if (kv := with_shelf.records.find(key)) is not None), key=lambda kv: kv.key
    )
