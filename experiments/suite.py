"""Runs a set of scenarios into one folder, and goes on where it was stopped.

    ROOT/<scenario>/...  environment.json  calibration.json  claims.json

The model comes first, on all cores: what else the machine does cannot change it. Then the real repetitions, one at a
time, with the machine for themselves: repetition 0 of every scenario before repetition 1 of any, so that a machine that
slows down meanwhile slows all of them alike; those that are run once come last.

A repetition is finished when its `done.json` is there, written last. It is taken for this set's when the key in it is
the one that it would be given now: of the scenario as it is run and of the code that takes part (`core`, and what in
the experiments loads, drives and reads the system; for the model `sim` and its parameters). So a text or a rule that
has changed costs no run, and figures of two versions never stand side by side unnoticed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from core.etcd import slow_flush
from experiments import expected, scenario, summary, sweep, workload
from experiments.run import run_repetition, worlds_of
from experiments.schema import Scenario
from experiments.simulated import SimulatedWorld
from experiments.sources import digest
from experiments.validation import store
from experiments.validation.engine import OnStep, Simulation, Step, simulate
from experiments.world import ExperimentError, WorldName
from sim.parameters import Refinement

REAL_SOURCES = ("core", *(f"experiments/{name}.py" for name in (
    "aftermath", "components", "etcd_metrics", "faults", "load", "metrics", "overrides", "real", "recovery",
    "sampling", "trace", "workload", "world",
)))  # fmt: skip
REFINEMENT: Refinement = "station"
PATIENCE = 3
"""Real repetitions that fail one after the other before the set is given up: it is not the scenario then."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run. `repeat_disturbed`: a repetition that others disturbed counts as not run."""

    scenarios: Sequence[Scenario]
    root: Path
    worlds: Sequence[WorldName] = ("real", "sim")
    endpoints: str | None = None
    profile: Path | None = None
    repeat_disturbed: bool = False
    jobs: int = sweep.ALL_CORES

    def worlds_for(self, one: Scenario) -> list[WorldName]:
        """Where a scenario runs. One that breaks etcd, slows its disk or wants several members needs one of its own.

        On a machine that cannot slow a disk such a scenario runs on the model alone.
        """
        slow = one.topology.etcd_flush_delay_s > 0
        changed = one.topology.etcd_members > 1 or slow
        own = changed or any(fault.kind == "etcd_kill" for fault in one.faults)
        allowed = [name for name in self.worlds if name in one.worlds]
        impossible = (own and self.endpoints is not None) or (slow and not slow_flush.supported())
        return [name for name in allowed if not (name == "real" and impossible)]


@dataclass(frozen=True, slots=True)
class Job:
    """One repetition that is not finished."""

    scenario: Scenario
    world: WorldName
    repetition: int
    directory: Path
    key: str

    @property
    def expected_s(self) -> float:
        return expected.real_s(self.scenario) if self.world == "real" else expected.sim_s(self.scenario)

    @property
    def title(self) -> str:
        return f"{self.scenario.name} {self.repetition + 1} of {self.scenario.measure.repetitions}"


@dataclass(slots=True)
class Outcome:
    """What came of a set: repetitions run, found finished, and failed (with the reason)."""

    run: int = 0
    kept: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def load(names: Sequence[str], *, quick: bool, seed: int | None = None) -> list[Scenario]:
    """The scenarios of these names. Raises ScenarioError."""
    found = [scenario.load(name, quick=quick) for name in names]
    if seed is None:
        return found
    replace = msgspec.structs.replace
    return [replace(one, measure=replace(one.measure, seed=seed)) for one in found]


def names_of_set(*, quick: bool) -> list[str]:
    """All scenarios that come with Tandem; of the quick set those that have a short form."""
    return [name for name in scenario.names() if not quick or scenario.both(name)[1] is not None]


# --- what is missing ---------------------------------------------------------------------------------------------


def missing(plan: Plan) -> list[Job]:
    """The repetitions that are not finished, in the order in which they will be run."""
    return [job for job in wanted(plan) if not _is_done(plan, job)]


def wanted(plan: Plan) -> list[Job]:
    """All repetitions of the set."""
    return [job for job in _possible(plan) if job.world in plan.worlds_for(job.scenario)]


def _possible(plan: Plan) -> list[Job]:
    """Likewise, with those of the worlds that are not asked for this time."""
    code = f"{digest(REAL_SOURCES)}-{plan.endpoints or 'own'}"
    jobs: dict[WorldName, list[Job]] = {"sim": [], "real": []}
    for one, repetition in _order(plan.scenarios):
        for world in one.worlds:
            real = world == "real"
            key = f"{store.real_key(one)}-{code}" if real else store.sim_key(one, plan.profile, REFINEMENT)
            jobs[world].append(Job(one, world, repetition, plan.root / one.name / world / str(repetition), key))
    return [*jobs["sim"], *jobs["real"]]


