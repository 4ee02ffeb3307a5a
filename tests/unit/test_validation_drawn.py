"""Scenarios drawn at random: the same ones for a seed, of every kind, and none that cannot be carried."""

from collections import Counter
from pathlib import Path

import pytest

from experiments import scenario, workload
from experiments.schema import Closed, Scenario
from experiments.validation import drawn
from experiments.validation.catalogue import random_cases

DRAWN = [drawn.scenario(seed, number) for seed in (1, 2) for number in range(1, 151)]


def test_a_seed_and_a_number_name_one_scenario() -> None:
    assert drawn.scenario(3, 4) == drawn.scenario(3, 4)
    assert [one.name for one in DRAWN[:2]] == ["random-1-1", "random-1-2"]
    assert len({(one.topology, one.workload.arrivals, one.workload.service) for one in DRAWN}) == len(DRAWN)


def test_every_kind_occurs() -> None:
    kinds = Counter(type(one.workload.arrivals).__name__ for one in DRAWN)
    assert set(kinds) == {"Burst", "Closed", "ConstantRate", "Poisson"}
    assert {type(one.workload.service).__name__ for one in DRAWN} == {"Constant", "Exponential", "Lognormal", "Uniform"}
    assert {one.workload.handler for one in DRAWN} == {"echo", "sleep", "cpu"}
    assert {one.topology.etcd_members for one in DRAWN} == {1, 3}
    faults = Counter(fault.kind for one in DRAWN for fault in one.faults)
    assert len(faults) == 6
    assert 0.15 < faults.total() / len(DRAWN) < 0.35


@pytest.mark.parametrize("one", DRAWN[::10], ids=lambda one: one.name)
def test_it_is_a_scenario_file_like_any_other(one: Scenario, tmp_path: Path) -> None:
    scenario.write(one, tmp_path)
    assert scenario.load(tmp_path / "scenario.toml") == one


@pytest.mark.parametrize("one", DRAWN, ids=lambda one: one.name)
def test_it_is_bounded_and_can_be_carried(one: Scenario) -> None:
    load = one.workload
    count = load.count or 0
    assert drawn.LEAST <= count <= drawn.MOST
    assert load.payload_bytes * count <= drawn.BYTES
    rate_per_s = getattr(load.arrivals, "rate_per_s", None)
    mean_s = workload.draw(one, 0).service_s.mean()
    slots = one.topology.workers * one.topology.slots
    if rate_per_s is not None:
        assert rate_per_s * mean_s < 1.35 * slots  # drawn below 0.95; few draws of a wide distribution
        assert rate_per_s <= drawn.MOST_PER_S
        assert load.handler != "cpu" or rate_per_s * mean_s < 1.35 * drawn.BUSY_CORES
    if isinstance(load.arrivals, Closed):
        assert 1 <= load.arrivals.in_flight <= 2 * slots


def test_cases_have_three_real_repetitions_and_ten_simulated() -> None:
    cases = random_cases(2, seed=5)
    assert [(case.name, case.group, case.real) for case in cases] == [
        ("random-5-1", "random", 3),
        ("random-5-2", "random", 3),
    ]
    assert all(case.real * case.replicas >= 10 for case in cases)
    assert random_cases(1, real=1, simulated=1)[0].replicas == 1
