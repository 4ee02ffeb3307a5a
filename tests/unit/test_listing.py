"""Many queues: each is found, what is held of it is bounded, and so is what etcd visits."""

from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kv import keys
from core.kv.memory import MemoryKv
from core.kv.requests import Found, Get, Kv, Put, Txn, TxnDone
from core.machine.backlog import Backlog
from core.machine.messages import Load, Loaded, QueuePage
from core.machine.window import Window
from core.model import Marker, TaskSpec
from core.policy import room
from core.policy.room import FULL_WINDOWS, LEAST_WINDOW, queue_window
from core.procedure import listing, observe
from core.settings import SchedulerSettings


class Listed:
    """What `Load` makes of these ready keys, and what it costs."""

    def __init__(self, ready: Sequence[str], window: int) -> None:
        kv = MemoryKv(max_operations=max(128, len(ready)))
        puts = tuple(Put(key, Marker(TaskSpec(key[-32:], "echo", queue=key.split("/")[1]))) for key in ready)
        assert isinstance(kv.apply(Txn((), puts), 0.0), TxnDone)
        self.reads = self.visited = 0
        procedure = observe.load(Load(window))
        request = next(procedure)
        try:
            while True:
                assert isinstance(request, Get | Txn)
                if isinstance(request, Get) and request.end:
                    request.end.encode("utf-8", "surrogateescape")  # or it cannot be sent
                    assert request.key < request.end
                answer = kv.apply(request, 0.0)
                if isinstance(answer, Found):
                    self.reads += 1
                    self.visited += answer.count
                request = procedure.send(answer)
        except StopIteration as stop:
            loaded: Loaded = stop.value
            self.pages = loaded.ready


def _kv(key: str) -> Kv:
    return Kv(key, Marker(TaskSpec(key[-32:], "echo", queue=key.split("/")[1])), 2)


def ready_keys(queues: dict[str, int]) -> list[str]:
    return [keys.ready(queue, 5, f"{number:032x}") for queue, count in queues.items() for number in range(count)]


def check(listed: Listed, ready: Sequence[str], window: int) -> None:
    """Every queue once, in order, each with its first keys."""
    by_queue: dict[str, list[str]] = defaultdict(list)
    for key in sorted(ready):
        by_queue[key.split("/")[1]].append(key)
    share = queue_window(window, len(by_queue))
    assert [page.queue for page in listed.pages] == sorted(by_queue, key=keys.ready_queue)
    for page in listed.pages:
        held = [kv.key for kv in page.kvs]
        assert held == by_queue[page.queue][: len(held)]
        assert page.more or held == by_queue[page.queue]  # "more" may turn out to be nothing, never the other way
        assert len(held) <= share or share == window
        assert held


names = st.text("a-.09Z", min_size=1, max_size=4).filter(keys.is_name)


@given(st.dictionaries(names, st.integers(1, 12), max_size=12), st.integers(1, 8), st.booleans())
def test_every_queue_is_found_with_its_first_tasks(queues: dict[str, int], window: int, few: bool) -> None:
    ready = ready_keys(queues)
    with pytest.MonkeyPatch.context() as patch:
        # Or small numbers would never be looked at in steps, and never shared out.
        patch.setattr(listing, "_FEW", 100 if few else 0)
        patch.setattr(room, "LEAST_WINDOW", 1)
        check(Listed(ready, window), ready, window)


@pytest.mark.parametrize(
    "queues",
    [
        pytest.param([f"queue-{n}" for n in range(300)], id="numbered"),
        pytest.param([f"{n:03d}" for n in range(300)], id="numbers"),
        pytest.param([f"{chr(97 + n % 26)}{n}" for n in range(300)], id="by letter"),
        pytest.param([f"team-{n % 7}.region-{n}.jobs" for n in range(300)], id="long names"),
    ],
)
def test_many_long_queues_are_listed_without_visiting_all_again_and_again(queues: list[str]) -> None:
    ready = ready_keys(dict.fromkeys(queues, 200))
    window = 512
    listed = Listed(ready, window)
    check(listed, ready, window)
    assert sum(len(page.kvs) for page in listed.pages) <= FULL_WINDOWS * window + LEAST_WINDOW * len(queues)
    assert listed.visited <= 15 * len(ready)  # in one range to the end each time: some 150
    assert listed.reads <= 15 * len(queues)


def test_names_that_are_not_ours_do_not_stop_the_listing() -> None:
    ready = [f"ready/{queue}/5/{n:032x}" for queue in ("", "\udcff", "ü", "a b", "good") for n in range(6)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "_FEW", 0)
        assert {page.queue for page in Listed(ready, 2).pages} == {"", "\udcff", "ü", "a b", "good"}


def test_few_queues_have_full_windows_and_many_share_the_room() -> None:
    assert [queue_window(4096, queues) for queues in (0, 1, 4, 5, 8, 9, 1000, 10**6)] == [
        *(4096, 4096, 4096, 2048, 2048, 1024),
        *(LEAST_WINDOW, LEAST_WINDOW),
    ]
    assert queue_window(1, 1) == queue_window(1, 1000) == 1


def test_windows_shrink_when_queues_are_added_and_nothing_is_lost() -> None:
    backlog = Backlog(SchedulerSettings(window=64), lambda _: True)
    ready = {f"q{number}": ready_keys({f"q{number}": 60}) for number in range(64)}
    pages = [QueuePage(queue, tuple(_kv(key) for key in names), more=False) for queue, names in ready.items()]
    backlog.load(tuple(pages[:1]), 5, {})
    assert backlog.own == 60
    backlog.load(tuple(page._replace(kvs=page.kvs[:32], more=True) for page in pages), 6, {})
    assert backlog.own == 64 * 32
    for window in backlog._windows.values():
        assert window.size == queue_window(64, 64)
    backlog.load(tuple(pages[:1]), 7, {})
    assert next(iter(backlog._windows.values())).size == 64


def test_a_window_that_is_made_smaller_pages_the_rest_in_again() -> None:
    window = Window("q0", 64, lambda _: True, lambda _: True)
    held = [_kv(key) for key in ready_keys({"q0": 60})]
    window.reset(held, 5, {}, more=False)
    window.resize(8)
    window.validate()
    assert len(window) == 8
    for _ in range(8):
        window.take(("q0", "echo"))
    asked = window.page_wanted()
    assert asked is not None
    assert (asked.after, asked.limit) == (held[7].key, 8)
