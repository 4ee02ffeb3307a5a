"""The search on landscapes that are known, against trying everything; and once on the model."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from experiments import scenario
from experiments.planning import answer, curves, headroom, targets
from experiments.planning.evaluate import Evaluation, Evaluator, OutOfBudget, Point
from experiments.planning.question import Bounds, Question
from experiments.planning.reading import Reading
from experiments.planning.search import Search, cost_of
from experiments.planning.syntax import Costs
from experiments.schema import Constant, ConstantRate, Topology
from experiments.sweep import values_of
from experiments.world import ExperimentError
from sim.parameters import Values

Latency = Callable[[Topology, float], float]
MOST_TRIES = 40


class Landscape(Evaluator):
    """Instead of the model a formula: latency of a configuration under a load."""

    def __init__(self, question: Question, latency: Latency, budget: int = 10_000) -> None:
        super().__init__(question, Values(), budget=budget)
        self._latency = latency
        self.tried: list[Point] = []

    def all(self, points: Sequence[Point], repetitions: int = 4) -> list[Evaluation]:
        found = []
        for topology, load in points:
            if (topology, load) not in self.tried:
                self.tried.append((topology, load))
            if len(self.tried) > self._budget:
                raise OutOfBudget
            reading = reading_of(self._latency(topology, load), topology, load, self.question.offered)
            found.append(
                Evaluation(
                    topology, load, self.question.targets, (reading,) * repetitions, 2, self.question.offered * load
                )
            )
        return found


def reading_of(seconds: float, topology: Topology, load: float, offered: float) -> Reading:
    figure = dict.fromkeys(("mean", "p50", "p95", "p99"), seconds)
    stages = {"ready_wait": seconds, "total": seconds}
    return Reading(
        figures={"latency_s": {"total": figure}},
        slots=min(offered * load / (topology.workers * topology.slots), 1.0),
        cores={"all": 0.1 + 0.01 * topology.workers + (0.05 if topology.dispatch == "poll" else 0.0)},
        stages_s=stages,
        growth=0.0,
        unfinished=0,
    )


def ask(**changes: object) -> Question:
    usual = {
        "arrivals": ConstantRate(rate_per_s=100),
        "service": Constant(value_s=0.1),
        "targets": targets.parse("p99<1"),
        "bounds": Bounds(workers=tuple(range(1, 13)), slots=tuple(range(1, 21)), dispatch=("watch",)),
        "tasks": 100,
    }
    return Question(**(usual | changes))  # type: ignore[arg-type]


def cheapest(question: Question, latency: Latency) -> float:
    """Of all configurations, by trying them all."""
    bounds = question.bounds
    return min(
        cost_of(question.costs, one)
        for workers, slots, many in itertools.product(bounds.workers, bounds.slots, bounds.schedulers)
        if latency(one := Topology(workers=workers, slots=slots, schedulers=many), 1.0) < 1.0
        and workers * slots > question.offered
    )


def slots_needed(needed: float, most_of_a_worker: float = 1e9, most_of_a_scheduler: float = 1e9) -> Latency:
    """Met from so many slots on; a worker cannot use more than so many, a scheduler not serve more."""

    def latency(one: Topology, load: float) -> float:
        useful = one.workers * min(one.slots, most_of_a_worker)
        return load * needed / min(useful, most_of_a_scheduler * one.schedulers)

    return latency


@pytest.mark.parametrize(
    ("latency", "costs"),
    [
        (slots_needed(17), Costs()),
        (slots_needed(17, most_of_a_worker=6), Costs()),
        (slots_needed(40), Costs(worker=0.1, slot=1.0)),
        (slots_needed(40, most_of_a_worker=11), Costs(worker=3.0, slot=0.2)),
        (slots_needed(30, most_of_a_scheduler=17), Costs(scheduler=5.0)),
    ],
)
@pytest.mark.parametrize("slots", [tuple(range(1, 21)), (5, 10), (7,)])
def test_it_finds_the_cheapest_configuration_with_few_tries(
    latency: Latency, costs: Costs, slots: tuple[int, ...]
) -> None:
    question = ask(costs=costs, bounds=msgspec.structs.replace(ask().bounds, slots=slots))
    landscape = Landscape(question, latency)
    found = Search(landscape).run()
    assert found.best is not None
    assert latency(found.best.topology, 1.0) < 1.0
    assert cost_of(costs, found.best.topology) == pytest.approx(cheapest(question, latency))
    assert len(landscape.tried) <= MOST_TRIES, "of up to 720"


def test_polling_is_chosen_with_the_longest_intervals_where_watching_is_not_allowed() -> None:
    def latency(one: Topology, load: float) -> float:
        return one.scheduler_poll_interval_s + one.worker_poll_interval_s + load * 5 / (one.workers * one.slots)

    bounds = msgspec.structs.replace(ask().bounds, dispatch=("poll",))
    found = Search(Landscape(ask(bounds=bounds), latency)).run()
    assert found.best is not None
    chosen = found.best.topology
    longer = [
        pair
        for pair in bounds.intervals_s
        if sum(pair) > chosen.scheduler_poll_interval_s + chosen.worker_poll_interval_s
    ]
    for pair in longer:
        changed = msgspec.structs.replace(chosen, scheduler_poll_interval_s=pair[0], worker_poll_interval_s=pair[1])
        assert latency(changed, 1.0) >= 1.0


def test_at_the_same_cost_the_one_with_less_cpu_time_is_chosen() -> None:
    bounds = msgspec.structs.replace(ask().bounds, dispatch=("poll", "watch"))
    found = Search(Landscape(ask(bounds=bounds), slots_needed(17))).run()
    assert found.best is not None
    assert found.best.topology.dispatch == "watch"


def test_a_host_that_is_killed_leaves_another_and_the_time_to_live_is_as_long_as_may_be() -> None:
    def latency(one: Topology, load: float) -> float:
        return one.lease_ttl_s / 6 + (0.0 if (one.workers - 1) * one.slots > 12 else 1.0)

    found = Search(Landscape(ask(survive="host"), latency)).run()
    assert found.best is not None
    assert found.best.topology.workers > 1
    assert found.best.topology.lease_ttl_s == 5.0


def test_where_nothing_does_the_nearest_is_known_and_a_budget_ends_the_search() -> None:
    found = Search(Landscape(ask(), slots_needed(1e6))).run()
    assert found.best is None
    assert found.closest is not None
    cut = Search(Landscape(ask(), slots_needed(200, most_of_a_worker=6), budget=3)).run()
    assert not cut.complete


def test_head_room_is_found_to_two_per_cent() -> None:
    question = ask()
    landscape = Landscape(question, slots_needed(17))
    room = headroom.find(landscape, Topology(workers=2, slots=12))
    assert room.missed is not None
    assert room.load < 24 / 17 < room.missed.load <= room.load * 1.021
    assert (room.breaks, room.grew) == ("slots", "ready_wait")
    wide = headroom.find(Landscape(question, lambda _one, _load: 0.1), Topology(workers=12, slots=20))
    assert wide.load < 24 <= wide.missed.load if wide.missed else wide.load == headroom.MAX_LOAD


def test_an_interval_that_reaches_beyond_the_target_is_not_enough() -> None:
    question = ask()

    def one(*values: float) -> Evaluation:
        readings = tuple(reading_of(value, Topology(), 1.0, 10.0) for value in values)
        return Evaluation(Topology(), 1.0, question.targets, readings, 2, 10.0)

    assert one(0.9, 0.95, 0.92).met_surely
    assert one(0.8, 0.85, 1.3).met
    assert not one(0.8, 0.85, 1.3).met_surely
    grows = tuple(msgspec.structs.replace(reading, growth=0.6) for reading in one(0.1, 0.1, 0.1).readings)
    assert not Evaluation(Topology(), 1.0, question.targets, grows, 2, 10.0).met
    assert not Evaluation(Topology(), 1.0, question.targets, one(0.1).readings, 2, 31.0).met  # 30 slots


# --- on the model ---


@pytest.mark.timeout(180)
def test_a_plan_on_the_model_is_minimal_and_its_files_say_so(tmp_path: Path) -> None:
    bounds = Bounds(workers=(1,), slots=tuple(range(9, 15)), schedulers=(1,), dispatch=("watch",))
    question = ask(targets=targets.parse("overhead.p99<60ms"), bounds=bounds)
    found = answer.plan(question, values_of(), tmp_path, n_jobs=1)
    evaluate = Evaluator(question, values_of(), n_jobs=1)
    assert found.topology.slots > question.offered
    assert evaluate(found.topology, repetitions=10).figure(question.targets[0]) == found.targeted["overhead.p99<60ms"]
    smaller = msgspec.structs.replace(found.topology, slots=found.topology.slots - 1)
    assert not evaluate(smaller, repetitions=10).met_surely
    assert all(spot.x > question.offered for spot in found.curves[0].spots)
    assert found.room is not None
    assert found.room.factor >= 1.0
    assert answer.read(tmp_path) == found
    assert scenario.load(tmp_path / answer.SCENARIO).topology == found.topology
    curves.draw(tmp_path)
    assert (tmp_path / "plan.svg").read_text().count("<svg") == 1
    assert (tmp_path / answer.TRIED).read_text().count("\n") > len(found.curves[0].spots)


def test_slots_of_a_killed_host_do_not_count_as_free() -> None:
    """8 busy of 10, then 8 of 5: what is left is full, and the share says so."""
    bounds = Bounds(workers=(2,), slots=(5,), dispatch=("watch",))
    question = ask(arrivals=ConstantRate(rate_per_s=80), bounds=bounds, survive="host", tasks=400)
    evaluation = Evaluator(question, values_of(), n_jobs=1)(
        Topology(workers=2, slots=5, lease_ttl_s=2.0), repetitions=1
    )
    assert evaluation.shares["slots"] > 0.75
    assert not evaluation.met


def test_where_no_configuration_does_one_sentence_says_what_is_nearest_and_what_binds(tmp_path: Path) -> None:
    bounds = Bounds(workers=(1,), slots=(12,), schedulers=(1,), dispatch=("watch",))
    question = ask(targets=targets.parse("overhead.p99<1us"), bounds=bounds, tasks=100)
    with pytest.raises(ExperimentError, match=r"no configuration .* nearest: 1 x 12, watch"):
        answer.plan(question, values_of(), tmp_path, n_jobs=1)
