"""Single stories of the window, for whoever reads the module."""

import pytest

from core.kv import keys
from core.kv.requests import Change, Kv
from core.machine.backlog import Backlog
from core.machine.messages import LoadPage, PageLoaded, QueuePage
from core.machine.window import Window
from core.model import Marker, TaskSpec
from core.settings import SchedulerSettings
from tests.unit.window_bench import SIZE, kv, read, task_id

# --- single stories, for whoever reads the module ---------------------------------------------------------------


@pytest.fixture
def window() -> Window:
    return Window("default", SIZE, lambda kind: kind[1] != "gpu", lambda _: True)


def test_what_nobody_serves_does_not_fill_the_window(window: Window) -> None:
    window.reset([kv(number, number + 2, "gpu") for number in range(SIZE)], 50, {}, more=True)
    assert len(window) == 0
    assert list(window._skipped) == [("default", "gpu")]
    asked = window.page_wanted()
    assert asked is not None
    assert asked.after == kv(SIZE - 1, 0).key


def test_a_class_that_gets_a_worker_is_paged_in_again() -> None:
    served: set[str] = {"echo"}
    window = Window("default", SIZE, lambda kind: kind[1] in served, lambda _: True)
    stored = [kv(number, number + 2, "gpu" if number < 2 else "echo") for number in range(SIZE)]
    window.reset(stored, 50, {}, more=False)
    assert window.page_wanted() is None
    served.add("gpu")
    window.eligibility_changed()
    asked = window.page_wanted()
    assert asked is not None
    assert asked.after < stored[0].key
    window.page(read({one.key: one for one in stored}, 51, asked))
    assert [window.take(("default", "gpu")).key for _ in range(2)] == [stored[0].key, stored[1].key]


def test_a_page_from_before_a_new_listing_is_dropped(window: Window) -> None:
    """It would move the cursor past what arrived in between."""
    stored = [kv(number, 2) for number in range(6)]
    window.reset(stored[:1], 10, {}, more=True)
    asked = window.page_wanted()
    assert asked is not None
    assert asked.after == stored[0].key
    stale = read({stored[1].key: stored[1]}, 15, asked)
    window.reset(stored[:1], 20, {}, more=True)
    window.change(Change(stored[5].key, stored[5].value, 21))  # beyond the cursor: left to a page
    assert window.page_wanted() == asked
    window.page(stale)
    assert window._cursor == asked.after, "the page of before the listing was believed"
    window.page(PageLoaded("default", asked.after, tuple(stored[1:]), more=False, revision=22))
    assert len(window) == 6


def test_what_changes_while_a_page_is_on_its_way_is_not_forgotten(window: Window) -> None:
    """The page was read before, and moves the cursor past it."""
    stored = [kv(number, 2) for number in range(4)]
    window.reset(stored[:1], 10, {}, more=True)
    asked = window.page_wanted()
    assert asked is not None
    window.change(Change(stored[3].key, stored[3].value, 12))
    window.change(Change(stored[1].key, None, 13, deleted=True))
    window.page(PageLoaded("default", asked.after, tuple(stored[1:3]), more=False, revision=11))
    assert sorted(window._entries) == [stored[0].key, stored[2].key, stored[3].key]


def test_what_was_assigned_is_forgotten_as_soon_as_nothing_can_show_it_again(window: Window) -> None:
    window.reset((), 1, {}, more=False)
    early, late = kv(1, 5), kv(2, 6)
    for one in (early, late):
        window.change(Change(one.key, one.value, one.mod_revision))
        window.assigned(window.take(("default", "echo")))
        assert not window._taken
    ahead = kv(3, 9)
    window.reset((ahead,), 8, {}, more=False)  # as a page that is ahead of the watch
    window.assigned(window.take(("default", "echo")))
    window.change(Change(ahead.key, ahead.value, 9))
    assert window.own == 0, "the late watch brings it back"


def test_what_was_taken_is_not_taken_again_from_a_page_or_a_late_watch(window: Window) -> None:
    stored = kv(1, 7)
    window.reset([stored], 7, {}, more=False)
    entry = window.take(("default", "echo"))
    window.change(Change(stored.key, stored.value, 7))
    assert len(window) == 0
    window.put_back(entry)
    assert len(window) == 1
    window.take(("default", "echo"))
    window.change(Change(stored.key, None, 8, deleted=True))
    window.change(Change(stored.key, stored.value, 9))  # the same task, back from a retry
    assert len(window) == 1


# --- queues side by side ----------------------------------------------------------------------------------------


def page(queue: str, *numbers: int, more: bool = False) -> QueuePage:
    specs = [TaskSpec(task_id(number), "echo", queue=queue) for number in numbers]
    return QueuePage(queue, tuple(Kv(keys.ready(queue, 5, s.id), Marker(s), 2) for s in specs), more)


def test_queues_take_turns() -> None:
    backlog = Backlog(SchedulerSettings(), lambda _: True)
    backlog.load((page("long", 1, 2, 3), page("short", 4)), 5, {})
    order = []
    while (choice := backlog.next(lambda _: "worker")) is not None:
        order.append(int(choice[0].marker.spec.id, 16))
    assert order == [1, 4, 2, 3]


def test_what_is_taken_is_left_out_of_a_listing_unless_it_is_new() -> None:
    backlog = Backlog(SchedulerSettings(), lambda _: True)
    listing = page("q", 1, 2)
    backlog.load((listing,), 5, {listing.kvs[0].key: 2, listing.kvs[1].key: 1})
    choice = backlog.next(lambda _: "worker")
    assert choice is not None
    assert choice[0].key == listing.kvs[1].key
    assert backlog.next(lambda _: "worker") is None


@pytest.mark.parametrize("dispatch", ["watch", "poll"])
def test_pages_are_fetched_in_both_modes(dispatch: str) -> None:
    settings_ = SchedulerSettings(dispatch="poll" if dispatch == "poll" else "watch", window=SIZE)
    backlog = Backlog(settings_, lambda _: False)
    listing = page("q", 1, 2, 3, 4, more=True)
    backlog.load((listing,), 5, {})
    until = keys.ready("q", 5, task_id(4 + 4))  # four ids held four tasks
    assert backlog.wants() == [LoadPage("q", listing.kvs[-1].key, SIZE, until)]
    assert backlog.wants() == []
    backlog.page(PageLoaded("q", listing.kvs[-1].key, (), more=False, revision=6, until=until))
    assert [page_.after for page_ in backlog.wants() if isinstance(page_, LoadPage)] == [until]
    backlog.page(PageLoaded("q", until, (), more=False, revision=6))
    assert backlog.wants() == []
