"""The calibration's own parts: cells on the model, the errors that are fitted, medians over rounds, clocks."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import exp, log
from typing import Any

import msgspec
import numpy as np
import pytest

from experiments.calibrate import _overshoot
from experiments.calibration import busy_loop, cells, holes, unknowns
from experiments.calibration.book import Book
from experiments.calibration.cells import Cell, Seen
from experiments.calibration.clock import cpu_s
from experiments.calibration.etcd import COMPARED_CELL, TURNS, Bench
from experiments.calibration.replica import replay
from sim.parameters import REFERENCE, Values, load

VALUES = Values(
    wake_s=0.0002,
    cold_factor=10.0,
    cold_warm_s=0.001,
    cold_idle_s=0.01,
    etcd_batch_s=0.0002,
    etcd_answer_s=0.00005,
    etcd_connection_s=0.0001,
    switch_s=0.005,
)
FEW = [
    Cell(1, 1),
    Cell(10, 8),
    Cell(1, 8, connections=8),
    Cell(1, 1, 0.01, 4),
    Cell(1, 1, 0.003, 1, watched=True),
    Cell(1, 1, 0.003, 1, watched=True, answered=True),
]


def seen(values: Values, count: int = 60) -> dict[Cell, Seen]:
    return {cell: replay(values, cell, count) for cell in FEW}


def test_a_cell_answers_every_transaction_in_order_of_time() -> None:
    for cell, found in seen(VALUES).items():
        assert len(found.latencies_s) == 60, cell.name
        assert min(found.latencies_s) > 0
        assert found.client_cpu_s > 0
        assert found.server_cpu_s > 0
        assert bool(found.heard_s) == cell.watched
    assert seen(VALUES) == seen(VALUES)


def test_callers_at_once_share_fsyncs_and_rests_make_the_first_put_dear() -> None:
    found = seen(VALUES)
    assert found[Cell(1, 1)].puts_per_fsync == 1.0
    assert found[Cell(10, 8)].puts_per_fsync > 10.0
    rested = found[Cell(1, 1, 0.01, 4)]
    assert rested.quantile_s(0.5, 0, 4) > 1.3 * rested.quantile_s(0.5, 3, 4)


@pytest.mark.parametrize("name", ["send_s", "reply_s", "wake_s", "network_delay_s", "etcd_apply_s", "etcd_fsync_s"])
def test_what_is_on_the_way_of_a_put_after_a_rest_is_in_its_latency(name: str) -> None:
    """Also what the model works out ahead of its clock."""
    cell, more_s = Cell(1, 1, 0.01, 1), 0.0001
    plain, slower = (replay(values, cell, 20) for values in (Values(), longer(name, more_s)))
    times = 2 if name == "network_delay_s" else 1
    assert slower.quantile_s(0.5) - plain.quantile_s(0.5) == pytest.approx(times * more_s, abs=1e-7)


@pytest.mark.parametrize("name", ["watch_s", "wake_s"])
def test_what_is_on_the_way_of_a_change_is_in_the_moment_when_it_is_heard(name: str) -> None:
    cell, more_s = Cell(1, 1, 0.01, 1, watched=True), 0.0001
    plain, slower = (replay(values, cell, 20) for values in (Values(), longer(name, more_s)))
    heard = [one.quantile_s(0.5) + float(np.median(one.heard_s)) for one in (plain, slower)]
    assert heard[1] - heard[0] == pytest.approx(more_s, abs=1e-7)


def test_who_answers_a_change_pays_for_it() -> None:
    watched = Cell(1, 1, 0.01, 1, watched=True)
    silent, answering = (replay(Values(), cell, 20) for cell in (watched, replace(watched, answered=True)))
    own_s = Values().send_s + Values().send_item_s + Values().reply_s
    assert answering.listener_cpu_s - silent.listener_cpu_s == pytest.approx(own_s, abs=1e-5)
    assert answering.server_cpu_s > 1.5 * silent.server_cpu_s


def test_the_mean_fsync_of_a_cell_is_told_as_the_server_tells_it() -> None:
    """Alone what it is; beside callers that keep the cores busy it waits for one."""
    on_a_core = msgspec.structs.replace(VALUES, etcd_sync_s=0.0001)
    alone, crowd, wait = (
        replay(values, cell, 100).fsync_s
        for values, cell in ((on_a_core, Cell(1, 1)), (on_a_core, Cell(1, 64)), (VALUES, Cell(1, 64)))
    )
    assert alone == pytest.approx(VALUES.etcd_fsync_s + VALUES.etcd_fsync_item_s, rel=0.01)
    assert crowd > wait + 0.00001


def longer(name: str, by_s: float) -> Values:
    return msgspec.structs.replace(Values(), **{name: getattr(Values(), name) + by_s})


def test_the_model_agrees_with_itself() -> None:
    real = seen(VALUES)
    errors = unknowns._errors(real, real)
    assert {error for *_, error in errors} == {0.0}
    names = {name for _, name, _, _ in errors}
    assert names == {aspect.name for aspect in unknowns.ASPECTS} | {"heard", "listener CPU"}


@pytest.mark.parametrize("name", ["send_s", "etcd_batch_s", "cold_factor", "etcd_connection_s"])
def test_a_cost_twice_as_large_shows_in_some_cell(name: str) -> None:
    changed = msgspec.structs.replace(VALUES, **{name: 2 * getattr(VALUES, name)})
    errors = [error for *_, error in unknowns._errors(seen(VALUES), seen(changed))]
    assert max(errors) > 0.03


def test_a_known_system_is_found_again() -> None:
    """From costs that are off, the fit comes close to what the true parameters do, on cells of the model itself."""
    guesses = {one.name: one.guess for one in unknowns.UNKNOWNS}
    true = msgspec.structs.replace(VALUES, **{**guesses, "send_s": 2.5 * guesses["send_s"], "wake_s": 0.0004})
    real = {cell: replay(true, cell, unknowns.transactions(cell, few=True), seed=2) for cell in FEW}
    at_guess = msgspec.structs.replace(VALUES, **guesses)
    before = _off(real, {cell: replay(at_guess, cell, 50) for cell in FEW})
    found = unknowns.solve(VALUES, real, quick=False)
    after = _off(real, {cell: replay(msgspec.structs.replace(VALUES, **found.values), cell, 50) for cell in FEW})
    assert after < before / 4
    assert set(found.uncertainty) == set(guesses)


def test_a_descent_begins_inside_the_bounds_whatever_the_reference_says(monkeypatch: pytest.MonkeyPatch) -> None:
    far = {one.name: 10 * one.high if number % 2 else one.low / 10 for number, one in enumerate(unknowns.UNKNOWNS)}
    profile = load(REFERENCE)
    for name, value in far.items():
        profile.parameters[name] = msgspec.structs.replace(profile.parameters[name], value=value)
    monkeypatch.setattr(unknowns, "load", lambda _: profile)
    start = unknowns._reference()
    assert all(log(one.low) < at < log(one.high) for one, at in zip(unknowns.UNKNOWNS, start, strict=True))


def test_the_better_of_two_starts_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The costs of the guesses are the true ones here, those of the reference are far off."""
    guesses = {one.name: one.guess for one in unknowns.UNKNOWNS}
    true = msgspec.structs.replace(VALUES, **guesses)
    real = {cell: replay(true, cell, unknowns.transactions(cell, few=True)) for cell in FEW[:2]}
    monkeypatch.setattr(unknowns, "STEPS", 1)
    begun: list[tuple[float, ...]] = []

    def here(work: Callable[[unknowns.Floats], Any], starts: Sequence[unknowns.Floats]) -> list[Any]:
        begun.extend(tuple(start) for start in starts)
        return [work(start) for start in starts]

    monkeypatch.setattr(unknowns, "spread", here)
    assert unknowns.solve(VALUES, real, quick=False).values == pytest.approx(guesses)
    assert begun == [tuple(unknowns._reference()), tuple(unknowns._guesses())]


