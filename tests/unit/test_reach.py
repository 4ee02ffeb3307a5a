"""How far pages look: whatever the ids are, all is seen, with few reads and few keys visited in vain."""

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kv import keys
from core.kv.memory import MemoryKv
from core.kv.requests import Change, Found, Get, Kv, Put, Txn, TxnDone
from core.machine.messages import Load, Loaded, LoadPage, PageLoaded
from core.machine.reach import WIDEN_MOST, Reach
from core.machine.window import Window
from core.model import Garbage, Marker, TaskSpec
from core.procedure import table
from core.procedure.base import Procedure

MS = 1 << 80
"""In an id, a millisecond: 48 bits of time stand before 80 bits that are random."""
NOW_MS = 1_760_000_000_000
SIZE = 64


def time_ordered(moments_ms: Iterable[float], seed: int = 1) -> list[int]:
    """Ids as a client makes them at these moments."""
    rng = random.Random(seed)
    return sorted((NOW_MS + int(moment)) * MS + rng.getrandbits(80) for moment in moments_ms)


def key_of(number: int, priority: int = 5) -> str:
    return keys.ready("default", priority, f"{number:032x}")


def kv(key: str) -> Kv:
    return Kv(key, Marker(TaskSpec(key[-32:], "echo")), 2)


class Drained(NamedTuple):
    pages: int
    visited: int  # keys in the ranges that were asked for
    keys: list[str]


class Store:
    """etcd with a queue in it, which knows what reads cost."""

    def __init__(self, ready: Sequence[str]) -> None:
        self.kv = MemoryKv(max_operations=max(128, len(ready)))
        puts = tuple(
            Put(key, Marker(TaskSpec(key[-32:], "echo")) if keys.parse_ready(key) else Garbage("not ours"))
            for key in ready
        )
        assert isinstance(self.kv.apply(Txn((), puts), 0.0), TxnDone)
        self.visited = self.reads = 0

    def perform(self, procedure: Procedure) -> object:
        try:
            request = next(procedure)
            while True:
                assert isinstance(request, Get | Txn)
                answer = self.kv.apply(request, 0.0)
                if isinstance(answer, Found):
                    self.reads += 1
                    self.visited += answer.count
                request = procedure.send(answer)
        except StopIteration as stop:
            return stop.value

    def drain(self, size: int = SIZE) -> Drained:
        """Everything, in the order in which a scheduler takes it. What the first listing reads is not counted."""
        loaded = self.perform(table.start(Load(size)))  # type: ignore[arg-type]
        assert isinstance(loaded, Loaded)
        self.visited = self.reads = 0
        window = Window("default", size, lambda _: True, lambda _: True)
        window.reset((), loaded.revision, {}, more=False)
        for queue in loaded.ready:
            window.reset(queue.kvs, loaded.revision, {}, more=queue.more)
        return self.drain_window(window)

    def drain_window(self, window: Window) -> Drained:
        taken: list[str] = []
        while True:
            asked = window.page_wanted()
            if asked is not None:
                window.page(self.page(asked))
                window.validate()
            choice = window.first(lambda _: "worker")
            if choice is not None:
                taken.append(choice[0].key)
            elif asked is None:
                return Drained(self.reads, self.visited, taken)

    def page(self, asked: LoadPage) -> PageLoaded:
        page = self.perform(table.start(asked))  # type: ignore[arg-type]
        assert isinstance(page, PageLoaded)
        assert len(page.kvs) <= asked.limit
        return page


DENSE = [n / 20 for n in range(20_000)]
SPARSE = [n * 60_000 for n in range(2_000)]
BURSTS = [burst * 3_600_000 + n / 20 for burst in range(100) for n in range(200)]


@pytest.mark.parametrize(
    ("ready", "most_pages_per_window", "most_visits_per_key"),
    [
        pytest.param([key_of(one) for one in time_ordered(DENSE)], 3, 3, id="20 a millisecond"),
        pytest.param([key_of(one) for one in time_ordered(SPARSE)], 3, 3, id="one a minute"),
        pytest.param([key_of(one) for one in time_ordered(BURSTS)], 5, 4, id="a burst every hour"),
        pytest.param(
            [key_of(one, n % 10) for n, one in enumerate(time_ordered(DENSE))], 4, 3, id="ten priorities, dense"
        ),
        pytest.param([key_of(random.Random(n).getrandbits(128)) for n in range(20_000)], 3, 3, id="random ids"),
        pytest.param([key_of(n) for n in range(20_000)], 3, 3, id="counted ids"),
        pytest.param([key_of(2**128 - 1 - n) for n in range(5_000)], 3, 3, id="the last ids that there are"),
    ],
)
def test_a_long_queue_is_read_in_few_pages_that_visit_few_keys(
    ready: list[str], most_pages_per_window: int, most_visits_per_key: int
) -> None:
    """Unbounded, 20,000 keys in pages of 64 would cost 3 million visits."""
    drained = Store(ready).drain()
    assert drained.keys == sorted(ready)
    assert drained.pages <= most_pages_per_window * len(ready) / SIZE
    assert drained.visited <= most_visits_per_key * len(ready)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2**128 - 1) | st.integers(0, 50)), unique=True, max_size=60),
    st.integers(1, 8),
)
def test_any_ids_are_seen_once_and_in_order(ready: list[tuple[int, int]], size: int) -> None:
    names = [key_of(number, priority) for priority, number in ready]
    drained = Store(names).drain(size)
    assert drained.keys == sorted(names)


