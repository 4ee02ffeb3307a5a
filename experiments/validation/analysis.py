"""Compares the finished repetitions of a validation: from run directories to `results`."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from experiments import environment, workload
from experiments.summary import speed
from experiments.trace import STAGES
from experiments.validation import observed, predictors, statistics, store
from experiments.validation.catalogue import Case
from experiments.validation.engine import Plan
from experiments.validation.observed import Observed
from experiments.validation.region import Point
from experiments.validation.results import (
    FIGURES,
    RANKED,
    STAGE_TARGET,
    TAU_TARGET,
    Compared,
    Figure,
    Gain,
    Prediction,
    Ranking,
    Result,
    Spectrum,
    Stage,
    Validation,
)
from sim.parameters import Refinement

Floats = NDArray[np.float64]
SPECTRUM = np.concatenate([np.linspace(0.0, 0.98, 99), np.linspace(0.985, 0.999, 15)])
"""The shares at which the distribution of the latency is kept: finer in the tail."""
ALIKE = 1.2
"""A machine is as quick as the calibrated one where a single put takes at most so many times as long, or as short."""


class Pairs:
    """The repetitions of a scenario: each real one with its simulated replicas."""

    def __init__(self, real: Sequence[Observed], model: Sequence[Sequence[Observed]]) -> None:
        self.real, self.model = real, model

    def column(self, key: str) -> tuple[Floats, Floats]:
        """A figure of the repetitions that have it in both worlds; of the model the mean over replicas."""
        rows = [
            (one.figures[key], float(np.mean([replica.figures[key] for replica in replicas])))
            for one, replicas in zip(self.real, self.model, strict=True)
            if key in one.figures and all(key in replica.figures for replica in replicas)
        ]
        real, model = np.array(rows, dtype=np.float64).reshape(len(rows), 2).T
        return real, model

    def alike(self) -> "Pairs":
        """Those real repetitions, with their replicas, before which a put took as long as at the calibration."""
        there_ms = speed(self.model[-1][-1].environment["model"]).get("put_p50_ms")
        if there_ms is None:
            return Pairs([], [])
        puts_s = [one.put_s or 0.0 for one in self.real]
        chosen = [at for at, put_s in enumerate(puts_s) if 1 / ALIKE <= 1000 * put_s / there_ms <= ALIKE]
        return Pairs([self.real[at] for at in chosen], [self.model[at] for at in chosen])

    @property
    def replicas(self) -> list[Observed]:
        return [replica for replicas in self.model for replica in replicas]


def validation(plan: Plan, *, quick: bool, on_result: Callable[[Result], None] = lambda _: None) -> Validation:
    """All that the finished repetitions say; `on_result` hears of each scenario as soon as it is compared.

    Raises OSError or ValueError where a repetition cannot be read.
    """
    first, *others = plan.refinements
    results = []
    facts: dict[str, Any] = {}
    for case in plan.cases:
        pairs = read(plan, case, first)
        facts = {"etcd": pairs.real[-1].environment["etcd"], "model": pairs.model[-1][-1].environment["model"]}
        results.append(compare(case, pairs))
        on_result(results[-1])
    gains = [gain(first, results)]
    gains += [gain(other, [compare(case, read(plan, case, other)) for case in plan.cases]) for other in others]
    return Validation(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        quick=quick,
        machine=machine(),
        etcd=f"etcd {facts['etcd']['version']} ({facts['etcd']['origin']})",
        profile=", measured ".join(str(facts["model"][key]) for key in ("profile", "when") if key in facts["model"]),
        refinement=first,
        results=results,
        rankings=rankings(results),
        gains=gains if others else [],
    )


def machine() -> dict[str, str | int]:
    """This machine and the code, for the reader of a result."""
    facts = environment.describe()
    return {key: facts[key] for key in ("cpu_model", "cores", "kernel", "python", "commit") if facts[key] is not None}


def read(plan: Plan, case: Case, refinement: Refinement) -> Pairs:
    one, first = case.scenario, refinement == plan.refinements[0]

    def sim(repetition: int, replica: int) -> Observed:
        directory = store.sim_dir(plan.out, refinement, case.name, repetition, replica, first=first)
        return observed.read(directory, "sim", one)

    numbers = range(case.real)
    real = [observed.read(store.real_dir(plan.real_root, case.name, number), "real", one) for number in numbers]
    return Pairs(real, [[sim(number, replica) for replica in range(case.replicas)] for number in numbers])


def compare(case: Case, pairs: Pairs) -> Result:
    """One scenario: everything that is said of it."""
    rng = np.random.default_rng(case.scenario.measure.seed)
    figures = [found for figure in FIGURES if (found := _figure(figure, pairs, rng)) is not None]
    stages = [_stage(name, pairs, rng) for name in STAGES]
    loads = [workload.draw(case.scenario, number) for number in range(case.real)]
    load = predictors.offered(case.scenario, loads)
    everybody = [*pairs.real, *pairs.replicas]
    alike = pairs.alike() if _usual_puts(case) else Pairs([], [])
    return Result(
        name=case.name,
        group=case.group,
        about=_point(case, load, figures, stages),
        real=len(pairs.real),
        simulated=len(pairs.replicas),
        disturbed=sum(one.disturbed for one in pairs.real),
        unfinished=sum(int(one.environment["unfinished"]) for one in everybody),
        figures=figures,
        alike=[found for figure in FIGURES if figure.target and (found := _figure(figure, alike, rng)) is not None],
        stages=stages,
        predictions=_predictions(case, load, figures, pairs),
        spectrum=_spectrum(pairs),
    )


def _usual_puts(case: Case) -> bool:
    """Not with several members of etcd, or a slow disk: a put takes longer there on any machine."""
    return case.scenario.topology.etcd_members == 1 and not case.scenario.topology.etcd_flush_delay_s


def _figure(figure: Figure, pairs: Pairs, rng: np.random.Generator) -> Compared | None:
    real, model = pairs.column(figure.key)
    if not len(real):
        return None
    error = statistics.relative_error(real, model, figure.centre)
    bounds = statistics.interval(real, model, rng, figure.centre)
    floor = statistics.floor(real, model, rng, figure.centre)
    limit = None if figure.target is None else statistics.limit_of(figure.target, floor)
    of = np.mean if figure.centre == "mean" else np.median
    return Compared(
        key=figure.key,
        label=figure.label,
        unit=figure.unit,
        scale=figure.scale,
        target=figure.target,
        centre=figure.centre,
        real=float(of(real)),
        model=float(of(model)),
        error=error,
        low=bounds[0] if bounds else None,
        high=bounds[1] if bounds else None,
        floor=floor,
        limit=limit,
        met=None if limit is None or error is None else abs(error) <= limit,
        n=len(real),
    )


def _stage(name: str, pairs: Pairs, rng: np.random.Generator) -> Stage:
    real, model = pairs.column(f"latency_s.{name}.mean")
    bounds = statistics.interval(real, model, rng)
    runs = [one.stages[name] for one in pairs.real]
    w1, ks = statistics.distances(
        np.concatenate(runs), np.concatenate([replica.stages[name] for replica in pairs.replicas])
    )
    floor = statistics.distance_floor(runs, rng)
    limit = statistics.limit_of(STAGE_TARGET, floor)
    total, _ = pairs.column("latency_s.total.mean")
    whole_s = float(total.mean()) if len(total) else 0.0
    return Stage(
        stage=name,
        real_s=float(real.mean()) if len(real) else None,
        model_s=float(model.mean()) if len(real) else None,
        share=float(real.mean()) / whole_s if len(real) and whole_s else None,
        error=statistics.relative_error(real, model),
        low=bounds[0] if bounds else None,
        high=bounds[1] if bounds else None,
        w1=w1,
        ks=ks,
        floor=floor,
        limit=limit,
        met=None if w1 is None else w1 <= limit,
    )


def _point(case: Case, load: predictors.Offered, figures: Sequence[Compared], stages: Sequence[Stage]) -> Point:
    topology = case.scenario.topology
    reached = next((one.real for one in figures if one.key == "throughput_per_s"), 0.0)
    rate = load.rate_per_s or reached
    missed = [one.key for one in figures if one.met is False]
    return Point(
        scenario=case.name,
        dispatch=topology.dispatch,
        schedulers=topology.schedulers,
        workers=topology.workers,
        slots=topology.slots,
        etcd_members=topology.etcd_members,
        arrivals=str(type(case.scenario.workload.arrivals).__struct_config__.tag),
        rate_per_s=rate,
        utilisation=rate * load.service_s / load.slots,
        service_mean_s=load.service_s,
        service_cv=load.service_cv,
        errors={one.key: one.error for one in figures if one.error is not None},
        missed=(*missed, *(f"w1.{one.stage}" for one in stages if one.met is False)),
    )


def _predictions(case: Case, load: predictors.Offered, figures: Sequence[Compared], pairs: Pairs) -> list[Prediction]:
    puts = [one.put_s for one in pairs.real if one.put_s is not None]
    known = {one.key: one for one in figures}
    found = []
    for name, values in predictors.predict(case.scenario, load, float(np.mean(puts)) if puts else None).items():
        for key, value in values.items():
            one = known.get(key)
            if one is None or one.error is None:
                continue
            error = value / one.real - 1
            ahead = abs(error) - abs(one.error)
            found.append(Prediction(name, key, value, error, one.error, _verdict(ahead, one.floor or 0.0)))
    return found


def _verdict(ahead: float, floor: float) -> Literal["beaten", "tied", "lost"]:
    if abs(ahead) <= floor:
        return "tied"
    return "beaten" if ahead > 0 else "lost"


def _spectrum(pairs: Pairs) -> Spectrum:
    def quantiles(runs: Sequence[Observed]) -> list[float]:
        pooled = np.concatenate([one.overhead for one in runs])
        return np.quantile(pooled, SPECTRUM).tolist() if len(pooled) else []

    return Spectrum(SPECTRUM.tolist(), quantiles(pairs.real), quantiles(pairs.replicas))


# --- over scenarios ----------------------------------------------------------------------------------------------


def rankings(results: Sequence[Result]) -> list[Ranking]:
    """Kendall's tau between the order of the configurations in reality and in the model, by each of `RANKED`."""
    found = []
    for key in RANKED:
        have = [one for result in results for one in result.figures if one.key == key]
        tau = statistics.tau([one.real for one in have], [one.model for one in have])
        label = next((one.label for one in have), key)
        found.append(Ranking(key, label, tau, len(have), None if tau is None else tau >= TAU_TARGET))
    return found


FAMILIES = {
    "throughput": ("throughput_per_s", "steady_throughput_per_s", "makespan_s"),
    "overhead p50": ("latency_s.overhead.p50",),
    "overhead p95": ("latency_s.overhead.p95",),
    "overhead p99": ("latency_s.overhead.p99",),
    "CPU": ("cpu_s_per_1000",),
}


def gain(refinement: Refinement, results: Sequence[Result]) -> Gain:
    """The errors of one refinement, over all scenarios."""
    errors = {}
    figures = [one for result in results for one in result.figures]
    stages = [one for result in results for one in result.stages]
    for name, keys in FAMILIES.items():
        sizes = [abs(one.error) for one in figures if one.key in keys and one.error is not None]
        if sizes:
            errors[name] = float(np.mean(sizes))
    distances = [one.w1 for one in stages if one.w1 is not None]
    if distances:
        errors["stages, W1"] = float(np.mean(distances))
    verdicts = [met for met in (*(one.met for one in figures), *(one.met for one in stages)) if met is not None]
    return Gain(refinement, errors, sum(verdicts), len(verdicts))
