"""The answer to a question: the configuration, what to expect of it, how far it goes, and how much to believe it.

DIR/plan.json (everything that is printed or drawn), evaluations.csv (every configuration tried), plan.svg,
scenario.toml (the chosen configuration: `tandem-bench run DIR/scenario.toml --world real` tries it)
"""

from pathlib import Path
from typing import Any

import msgspec

from experiments import metrics, scenario
from experiments.planning import headroom
from experiments.planning.curves import Curve, curves_of, tried
from experiments.planning.evaluate import BUDGET, Evaluation, Evaluator, OutOfBudget, Told, describe
from experiments.planning.question import Question, check
from experiments.planning.search import Search, cost_of
from experiments.planning.targets import UTILISATION, Target
from experiments.planning.trust import Trust, asked, trust
from experiments.schema import Topology
from experiments.sweep import ALL_CORES
from experiments.world import ExperimentError
from sim.parameters import Values

PLAN, TRIED, SCENARIO = "plan.json", "evaluations.csv", "scenario.toml"
AFTER = 160
"""Simulations that may follow the search: head-room and figure."""
CHECK_REPETITIONS = 5
SHOWN = tuple(
    f"latency_s.{stage}.{statistic}"
    for stage in ("total", "overhead", "dispatch")
    for statistic in ("p50", "p95", "p99")
)


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """Head-room: arrivals may grow `factor` times, to `rate_per_s`."""

    factor: float
    rate_per_s: float
    bounded: bool
    """Whether a load that misses a target was found."""
    breaks: str
    breaks_share: float | None
    grew: str
    grew_by_s: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. Times in seconds. Figures are {"value", "low", "high", "n"} as in `metrics.json`."""

    arrivals: Any
    service: Any
    rate_per_s: float
    service_mean_s: float
    service_cv: float
    offered: float
    targets: tuple[Target, ...]
    survive: str | None
    handler: str
    costs: Any
    seed: int
    tasks: int
    span_s: float
    cores: int
    topology: Topology
    cost: float
    cost_parts: dict[str, float]
    surely: bool
    """Whether the whole interval of each target's figure meets it."""
    complete: bool
    """Whether the search ended by itself, not by its budget."""
    targeted: dict[str, metrics.Values]
    figures: dict[str, metrics.Values]
    shares: dict[str, float]
    room: Room | None
    trust: Trust
    notes: tuple[str, ...]
    simulations: int
    curves: tuple[Curve, ...]


def plan(
    question: Question,
    values: Values,
    out: Path,
    *,
    n_jobs: int | None = ALL_CORES,
    budget: int = BUDGET,
    tell: Told = lambda _done, _what: None,
) -> Plan:
    """Search, and write the answer to `out` (`experiments.planning.curves.draw` draws it).

    Raises ScenarioError where no configuration at all could do, ExperimentError where none within the bounds does.
    """
    check(question)
    evaluate = Evaluator(question, values, n_jobs=n_jobs, budget=budget, tell=tell)
    found = Search(evaluate).run()
    if found.best is None:
        raise ExperimentError(_none(question, found.closest, evaluate.simulations, complete=found.complete))
    evaluate.allow(AFTER)
    topology = found.best.topology
    room: headroom.Headroom | None = None
    curves: tuple[Curve, ...] = ()
    try:
        room = headroom.find(evaluate, topology)
        curves = curves_of(evaluate, topology)
    except OutOfBudget:
        found.complete = False
    answer = _answer(question, evaluate, found.best, room, curves, complete=found.complete)
    out.mkdir(parents=True, exist_ok=True)
    (out / PLAN).write_bytes(msgspec.json.format(msgspec.json.encode(answer), indent=2) + b"\n")
    scenario.write(question.scenario(topology, repetitions=CHECK_REPETITIONS), out)
    tried(evaluate, question).to_csv(out / TRIED, index=False)
    return answer