def test_an_empty_queue_needs_no_page() -> None:
    assert Store([]).drain() == Drained(0, 0, [])


def test_keys_that_are_not_ours_are_passed_by() -> None:
    ours = [key_of(number) for number in range(200)]
    foreign = [
        *(f"ready/default/4/{n}" for n in range(50)),
        *(f"ready/default/5/{'0' * 31}z{n}" for n in range(50)),
        *(f"ready/default/x{n}/{'0' * 32}" for n in range(50)),
        *(f"ready/default/{n}" for n in range(50)),
        *(f"ready/default/5/0_0{n}" for n in range(50)),
    ]
    assert Store([*ours, *foreign]).drain(8).keys == ours


def test_the_first_page_looks_at_everything_because_nothing_is_known() -> None:
    assert Reach("default", 4).until(keys.ready_queue("default")) == ""


def test_a_page_looks_as_far_as_the_one_before_had_to() -> None:
    reach = Reach("default", 5)
    reach.read([kv(key_of(number)) for number in (100, 110, 120, 130, 140)], "", cut=True)
    assert reach.until(key_of(140)) == key_of(190)  # 10 apart: 5 of them


def test_a_thin_page_makes_the_next_one_look_further_and_a_cut_one_less_far() -> None:
    reach = Reach("default", 4)
    reach.read([kv(key_of(number)) for number in (0, 10, 20, 30)], "", cut=True)
    reach.read([kv(key_of(35))], key_of(70), cut=False)
    assert reach.until(key_of(70)) == key_of(70 + 4 * 40)
    reach.read([], key_of(230), cut=False)
    assert reach.until(key_of(230)) == key_of(230 + 160 * WIDEN_MOST)
    reach.read([kv(key_of(number)) for number in (500, 501, 502, 503)], key_of(230 + 160 * WIDEN_MOST), cut=True)
    assert reach.until(key_of(503)) == key_of(507)


def test_a_page_crosses_into_the_next_priority_and_ends_at_the_last() -> None:
    reach = Reach("default", 2)
    reach.read([kv(key_of(0)), kv(key_of(2**127))], "", cut=True)
    assert reach.until(key_of(2**127)) == key_of(2**127, priority=6)
    assert reach.until(key_of(2**127, priority=9)) == ""
    for _ in range(5):
        reach.read([], key_of(0, priority=1), cut=False)  # further than all priorities
    assert reach.until(key_of(0, priority=1)) == ""


@pytest.mark.parametrize("tail", ["x", "5/zzz", "5/5/5", ":/0", "5/0_0", "\u0665/0"])
def test_behind_a_key_that_is_not_ours_everything_is_looked_at(tail: str) -> None:
    after = keys.ready_queue("default") + tail
    reach = Reach("default", 2)
    reach.read([kv(key_of(0)), kv(key_of(1))], "", cut=True)
    assert reach.until(after) == ""


def test_the_end_of_a_bounded_page_is_not_the_end_of_the_queue() -> None:
    window = Window("default", 4, lambda _: True, lambda _: True)
    window.reset([kv(key_of(number)) for number in range(4)], 5, {}, more=True)
    for _ in range(4):
        window.take(("default", "echo"))
    asked = window.page_wanted()
    assert asked is not None
    assert asked == LoadPage("default", key_of(3), 4, key_of(7))
    window.page(PageLoaded("default", asked.after, (), more=False, revision=5, until=asked.until))
    again = window.page_wanted()
    assert again is not None
    assert again.after == asked.until
    window.page(PageLoaded("default", again.after, (), more=False, revision=5))
    assert window.page_wanted() is None


def test_what_overflows_the_window_while_a_page_arrives_is_paged_in_again() -> None:
    """Much came behind the cursor while the page was on its way; what the window lets go of must not be forgotten."""
    ready = [key_of(number) for number in range(12)]
    store = Store(ready)
    window = Window("default", 4, lambda _: True, lambda _: True)
    window.reset([kv(ready[8])], 1, {}, more=True)  # the cursor stands behind the ninth
    asked = window.page_wanted()
    assert asked is not None
    for key in ready[1:8]:
        window.change(Change(key, kv(key).value, 2))
    window.page(store.page(asked))
    assert store.drain_window(window).keys == ready[1:]
