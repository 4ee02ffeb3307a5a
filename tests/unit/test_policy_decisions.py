"""The pure functions: backoff, batches, credit, shares, ticks."""

from collections import Counter, deque
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import TaskSpec
from core.policy.backoff import retry_delay_s
from core.policy.batch import cut, worth_sending
from core.policy.credit import ServiceEstimate, buffer_size
from core.policy.share import credit_share, owner
from core.policy.ticker import Ticks
from core.settings import ClientSettings

NAMES = st.lists(st.text("abcxyz019.-", min_size=1, max_size=12), min_size=1, max_size=7, unique=True)


@pytest.mark.parametrize(("failures", "step_s"), [(1, 2.0), (2, 4.0), (3, 8.0), (4, 10.0), (5000, 10.0)])
def test_a_retry_waits_between_half_a_step_and_a_whole_one(failures: int, step_s: float) -> None:
    spec = TaskSpec("1", "echo", backoff_s=2.0, backoff_max_s=10.0)
    rng = Random(1)
    delays = [retry_delay_s(spec, failures, rng) for _ in range(1000)]
    assert step_s / 2 <= min(delays) < step_s * 0.51
    assert step_s * 0.99 < max(delays) <= step_s


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 10), st.integers(1, 100))
def test_batches_keep_order_and_limits(sizes: list[int], max_items: int, max_bytes: int) -> None:
    left, batches = deque(sizes), []
    while left:
        batches.append(cut(left, max_items, max_bytes, lambda size: size))
    assert [size for batch in batches for size in batch] == sizes
    for batch, following in zip(batches, [*batches[1:], []], strict=False):
        assert 1 <= len(batch) <= max_items
        assert len(batch) == 1 or sum(batch) <= max_bytes
        # No batch ends early.
        assert len(batch) == max_items or not following or sum(batch) + following[0] > max_bytes


@given(NAMES, st.text(max_size=20))
def test_one_owner_whom_everybody_agrees_on_and_who_keeps_it_when_others_leave(names: list[str], item: str) -> None:
    who = owner(item, names)
    assert who in names
    assert owner(item, names[::-1]) == who
    for other in names:
        if other != who:
            assert owner(item, [name for name in names if name != other]) == who


def test_nobody_owns_anything_where_nobody_is() -> None:
    assert owner("x", []) is None


def test_shares_are_about_equal() -> None:
    counts = Counter(owner(f"{number:032x}", ["s1.1a", "s2.1b", "s3.1c"]) for number in range(6000))
    assert all(1800 < count < 2200 for count in counts.values()), counts


@given(NAMES, st.integers(0, 500), st.text(max_size=20))
def test_parts_of_a_credit_add_up(names: list[str], credit: int, worker: str) -> None:
    parts = [credit_share(credit, worker, names, name) for name in names]
    assert sum(parts) == credit
    assert max(parts) - min(parts) <= 1


def test_the_remainder_of_a_credit_favours_no_scheduler() -> None:
    firsts = Counter(
        name for worker in range(300) for name in ("a", "b", "c") if credit_share(1, f"worker-{worker}", "abc", name)
    )
    assert all(70 < firsts[name] < 130 for name in "abc"), firsts


@pytest.mark.parametrize(
    ("service_s", "txn_s", "size"),
    [
        (0.0, 0.002, 0),  # unknown: none yet
        (1.0, 0.002, 0),  # the round trip costs 0.6 %
        (0.2, 0.002, 10),  # 3 %: one more set of slots
        (0.001, 0.002, 60),  # shorter than the round trip: bandwidth x delay
        (0.0001, 0.01, 256),  # the limit
    ],
)
def test_only_short_tasks_get_a_buffer(service_s: float, txn_s: float, size: int) -> None:
    assert buffer_size(10, service_s, txn_s, 256) == size
    assert buffer_size(10, service_s, txn_s, 0) == 0


def test_service_time_is_estimated_from_busy_slots() -> None:
    estimate = ServiceEstimate(0.0)
    mono = 0.0
    for _ in range(400):  # 4 busy slots, 8 completions a second: 0.5 s each
        mono += 0.125
        estimate.advance(mono, 4)
        estimate.completed(1)
    assert estimate.service_s == pytest.approx(0.5, rel=0.01)
    for _ in range(400):
        mono += 0.025
        estimate.advance(mono, 4)
        estimate.completed(1)
    assert estimate.service_s == pytest.approx(0.1, rel=0.01)


def polls(ticks: Ticks, *durations_s: float) -> list[float]:
    """Start times of polls that take so long."""
    ticks.start(10.0)
    starts: list[float] = []
    mono = 10.0
    for duration_s in durations_s:
        due = ticks.due
        assert due is not None
        mono = max(mono, due)
        assert not ticks.take(due - 0.001)
        assert ticks.take(mono)
        assert ticks.due is None
        assert not ticks.take(mono + 5.0), "two polls at once"
        starts.append(round(mono - 10.0, 6))
        mono += duration_s
        ticks.done(mono)
    return starts


def test_rate_ticks_on_a_grid_and_delay_counts_from_the_end() -> None:
    assert polls(Ticks("rate", 1.0), 0.3, 0.3, 0.3, 0.3) == [0.0, 1.0, 2.0, 3.0]
    assert polls(Ticks("delay", 1.0), 0.3, 0.3, 0.3, 0.3) == [0.0, 1.3, 2.6, 3.9]


def test_a_slow_poll_finds_one_tick_waiting_and_loses_the_others() -> None:
    # The ticks at 1, 2 and 3 pass during the first poll: one of them waits, and the grid goes on at 4.
    assert polls(Ticks("rate", 1.0), 3.5, 0.1, 0.1, 0.1) == [0.0, 3.5, 4.0, 5.0]
    assert polls(Ticks("delay", 1.0), 3.5, 0.1, 0.1) == [0.0, 4.5, 5.6]


@pytest.mark.parametrize(
    ("waiting", "in_flight", "expected"),
    [
        (0, 0, False),
        (1, 0, True),  # at once, when idle
        (9, 1, False),
        (10, 1, True),
        (10, 3, True),
        (1000, 4, False),
    ],
)
def test_a_transaction_beside_another_must_be_well_filled(waiting: int, in_flight: int, *, expected: bool) -> None:
    assert worth_sending(waiting, in_flight, ClientSettings(max_in_flight=4, min_fill=10, max_batch=100)) is expected


def test_a_full_transaction_is_always_well_filled() -> None:
    assert worth_sending(3, 1, ClientSettings(max_in_flight=2, min_fill=10, max_batch=3))