def _order(scenarios: Sequence[Scenario]) -> list[tuple[Scenario, int]]:
    """In rounds; what is run once comes last, the longest at the very end."""
    repeated = [one for one in scenarios if one.measure.repetitions > 1]
    rounds = max((one.measure.repetitions for one in repeated), default=0)
    order = [(one, number) for number in range(rounds) for one in repeated if number < one.measure.repetitions]
    once = [one for one in scenarios if one.measure.repetitions == 1]
    return [*order, *((one, 0) for one in sorted(once, key=expected.real_s))]


def _is_done(plan: Plan, job: Job) -> bool:
    done = store.is_done(job.directory, job.key)
    return done and not (plan.repeat_disturbed and summary.disturbance(job.directory))


# --- running -----------------------------------------------------------------------------------------------------


def run(plan: Plan, on_step: OnStep = lambda _: None) -> Outcome:
    """Run what is missing, and write what belongs to the whole set, also when it is interrupted.

    A real repetition that cannot be run is noted, and the set goes on; after three in a row it is given up. Raises
    ExperimentError, OSError, KeyboardInterrupt: what is finished before them is kept.
    """
    jobs = missing(plan)
    _prepare(plan, jobs)
    outcome = Outcome(kept=len(wanted(plan)) - len(jobs))
    clock = _Clock(jobs, on_step)
    try:
        _simulate(plan, [job for job in jobs if job.world == "sim"], outcome, clock)
        _measure(plan, [job for job in jobs if job.world == "real"], outcome, clock)
    finally:
        summary.write_set(plan.root, plan.scenarios, plan.profile)
    return outcome


def _prepare(plan: Plan, jobs: Sequence[Job]) -> None:
    """Write the scenarios, and remove repetitions that are not (or no longer) theirs.

    Raises ExperimentError, and removes nothing, where there is anything that is not from a run.
    """
    good = {job.directory for job in _possible(plan) if store.is_done(job.directory, job.key)}
    found = [path for one in plan.scenarios for path in summary.repetitions(plan.root / one.name)]
    for path in {*found} - good | {job.directory for job in jobs}:
        store.begin(path)
    for one in plan.scenarios:
        scenario.write(one, plan.root / one.name)
        summary.write_scenario(plan.root / one.name)


def _simulate(plan: Plan, jobs: Sequence[Job], outcome: Outcome, clock: "_Clock") -> None:
    """The longest first, or one of them would run alone at the end."""
    ordered = sorted(jobs, key=lambda job: -job.expected_s)
    if not ordered:
        return
    SimulatedWorld(ordered[0].scenario, plan.profile)  # parameters that cannot be used are better known at once
    clock.tell(f"simulating {len(ordered)} repetitions")
    work = [
        Simulation(job.scenario, job.repetition, 0, REFINEMENT, plan.profile, job.directory, job.key) for job in ordered
    ]
    sweep.spread(simulate, work, n_jobs=plan.jobs, on_done=lambda done, _total: clock.done(ordered[done - 1]))
    outcome.run += len(ordered)
    for one in {job.scenario.name for job in ordered}:
        summary.write_scenario(plan.root / one)


def _measure(plan: Plan, jobs: Sequence[Job], outcome: Outcome, clock: "_Clock") -> None:
    failures = 0
    for job in jobs:
        try:
            _run_real(plan, job, clock.teller(job))
        except ExperimentError as error:
            outcome.failed[job.title] = str(error)
            failures += 1
            if failures == PATIENCE:
                raise
        else:
            failures = 0
            outcome.run += 1
        clock.done(job)
        summary.write_scenario(plan.root / job.scenario.name)


def _run_real(plan: Plan, job: Job, tell: Callable[[str], None]) -> None:
    one = job.scenario
    with worlds_of(["real"], plan.endpoints)["real"](one) as world:
        run_repetition(one, job.repetition, world, workload.draw(one, job.repetition), job.directory, tell)
    store.finish(job.directory, job.key)


class _Clock:
    """Expected seconds of what is missing, and of what has been done of it."""

    def __init__(self, jobs: Sequence[Job], on_step: OnStep) -> None:
        self._on_step = on_step
        self._total_s = sum(map(self._cost_s, jobs))
        self._done_s, self._what = 0.0, "starting"

    def tell(self, what: str) -> None:
        self._what = what
        self._on_step(Step(self._done_s, self._total_s, what))

    def teller(self, job: Job) -> Callable[[str], None]:
        return lambda what: self.tell(f"{job.title}: {what}")

    def done(self, job: Job) -> None:
        self._done_s += self._cost_s(job)
        self.tell(self._what)

    @staticmethod
    def _cost_s(job: Job) -> float:
        return job.expected_s if job.world == "real" else job.expected_s / expected.cores()