def _off(real: dict[Cell, Seen], model: dict[Cell, Seen]) -> float:
    errors = [abs(exp(error) - 1) for *_, error in unknowns._errors(real, model)]
    return sum(errors) / len(errors)


def test_rounds_are_put_together_by_medians() -> None:
    rounds = [Seen((0.1,), cpu, 1.0, 1.0) for cpu in (1.0, 9.0, 2.0)]
    whole = cells.together(rounds)
    assert whole.client_cpu_s == 2.0
    assert whole.latencies_s == (0.1,) * 3


def test_the_clock_of_another_process_is_its_cpu_time() -> None:
    before, own = cpu_s(os.getpid()), time.process_time()
    sum(range(2_000_000))
    assert cpu_s(os.getpid()) - before == pytest.approx(time.process_time() - own, abs=0.01)
    with pytest.raises(OSError, match=r"."):
        cpu_s(2**22 - 3)


def test_cores_are_taken_away_as_often_as_the_stolen_time_has_holes() -> None:
    """0.3 s of 100 in holes of 3 ms on average: one in each second."""
    book = Book()
    holes.conclude(book, [0.002, 0.004], stolen_s=0.3, busy_s=100.0)
    assert book.value("stolen_per_s") == pytest.approx(1.0)
    lengths = book.found["stolen_s"].value
    assert isinstance(lengths, tuple)
    assert (lengths[0], lengths[10], lengths[-1]) == pytest.approx((0.002, 0.003, 0.004))


