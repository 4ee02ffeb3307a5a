"""Planning: what may be typed, where the search begins, and what is fitted to a recorded run."""

import math
from pathlib import Path

import numpy as np
import pytest

from experiments.planning import ask, erlang, fit, syntax, targets
from experiments.planning.question import Question, check
from experiments.scenario import ScenarioError
from experiments.schema import (
    ArrivalTrace,
    Constant,
    ConstantRate,
    Empirical,
    Exponential,
    Lognormal,
    Poisson,
    Topology,
    Uniform,
)
from experiments.workload import draw


def asked(**changes: object) -> Question:
    usual = {
        "arrivals": Poisson(rate_per_s=100),
        "service": Exponential(mean_s=0.1),
        "targets": targets.parse("p99<1"),
    }
    return Question(**(usual | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("poisson:200/s", Poisson(rate_per_s=200)),
        ("poisson:90/min", Poisson(rate_per_s=1.5)),
        ("constant:50", ConstantRate(rate_per_s=50)),
    ],
)
def test_arrivals(text: str, expected: object) -> None:
    assert syntax.arrivals(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("constant:100ms", Constant(value_s=0.1)),
        ("exponential:0.5", Exponential(mean_s=0.5)),
        ("lognormal:2min:sigma=0.5", Lognormal(mean_s=120, sigma=0.5)),
        ("uniform:500us..1ms", Uniform(low_s=0.0005, high_s=0.001)),
    ],
)
def test_service_times(text: str, expected: object) -> None:
    assert syntax.service(text) == expected


def test_a_coefficient_of_variation_is_what_is_drawn() -> None:
    question = asked(service=syntax.service("lognormal:0.1s:cv=0.5"), tasks=20_000)
    times = draw(question.scenario(Topology()), 0).service_s
    assert times.mean() == pytest.approx(0.1, rel=0.02)
    assert times.std() / times.mean() == pytest.approx(0.5, rel=0.03)
    assert question.service_moments == pytest.approx((0.1, 0.5))


@pytest.mark.parametrize(
    "text", ["constant:0.2s", "uniform:0.1s..0.4s", "exponential:0.2s", "lognormal:0.2s:sigma=0.7"]
)
def test_mean_and_deviation_are_those_of_what_is_drawn(text: str) -> None:
    question = asked(service=syntax.service(text), targets=targets.parse("p99<99"), tasks=20_000)
    times, (mean_s, cv) = question.service_s, question.service_moments
    assert times.mean() == pytest.approx(mean_s, rel=0.03)
    assert times.std() / times.mean() == pytest.approx(cv, rel=0.05, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "figure", "bound"),
    [
        ("p99<0.2", "latency_s.total.p99", 0.2),
        ("overhead.p50 <= 50ms", "latency_s.overhead.p50", 0.05),
        ("dispatch.mean<1s", "latency_s.dispatch.mean", 1.0),
        ("utilization<80%", "utilisation", 0.8),
        ("throughput>90/min", "steady_throughput_per_s", 1.5),
    ],
)
def test_targets(text: str, figure: str, bound: float) -> None:
    (target,) = targets.parse(text)
    assert (target.figure, target.bound) == (figure, bound)


def test_a_target_is_met_surely_only_by_its_whole_interval() -> None:
    (target,) = targets.parse("p99<0.2")
    figure = {"value": 0.19, "low": 0.17, "high": 0.21, "n": 4}
    assert target.met(0.19)
    assert not target.met_surely(figure)
    assert target.met_surely(figure | {"high": 0.199})
    assert not target.met(None)
    (above,) = targets.parse("throughput>10")
    assert above.met_surely({"value": 12, "low": 10.5, "high": 13.5, "n": 4})
    assert not above.met_surely({"value": 12, "low": 9.5, "high": 14.5, "n": 4})


