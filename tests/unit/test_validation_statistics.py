"""Errors, intervals, floors and predictors of the validation, on numbers whose answers are known."""

import math

import msgspec
import numpy as np
import pytest

from experiments import scenario, workload
from experiments.schema import Fault, Scenario
from experiments.validation import catalogue, statistics
from experiments.validation.catalogue import STRESS, VALIDATION, cases
from experiments.validation.predictors import Offered, erlang_c, offered, predict

LONGEST_S = 8.0
LONGEST = {"scheduler-kill": 9.1}
"""A lease of 5 s has to run out, and the load to go on after that."""


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


# --- errors ------------------------------------------------------------------------------------------------------


def test_the_error_is_signed_and_relative_to_the_real_system() -> None:
    real, model = np.array([9.0, 11.0]), np.array([8.0, 8.0])
    assert statistics.relative_error(real, model) == pytest.approx(-0.2)
    assert statistics.relative_error(np.array([1.0, 1.0, 10.0]), np.array([2.0, 2.0, 2.0]), "median") == 1.0
    assert statistics.relative_error(np.zeros(3), np.ones(3)) is None
    assert statistics.relative_error(np.array([]), np.array([])) is None


def test_what_the_load_does_to_both_worlds_is_no_uncertainty() -> None:
    loads = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    bounds = statistics.interval(loads, 1.1 * loads, rng())
    assert bounds is not None
    assert bounds == pytest.approx((0.1, 0.1))
    noisy = statistics.interval(loads, 1.1 * loads[::-1], rng())
    assert noisy is not None
    assert noisy[0] < 0.0
    assert noisy[1] > 0.2


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    draws, inside = rng(), 0
    for _ in range(200):
        load = draws.normal(100, 20, 10)
        real, model = load * draws.normal(1, 0.05, 10), 1.2 * load * draws.normal(1, 0.05, 10)
        bounds = statistics.interval(real, model, draws)
        assert bounds is not None
        inside += bounds[0] <= 0.2 <= bounds[1]
    # a percentile bootstrap of ten is a little too narrow: 90 % or so of 200
    assert 165 <= inside <= 198


@pytest.mark.parametrize("real", [[1.0, 2.0], [0.0, 1.0, 2.0]])
def test_there_is_no_interval_where_there_is_none_to_be_had(real: list[float]) -> None:
    assert statistics.interval(np.array(real), np.ones(len(real)), rng()) is None


def test_the_floor_is_the_difference_of_halves_less_what_the_load_does() -> None:
    real = np.array([1.0, 3.0])
    assert statistics.floor(real, np.ones(2), rng()) == pytest.approx(1.0)  # |1 - 3| / 2
    assert statistics.floor(real, 5 * real, rng()) == pytest.approx(0.0)  # the model tells the loads apart as well
    assert statistics.floor(real, np.array([3.0, 1.0]), rng()) == pytest.approx(1.0)  # a wrong model raises no floor
    assert statistics.floor(np.array([1.0]), np.array([1.0]), rng()) is None


def test_the_limit_is_the_target_or_what_the_floor_allows() -> None:
    assert statistics.limit_of(0.08, None) == 0.08
    assert statistics.limit_of(0.08, 0.01) == 0.08
    assert statistics.limit_of(0.08, 0.1) == pytest.approx(0.15)


@pytest.mark.parametrize(("count", "splits"), [(2, 1), (3, 3), (4, 3), (5, 10), (10, 126)])
def test_every_way_to_halve_counts_once(count: int, splits: int) -> None:
    found = statistics.halves(count, rng(), 500)
    assert len(found) == splits
    assert len({frozenset((tuple(one), tuple(other))) for one, other in found}) == splits
    assert all(sorted(one + other) == list(range(count)) for one, other in found)


def test_of_too_many_ways_some_are_taken() -> None:
    found = statistics.halves(16, rng(), 20)
    assert len(found) == 20
    assert all(sorted(one + other) == list(range(16)) and len(one) == 8 for one, other in found)


def test_distances_of_distributions() -> None:
    real = np.linspace(1.0, 3.0, 1001)
    w1, ks = statistics.distances(real, real + 5.0)
    assert w1 == pytest.approx(2.5)
    assert ks == 1.0
    assert statistics.distances(real, real) == (0.0, 0.0)
    assert statistics.distances(real, np.array([])) == (None, None)
    assert statistics.distances(np.zeros(3), np.ones(3))[0] is None
    assert statistics.distance_floor([real, real + 1.0], rng()) == pytest.approx(0.4)
    assert statistics.distance_floor([real], rng()) is None