@pytest.mark.parametrize(("found", "stolen_s"), [([], 0.3), ([0.002], 0.0)])
def test_without_holes_or_without_stolen_time_nobody_takes_a_core(found: list[float], stolen_s: float) -> None:
    book = Book()
    holes.conclude(book, found, stolen_s=stolen_s, busy_s=100.0)
    assert book.value("stolen_per_s") == 0.0
    assert "stolen_s" not in book.found


def test_a_busy_loop_sees_when_its_core_was_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moments = iter([0.0, 0.0004, 0.0030, 0.0035, 0.0500, 1.0001])
    monkeypatch.setattr("time.perf_counter", lambda: next(moments))
    busy_loop.main("0.06")
    assert json.loads(capsys.readouterr().out) == {"holes": pytest.approx([0.0026, 0.0465, 0.9501])}


def test_a_busy_second_of_the_server_does_not_make_compares_dear(monkeypatch: pytest.MonkeyPatch) -> None:
    """256 compares add about 1 ms, but for one turn in which the server needs more than that for other reasons."""
    adds = COMPARED_CELL.batch * 1e-6
    costs = ((2e-4, 4e-4), (2e-4 + 2 * adds, 4e-4 + 4 * adds))
    plain, compared = (Seen((0.001,), cpu_s, server_s, 1.0) for cpu_s, server_s in costs)
    spells = [plain, compared] * TURNS
    spells[3] = Seen((0.01,), 6e-4, 2e-3, 1.0)
    bench = object.__new__(Bench)
    monkeypatch.setattr(bench, "_closed", lambda *_: [], raising=False)
    monkeypatch.setattr(bench, "_busy", lambda _cell, kind, _seconds: _next_of(spells, compared=kind.compared))
    cost = bench.compare_cost(1.0)
    assert (cost.send_s, cost.check_s) == pytest.approx((2e-6, 4e-6))
    assert not spells


def _next_of(spells: list[Seen], *, compared: bool) -> Seen:
    assert compared == (len(spells) % 2 == 1), "not in turns"
    return spells.pop(0)


def test_the_shape_of_measured_sleeps_is_kept() -> None:
    book = Book()
    _overshoot(book, [0.0001, 0.0002, 0.0003, 0.0004, 0.0005])
    assert book.found["sleep_overshoot_s"].value == pytest.approx(0.0003)
    shape = book.found["sleep_overshoot_residuals"].value
    assert isinstance(shape, tuple)
    assert (shape[0], shape[len(shape) // 2], shape[-1]) == pytest.approx((1 / 3, 1.0, 5 / 3), rel=1e-3)
