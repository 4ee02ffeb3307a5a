"""Who takes the next task, and how much each worker may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.machine.fleet import Fleet
from core.machine.messages import Now
from core.model import WorkerRecord
from core.policy.placement import PLACEMENTS, Candidate, least_loaded
from core.settings import SchedulerSettings

T0 = Now(0.0, 0.0)
ECHO = ("default", "echo")


def fleet(*, parts: int = 1, max_buffer: int = 256, polling: bool = False, placement: str = "least_loaded") -> Fleet:
    settings = SchedulerSettings(max_buffer=max_buffer, dispatch="poll" if polling else "watch", placement=placement)
    return Fleet(lambda credit, _: credit // parts, settings)


def record(slots: int = 2, queues: tuple[str, ...] = (), types: tuple[str, ...] = ("echo",)) -> WorkerRecord:
    return WorkerRecord("w", slots, queues, types)


def test_the_least_loaded_takes_the_next_and_ties_go_by_id() -> None:
    some = fleet()
    some.put("b", record(2), T0)
    some.put("a", record(2), T0)
    some.put("c", record(8), T0)
    order = []
    for number in range(12):
        worker = some.pick(ECHO, deep=False)
        assert worker is not None
        order.append(worker)
        some.hold(worker, f"t{number}", T0)
        some.validate()
    assert "".join(order) == "abcccc" + "abcccc"  # 1 of 2 is as much as 4 of 8
    assert some.pick(ECHO, deep=True) is None
    some.release("a", ["t0"], T0, completed=False)
    assert some.pick(ECHO, deep=False) == "a"


def test_a_task_goes_to_whom_serves_its_queue_and_type() -> None:
    some = fleet()
    some.put("any", record(types=("echo", "gpu")), T0)
    some.put("mail", record(queues=("mail",)), T0)
    assert some.pick(("mail", "gpu"), deep=False) == "any"
    some.hold("any", "t1", T0)
    assert some.pick(("mail", "echo"), deep=False) == "mail"
    assert some.pick(ECHO, deep=False) == "any"
    assert not some.serves(("default", "tpu"))
    some.remove("any")
    assert not some.serves(ECHO)
    assert some.pick(ECHO, deep=False) is None


def test_a_draining_worker_takes_nothing_and_serves_nothing() -> None:
    some = fleet()
    some.put("a", record(), T0)
    some.put("a", WorkerRecord("w", 2, (), ("echo",), draining=True), T0)
    assert some.pick(ECHO, deep=True) is None
    assert not some.serves(ECHO)
    assert some.room == 0


def busy(some: Fleet, service_s: float, txn_s: float) -> None:
    """Let worker `a` (2 slots) show its service time."""
    some.assigned(txn_s)
    mono = 0.0
    for number in range(50):
        some.hold("a", f"x{number}", Now(mono, 0.0))
        mono += service_s
        some.release("a", [f"x{number}"], Now(mono, 0.0), completed=True)


@pytest.mark.parametrize(("service_s", "room"), [(1.0, 2), (0.001, 14)])
def test_short_tasks_get_a_buffer_long_ones_none(service_s: float, room: int) -> None:
    some = fleet()
    some.put("a", record(2), T0)
    busy(some, service_s, 0.002)
    assert some.room == room


def test_a_buffer_fills_from_a_deep_backlog_only() -> None:
    for parts in (1, 2):  # alone, and as one of two schedulers
        some = fleet(parts=parts)
        some.put("a", record(4), T0)
        busy(some, 0.001, 0.002)
        for number in range(4 // parts):
            assert some.pick(ECHO, deep=False) == "a"
            some.hold("a", f"t{number}", T0)
        assert some.pick(ECHO, deep=False) is None
        assert some.pick(ECHO, deep=True) == "a"


def test_without_a_buffer_nothing_beyond_the_slots() -> None:
    some = fleet(max_buffer=0)
    some.put("a", record(2), T0)
    busy(some, 0.0001, 0.01)
    assert some.room == 2


def test_polling_workers_get_a_second_set_that_waits_in_etcd() -> None:
    some = fleet(polling=True)
    some.put("a", record(3), T0)
    assert some.room == 6


def most_loaded(worker: Candidate) -> float:
    """Fill one worker before the next."""
    return -worker.load


@pytest.fixture
def packing(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(PLACEMENTS, "packing", most_loaded)
    return "packing"


def test_another_placement_chooses_another_worker(packing: str) -> None:
    some = fleet(placement=packing)
    some.put("a", record(3), T0)
    some.put("b", record(3), T0)
    order = []
    for number in range(6):
        worker = some.pick(ECHO, deep=False)
        assert worker is not None
        order.append(worker)
        some.hold(worker, f"t{number}", T0)
        some.validate()
    assert "".join(order) == "aaabbb"
    some.release("a", ["t0", "t1"], T0, completed=False)
    some.release("b", ["t3"], T0, completed=False)
    assert some.pick(ECHO, deep=False) == "b"  # which holds two of three


def test_a_free_slot_goes_before_a_buffer_whatever_the_placement(packing: str) -> None:
    some = fleet(placement=packing)
    for worker in "ab":
        some.put(worker, record(2), T0)
    busy(some, 0.001, 0.002)
    for number, worker in enumerate("aabb"):
        assert some.pick(ECHO, deep=True) == worker
        some.hold(worker, f"t{number}", T0)
    assert some.pick(ECHO, deep=False) is None
    assert some.pick(ECHO, deep=True) == "a"  # of two slots and a buffer


@given(
    st.lists(st.tuples(st.sampled_from("hrpx"), st.sampled_from("abc"), st.integers(0, 9)), max_size=120), st.booleans()
)
def test_whoever_has_room_is_found(steps: list[tuple[str, str, int]], packed: bool) -> None:
    """The heaps with their outdated entries against a plain search."""
    score = most_loaded if packed else least_loaded
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PLACEMENTS, "tried", score)
        some = fleet(placement="tried")
    for kind, worker, number in steps:
        if kind == "h":
            if (state := some.get(worker)) and len(state.held) < state.share:
                some.hold(worker, f"t{number}", T0)
        elif kind == "r":
            some.release(worker, [f"t{number}"], T0, completed=False)
        elif kind == "p":
            some.put(worker, record(1 + number % 3, types=("echo",) if number % 2 else ("echo", "gpu")), T0)
        else:
            some.remove(worker)
        some.validate()
        states = [state for worker_id in some.ids() if (state := some.get(worker_id))]
        free = [(state.load >= 1, score(state), state.id) for state in states if len(state.held) < state.share]
        assert some.pick(ECHO, deep=True) == (min(free)[2] if free else None)