def test_the_order_of_configurations() -> None:
    assert statistics.tau([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1.0)
    assert statistics.tau([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)
    assert statistics.tau([1, 2], [1, 2]) is None
    assert statistics.tau([1, 1, 1], [1, 2, 3]) is None


# --- predictors --------------------------------------------------------------------------------------------------


def load(**changes: float | None) -> Offered:
    plain = Offered(tasks=1000.0, last_s=10.0, service_s=0.2, service_cv=1.0, rate_per_s=100.0, slots=30)
    return msgspec.convert({**msgspec.to_builtins(plain), **changes}, Offered)


def made(**topology: object) -> Scenario:
    table = {"arrivals": {"process": "burst"}, "count": 10}
    return msgspec.convert({"name": "made-up", "workload": table, "topology": topology}, Scenario)


@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9, 0.99])
def test_the_probability_of_waiting_in_mm1_and_mm2(rho: float) -> None:
    assert erlang_c(1, rho) == pytest.approx(rho)
    assert erlang_c(2, 2 * rho) == pytest.approx(2 * rho**2 / (1 + rho))


def test_the_wait_of_mmc() -> None:
    found = predict(made(), load(slots=1, rate_per_s=4.0), None)["M/M/c"]  # rho 0.8: P(W > t) = 0.8 exp(-t)
    assert found["latency_s.overhead.p50"] == pytest.approx(math.log(0.8 / 0.5))
    assert found["latency_s.dispatch.p99"] == pytest.approx(math.log(0.8 / 0.01))
    assert predict(made(), load(), None)["M/M/c"]["latency_s.overhead.p50"] == 0.0  # most do not wait
    assert "M/M/c" not in predict(made(), load(rate_per_s=150.0), None)  # saturated
    assert "M/M/c" not in predict(made(), load(rate_per_s=None), None)  # a burst


def test_the_slot_bound() -> None:
    found = predict(made(), load(rate_per_s=None), None)["slot bound"]
    assert found["throughput_per_s"] == pytest.approx(150.0)
    assert found["makespan_s"] == pytest.approx(1000 / 150)
    assert found["latency_s.overhead.p50"] == pytest.approx(500 / 150 - 0.2)
    assert predict(made(), load(rate_per_s=None, service_s=0.0), None)["slot bound"] == {}
    assert predict(made(), load(), None)["slot bound"]["steady_throughput_per_s"] == 100.0
    assert predict(made(), load(rate_per_s=200.0), None)["slot bound"]["steady_throughput_per_s"] == pytest.approx(150)


def test_constant_latency() -> None:
    found = predict(made(), load(), 0.001)["constant latency"]
    assert found["latency_s.overhead.p99"] == pytest.approx(0.003)
    assert found["latency_s.dispatch.p50"] == pytest.approx(0.002)
    assert predict(made(), load(rate_per_s=None, service_s=0.0), 0.001)["constant latency"][
        "throughput_per_s"
    ] == pytest.approx(30 / 0.002)
    killed = msgspec.structs.replace(
        made(lease_ttl_s=2.0), faults=(Fault(kind="host_kill", at_s=1.0, target="worker-1"),)
    )
    assert predict(killed, load(), 0.001)["constant latency"]["recovery_s"] == 2.0
    assert "constant latency" not in predict(made(), load(), None)


# --- the list of scenarios ---------------------------------------------------------------------------------------


def test_the_list_is_the_files_and_the_report_does_not_run_them() -> None:
    files = {path.stem for path in catalogue.SCENARIOS.glob("*.toml")}
    stress = {path.stem for path in (catalogue.SCENARIOS / "stress").glob("*.toml")}
    assert (files, stress) == (set(VALIDATION), set(STRESS))
    assert not {*files, *stress} & set(scenario.names())


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", [*VALIDATION, *STRESS])
def test_each_scenario_is_short_and_named_like_its_file(name: str, quick: bool) -> None:
    (case,) = cases([name], quick=quick)
    assert case.name == name
    assert case.real == (3 if quick else 5 if name in STRESS else 10)
    assert case.real * case.replicas >= (10 if quick else 30)
    drawn = workload.draw(case.scenario, 0)
    asked = offered(case.scenario, [drawn])
    if name in VALIDATION:
        assert max(asked.last_s, float(drawn.service_s.sum()) / asked.slots) <= LONGEST.get(name, LONGEST_S)


def test_the_load_at_three_utilisations_is_what_their_names_say() -> None:
    for name, utilisation in (("poisson-50", 0.5), ("poisson-80", 0.8), ("poisson-95", 0.95), ("poisson-98", 0.98)):
        (case,) = cases([name])
        asked = offered(case.scenario, [workload.draw(case.scenario, number) for number in range(40)])
        assert asked.utilisation == pytest.approx(utilisation, rel=0.03)
        assert asked.service_cv == pytest.approx(math.sqrt(math.e - 1), rel=0.15)  # lognormal, sigma 1


def test_repetitions_and_seed_can_be_chosen() -> None:
    (case,) = cases(["idle"], real=4, simulated=9, seed=7)
    assert (case.real, case.replicas) == (4, 3)
    assert case.scenario.measure.seed == 7
    with pytest.raises(scenario.ScenarioError, match="did you mean burst-none"):
        cases(["burst-nome"])