@pytest.mark.parametrize(
    ("read", "text", "sentence"),
    [
        (syntax.arrivals, "poison:3", "--arrivals: expected 'poisson:200/s'"),
        (syntax.arrivals, "poisson:fast", "--arrivals poisson: expected a rate such as 200/s"),
        (syntax.arrivals, "burst", "has no rate to plan for"),
        (syntax.arrivals, "trace:/no/such/file", "no such file"),
        (syntax.service, "lognormal:1s", "as in lognormal:0.1s:cv=1"),
        (syntax.service, "uniform:2s..1s", "low_s (2.0) is above high_s (1.0)"),
        (syntax.service, "exponential:0", "expected a time above 0"),
        (syntax.costs, "works=1", "did you mean 'worker'?"),
        (syntax.costs, "worker=cheap", "expected a number"),
        (targets.parse, "p98<1", "did you mean 'p99'?"),
        (targets.parse, "overhaed.p99<1", "did you mean 'overhead'?"),
        (targets.parse, "p99>1", "a latency is wanted below something"),
        (targets.parse, "throughput<5", "a throughput is wanted above something"),
        (targets.parse, "utilisation<2", "expected a share"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(read: object, text: str, sentence: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(text)  # type: ignore[operator]
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_whole_numbers() -> None:
    assert syntax.whole_numbers("1,5..7,6", "--workers") == (1, 5, 6, 7)
    for wrong in ("0", "3..1", "two", "1..9999"):
        with pytest.raises(ScenarioError, match="--workers"):
            syntax.whole_numbers(wrong, "--workers")


def typed(**changes: object) -> ask.Words:
    usual = {
        "arrivals": "poisson:1",
        "service": "constant:1ms",
        "run": None,
        "target": ["p99<1"],
        "workers": "1",
        "slots": "1..5",
        "schedulers": "1",
        "dispatch": "any",
        "scheduler_interval": "0.1",
        "worker_interval": "0.1",
        "lease_ttl": "2s",
        "etcd_members": 1,
        "handler": "sleep",
        "cost": "",
        "survive": None,
        "seed": 1,
        "tasks": None,
    }
    return ask.Words(**(usual | changes))  # type: ignore[arg-type]


def test_who_is_killed_for_good_must_leave_another() -> None:
    with pytest.raises(ScenarioError, match="needs two workers"):
        ask.question(typed(survive="host"), Path())


def test_a_run_and_both_halves_of_a_load_contradict_each_other() -> None:
    with pytest.raises(ScenarioError, match="leave out"):
        ask.question(typed(run=Path("runs/mine")), Path())


# --- where the search begins ---


@pytest.mark.parametrize(("slots", "offered", "expected"), [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (10, 8.0, 0.40918)])
def test_erlang_c_against_published_values(slots: int, offered: float, expected: float) -> None:
    """One server: the utilisation. Two at one Erlang: 1/3. Ten at eight Erlang: tables say 0.409."""
    assert erlang.waiting_probability(slots, offered) == pytest.approx(expected, abs=1e-4)
    assert erlang.waiting_probability(slots, slots + 0.1) == 1.0


def test_the_slot_bound_and_a_utilisation_bound_from_below() -> None:
    question = asked(tasks=20_000)
    assert question.offered == pytest.approx(10)
    assert erlang.fewest_slots(question) == math.floor(question.offered) + 1
    half = asked(tasks=20_000, targets=targets.parse("utilisation<0.5"))
    assert erlang.fewest_slots(half) == math.floor(2 * question.offered) + 1
    strict = asked(tasks=20_000, targets=targets.parse("dispatch.p99<1ms"))
    assert erlang.likely_slots(strict) > erlang.likely_slots(question) >= erlang.fewest_slots(question)


def test_a_target_below_the_tasks_own_time_is_refused() -> None:
    with pytest.raises(ScenarioError, match="the tasks alone take longer"):
        check(asked(targets=targets.parse("p99<0.3")))
    check(asked(targets=targets.parse("overhead.p99<0.3")))


def test_a_throughput_above_what_arrives_is_refused() -> None:
    with pytest.raises(ScenarioError, match="only 100/s arrive"):
        check(asked(targets=targets.parse("throughput>100/s")))
    check(asked(targets=targets.parse("throughput>99/s")))


def test_an_empty_target_is_refused() -> None:
    with pytest.raises(ScenarioError, match="--target: expected"):
        targets.parse("p99<1,,p50<1")


def test_long_latencies_are_simulated_for_longer_and_a_short_simulation_says_so() -> None:
    assert asked(targets=targets.parse("p99<2")).count == 100 * 30 * 2
    assert not asked(targets=targets.parse("p99<2")).is_short
    assert asked(targets=targets.parse("p99<2"), tasks=100).is_short


def test_more_load_is_the_same_tasks_closer_together() -> None:
    question = asked(tasks=50)
    usual, faster = question.tasks_of(0), question.tasks_of(0, 2.0)
    assert np.array_equal(faster.intended_s * 2, usual.intended_s)
    assert faster.ids == usual.ids
    assert question.scenario(Topology(), load=2.0).measure.warmup_s == pytest.approx(
        question.scenario(Topology()).measure.warmup_s / 2
    )


# --- fits ---


def moments(gaps: np.ndarray) -> list[np.ndarray]:
    return [np.cumsum(gaps)]


def test_poisson_arrivals_are_found_and_others_are_replayed(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    found, why = fit.fit_arrivals(moments(rng.exponential(0.02, 800)), tmp_path / "a.txt")
    assert isinstance(found, Poisson)
    assert found.rate_per_s == pytest.approx(50, rel=0.1)
    assert "p = " in why
    for gaps in (rng.uniform(0.015, 0.025, 800), np.sort(rng.exponential(0.02, 800))):
        other, why = fit.fit_arrivals(moments(gaps), tmp_path / "a.txt")
        assert isinstance(other, ArrivalTrace), why
        assert "not Poisson" in why
    steady, _ = fit.fit_arrivals(moments(np.full(800, 0.02)), tmp_path / "a.txt")
    assert isinstance(steady, ConstantRate)


def test_a_trace_that_is_replayed_gives_the_recorded_moments_back(tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(3).uniform(0.01, 0.03, 100))
    found, _ = fit.fit_arrivals([times], tmp_path / "a.txt")
    question = asked(arrivals=found, tasks=60)
    assert np.allclose(question.tasks_of(0).intended_s, (times - times[0])[:60])


def test_service_times_are_fitted_or_drawn_from_the_record(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for values, kind in (
        (rng.exponential(0.1, 1500), Exponential),
        (rng.lognormal(-3, 0.6, 1500), Lognormal),
        (rng.uniform(0.1, 0.2, 1500), Uniform),
        (np.full(100, 0.3), Constant),
        (np.concatenate([rng.normal(0.1, 0.005, 700), rng.normal(1.0, 0.05, 700)]), Empirical),
    ):
        found, why = fit.fit_service(values, tmp_path / "s.txt")
        assert isinstance(found, kind), why
    assert (tmp_path / "s.txt").is_file()
