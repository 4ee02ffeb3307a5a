"""Runs what is missing of a validation: real and simulated repetitions, interleaved, on the same loads.

Repetition 0 of every scenario comes before repetition 1 of any: a machine that slows down meanwhile slows all alike.
Real repetitions have the machine for themselves; the simulated ones of the same load follow, on all cores (joblib).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments import scenario, workload
from experiments.expected import real_s
from experiments.run import run_repetition, worlds_of
from experiments.scenario import ScenarioError
from experiments.schema import Scenario
from experiments.simulated import SimulatedWorld
from experiments.sweep import spread
from experiments.validation import store
from experiments.validation.catalogue import Case
from experiments.world import World
from sim.parameters import Refinement

SIM_S = 1.5


@dataclass(frozen=True, slots=True)
class Plan:
    """`real_from`: take the real runs that an earlier validation left there, and only simulate."""

    cases: Sequence[Case]
    out: Path
    profile: Path | None = None
    refinements: tuple[Refinement, ...] = ("station",)
    real_from: Path | None = None
    jobs: int = -1

    @property
    def real_root(self) -> Path:
        return self.real_from or self.out


@dataclass(frozen=True, slots=True)
class Step:
    """Where it is, in expected seconds of work."""

    done_s: float
    total_s: float
    what: str


@dataclass(frozen=True, slots=True)
class Simulation:
    """One simulated repetition to run."""

    scenario: Scenario
    repetition: int
    replica: int
    refinement: Refinement
    profile: Path | None
    directory: Path
    key: str


OnStep = Callable[[Step], None]


def run(plan: Plan, on_step: OnStep = lambda _: None) -> None:
    """Run all that is not finished yet.

    Raises ExperimentError, ScenarioError, OSError, KeyboardInterrupt: what is finished before them is kept.
    """
    SimulatedWorld(plan.cases[0].scenario, plan.profile)  # parameters that cannot be used are better known at once
    for case in plan.cases:
        scenario.write(case.scenario, plan.out / "runs" / case.name)
    if plan.real_from is not None:
        _require_real(plan)
    keys = {
        (case.name, one): store.sim_key(case.scenario, plan.profile, one)
        for case in plan.cases
        for one in plan.refinements
    }
    clock = _Clock(plan, keys, on_step)
    for repetition in range(max(case.real for case in plan.cases)):
        for case in plan.cases:
            if repetition < case.real:
                if plan.real_from is None:
                    _run_real(plan, case, repetition, clock)
                _run_simulated(plan, case, repetition, keys, clock)


def missing_real(plan: Plan, case: Case, repetition: int) -> bool:
    return not store.is_done(store.real_dir(plan.real_root, case.name, repetition), store.real_key(case.scenario))


def _require_real(plan: Plan) -> None:
    for case in plan.cases:
        lacking = [number for number in range(case.real) if missing_real(plan, case, number)]
        if lacking:
            raise ScenarioError(
                f"{plan.real_root} has no real repetition {lacking[0]} of {case.name} as it is now (the same scenario, "
                f"seed and --quick); run it first, without --sim-only, or ask for fewer with --real"
            )


def _run_real(plan: Plan, case: Case, repetition: int, clock: "_Clock") -> None:
    directory = store.real_dir(plan.out, case.name, repetition)
    if not missing_real(plan, case, repetition):
        return
    store.begin(directory)
    one = case.scenario
    with worlds_of(["real"])["real"](one) as world:
        _repeat(
            one, repetition, world, directory, lambda what: clock.tell(f"{case.name}, real {repetition + 1}: {what}")
        )
    store.finish(directory, store.real_key(one))
    clock.done(real_s(one))


def _repeat(one: Scenario, repetition: int, world: World, directory: Path, tell: Callable[[str], None]) -> None:
    run_repetition(one, repetition, world, workload.draw(one, repetition), directory, tell)


def _run_simulated(
    plan: Plan, case: Case, repetition: int, keys: dict[tuple[str, Refinement], str], clock: "_Clock"
) -> None:
    jobs = _simulations(plan, case, repetition, keys)
    if not jobs:
        return
    clock.tell(f"{case.name}, model {repetition + 1}: simulating {len(jobs)} times")
    spread(simulate, jobs, n_jobs=plan.jobs, on_done=lambda _done, _total: clock.done(SIM_S))


def _simulations(plan: Plan, case: Case, repetition: int, keys: dict[tuple[str, Refinement], str]) -> list[Simulation]:
    jobs = []
    for refinement in plan.refinements:
        key = keys[case.name, refinement]
        for replica in range(case.replicas):
            first = refinement == plan.refinements[0]
            directory = store.sim_dir(plan.out, refinement, case.name, repetition, replica, first=first)
            if not store.is_done(directory, key):
                jobs.append(Simulation(case.scenario, repetition, replica, refinement, plan.profile, directory, key))
    return jobs


def simulate(job: Simulation) -> None:
    """One simulated repetition, in a process of its own. Raises ExperimentError, OSError."""
    store.begin(job.directory)
    with SimulatedWorld(job.scenario, job.profile, replica=job.replica, refinement=job.refinement) as world:
        _repeat(job.scenario, job.repetition, world, job.directory, lambda _: None)
    store.finish(job.directory, job.key)


# --- the time left -----------------------------------------------------------------------------------------------


class _Clock:
    """Expected seconds of what is missing, and of what has been done of it."""

    def __init__(self, plan: Plan, keys: dict[tuple[str, Refinement], str], on_step: OnStep) -> None:
        self._on_step = on_step
        self._done_s, self._total_s, self._what = 0.0, 0.0, "starting"
        for case in plan.cases:
            for repetition in range(case.real):
                if plan.real_from is None and missing_real(plan, case, repetition):
                    self._total_s += real_s(case.scenario)
                self._total_s += SIM_S * len(_simulations(plan, case, repetition, keys))

    def tell(self, what: str) -> None:
        self._what = what
        self._on_step(Step(self._done_s, self._total_s, what))

    def done(self, seconds: float) -> None:
        self._done_s += seconds
        self.tell(self._what)