def read(folder: Path) -> Plan:
    """A saved answer. Raises ExperimentError where there is none."""
    try:
        return msgspec.json.decode((folder / PLAN).read_bytes(), type=Plan)
    except OSError as error:
        raise ExperimentError(f"{folder} holds no plan of 'tandem-bench plan' ({PLAN}: {error.strerror})") from error
    except msgspec.DecodeError as error:
        raise ExperimentError(f"{folder / PLAN} is no plan of this version of 'tandem-bench plan': {error}") from error


def _none(question: Question, closest: Evaluation | None, simulations: int, *, complete: bool) -> str:
    targets = " and ".join(target.text for target in question.targets)
    within = "within the bounds" if complete else f"found in {simulations} simulations (--budget allows more)"
    if closest is None:
        return f"no configuration {within} has enough slots: {question.offered:.4g} are busy on average"
    target = max(question.targets, key=lambda one: closest.figure(one)["value"] or float("inf"))
    value = closest.figure(target)["value"]
    reached = "nothing completed" if value is None else f"{target.text.split('<')[0].strip()} is {value:.3g}"
    grew = max(
        (stage for stage in closest.stages_s if stage not in headroom.NOT_FOR_GROWTH),
        key=lambda stage: closest.stages_s[stage],
    )
    breaks, share = headroom.fullest(closest, grew)
    full = "" if share is None else f" ({share:.0%} used)"
    behind = "" if closest.keeps_up else ", and the backlog grows"
    return (
        f"no configuration {within} meets {targets}; nearest: {describe(closest.topology)}, where {reached}{behind}; "
        f"most time goes to {grew.replace('_', ' ')}, and nearest to its limit: {breaks}{full}"
    )


def _answer(
    question: Question,
    evaluate: Evaluator,
    best: Evaluation,
    room: headroom.Headroom | None,
    curves: tuple[Curve, ...],
    *,
    complete: bool,
) -> Plan:
    topology = best.topology
    mean_s, service_cv = question.service_moments
    return Plan(
        arrivals=msgspec.to_builtins(question.arrivals),
        service=msgspec.to_builtins(question.service),
        rate_per_s=question.rate_per_s,
        service_mean_s=mean_s,
        service_cv=service_cv,
        offered=question.offered,
        targets=question.targets,
        survive=question.survive,
        handler=question.handler,
        costs=msgspec.to_builtins(question.costs),
        seed=question.seed,
        tasks=question.count,
        span_s=question.span_s,
        cores=evaluate.parameters.cores,
        topology=topology,
        cost=cost_of(question.costs, topology, best.cores_busy),
        cost_parts={
            "workers": question.costs.worker * topology.workers,
            "slots": question.costs.slot * topology.workers * topology.slots,
            "schedulers": question.costs.scheduler * topology.schedulers,
            "cores": question.costs.core * best.cores_busy,
        },
        surely=best.met_surely,
        complete=complete,
        targeted={target.text: best.figure(target) for target in question.targets},
        figures=shown(best),
        shares=best.shares,
        room=None if room is None else _room(question, room),
        trust=trust(asked(topology, question.rate_per_s, mean_s, service_cv), scenario=question.scenario(topology)),
        notes=(*question.notes, *_warnings(question)),
        simulations=evaluate.simulations,
        curves=curves,
    )


def shown(best: Evaluation) -> dict[str, metrics.Values]:
    """The figures that are printed whatever was asked."""
    figures: dict[str, metrics.Values] = {}
    for path in (*SHOWN, "throughput_per_s", "cpu_s_per_1000"):
        node = best.figures
        for part in path.split("."):
            node = node[part]
        figures[path] = node
    figures[UTILISATION] = metrics.figure([reading.slots for reading in best.readings])
    return figures


def _room(question: Question, room: headroom.Headroom) -> Room:
    return Room(
        factor=room.load,
        rate_per_s=question.rate_per_s * room.load,
        bounded=room.missed is not None,
        breaks=room.breaks,
        breaks_share=room.breaks_share,
        grew=room.grew,
        grew_by_s=room.grew_by_s,
    )


def _warnings(question: Question) -> list[str]:
    found = []
    if question.is_short:
        found.append(
            f"only {question.span_s:.3g} s are simulated ({question.count:,} tasks): for such long latencies a backlog "
            "that grows slowly could go unseen; --tasks makes it more"
        )
    return found
