"""Runs a scenario in one world or both, and writes the run directories.

    DIR/scenario.toml, metrics.json                                the scenario as it was run, and the summary
    DIR/profile.json                                               the model's parameters, where they were scaled
    DIR/<world>/<repetition>/scenario.toml, environment.json, trace.parquet, resources.parquet, metrics.json
    DIR/real/<repetition>/etcd.json                                what etcd's members said of themselves

The repetitions of the worlds are interleaved, so that a machine that slows down meanwhile slows both alike.
"""

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from experiments import environment, etcd_metrics, metrics, scenario, trace, workload
from experiments.schema import Scenario
from experiments.world import ExperimentError, Measured, Tell, World, WorldName

MakeWorld = Callable[[Scenario], World]
PROFILE = "profile.json"
"""The model's parameters at the speed of the machine, beside the runs of a scenario or of a set."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where a run is: `done` of `total` repetitions over all worlds are finished; `what` is going on."""

    world: WorldName
    repetition: int
    done: int
    total: int
    what: str


def worlds_of(
    names: Sequence[WorldName],
    endpoints: str | None = None,
    profile: Path | None = None,
    deployed: str | None = None,
) -> dict[WorldName, MakeWorld]:
    """How to make each world.

    With `endpoints` the real one uses that etcd instead of starting its own, and with `deployed` (their namespace) the
    schedulers and workers that run there, too; `profile` holds the model's parameters (default: those that come with
    Tandem).

    Raises ExperimentError for `deployed` without `endpoints`.
    """
    if deployed is not None and endpoints is None:
        raise ExperimentError("--deployed needs to know where: name the etcd with --etcd-endpoints HOST:PORT")
    makers: dict[WorldName, MakeWorld] = {}
    for name in names:
        if name == "real" and endpoints is not None and deployed is not None:
            makers[name] = _deployed(endpoints, deployed)
        elif name == "real":
            from experiments.real import RealWorld  # noqa: PLC0415 - grpc is needed for this world only

            makers[name] = lambda one: RealWorld(one, endpoints)
        else:
            from experiments.simulated import SimulatedWorld  # noqa: PLC0415 - likewise simpy

            makers[name] = lambda one: SimulatedWorld(one, profile)
    return makers


def _deployed(endpoints: str, namespace: str) -> MakeWorld:
    from experiments.deployed import DeployedWorld  # noqa: PLC0415 - grpc is needed for this world only

    return lambda one: DeployedWorld(one, endpoints, namespace)


def run_scenario(
    one: Scenario,
    worlds: dict[WorldName, MakeWorld],
    out: Path,
    *,
    seed: int | None = None,
    on_step: Callable[[Step], None] = lambda _: None,
) -> dict[str, metrics.Values]:
    """Run all repetitions, write everything under `out`, and return the summaries by world.

    Raises ExperimentError, ScenarioError, OSError.
    """
    if seed is not None:
        one = msgspec.structs.replace(one, measure=msgspec.structs.replace(one.measure, seed=seed))
    clear(out)
    scenario.write(one, out)
    figures: dict[WorldName, list[metrics.Values]] = {name: [] for name in worlds}
    total, done = one.measure.repetitions * len(worlds), 0
    with contextlib.ExitStack() as stack:
        entered = {name: stack.enter_context(make(one)) for name, make in worlds.items()}
        for repetition in range(one.measure.repetitions):
            load = workload.draw(one, repetition)
            for name, world in entered.items():
                tell = _teller(on_step, Step(name, repetition, done, total, "starting"))
                directory = out / name / str(repetition)
                figures[name].append(run_repetition(one, repetition, world, load, directory, tell))
                done += 1
                on_step(Step(name, repetition, done, total, "done"))
    summaries = {str(name): metrics.summarise(values) for name, values in figures.items()}
    metrics.write(summaries, out / "metrics.json")
    return summaries


def _teller(on_step: Callable[[Step], None], step: Step) -> Tell:
    def tell(what: str) -> None:
        on_step(Step(step.world, step.repetition, step.done, step.total, what))

    return tell


def run_repetition(
    one: Scenario, repetition: int, world: World, load: workload.Workload, directory: Path, tell: Tell
) -> metrics.Values:
    """Run one repetition and write it to `directory`, whose parent is named after the world; returns its figures.

    Raises ExperimentError, OSError.
    """
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    measured = world.run(one, load, tell)
    tell("writing")
    values = figures_of(one, measured)
    scenario.write(one, directory)
    trace.write(measured.trace, directory / "trace.parquet")
    trace.write(measured.resources, directory / "resources.parquet")
    if measured.etcd:
        etcd_metrics.write(measured.etcd, directory / "etcd.json")
    for name, text in measured.logs.items():
        (directory / f"{name}.log").write_text(text)
    about: dict[str, Any] = {
        "scenario": one.name,
        "world": directory.parent.name,
        "seed": one.measure.seed,
        "repetition": repetition,
        "started_at": started_at,
    }
    environment.write(directory / "environment.json", **about, **measured.environment)
    metrics.write({directory.parent.name: metrics.summarise([values])}, directory / "metrics.json")
    return values


def figures_of(one: Scenario, measured: Measured) -> metrics.Values:
    """The figures of one repetition."""
    values = metrics.of_repetition(
        measured.trace,
        measured.resources,
        measured.counts,
        slots=one.topology.workers * one.topology.slots,
        warmup_s=one.measure.warmup_s,
        faults=one.faults,
    )
    return values | {"etcd": etcd_metrics.figures(measured.etcd, values["completed"])}


def clear(out: Path) -> None:
    """Remove what an earlier run left in `out`: it must not be taken for part of this one.

    Raises ExperimentError, and removes nothing, where there is anything that is not from a run: `--out .` must never
    cost anybody their files.
    """
    worlds = [out / name for name in ("real", "sim") if (out / name).exists()]
    for world in worlds:
        strange = [path for path in ([world] if not world.is_dir() else world.iterdir()) if not is_repetition(path)]
        if strange:
            raise ExperimentError(f"{strange[0]} is not from an earlier run: choose another folder for --out")
    for world in worlds:
        shutil.rmtree(world)
    for name in ("metrics.json", PROFILE):
        (out / name).unlink(missing_ok=True)


def profile_of(run: Path) -> Path | None:
    """The parameters that the model had in a run; None: those that come with Tandem."""
    return next((path for path in (run / PROFILE, run.parent / PROFILE) if path.is_file()), None)


def is_repetition(path: Path) -> bool:
    """Whether a folder holds a repetition, or is an empty one that is to hold it."""
    if not (path.is_dir() and path.name.isdecimal()):
        return False
    return (path / "scenario.toml").is_file() or not any(path.iterdir())


def choose(one: Scenario, names: Sequence[WorldName]) -> list[WorldName]:
    """Those of the worlds that a scenario can run in. Raises ScenarioError where it is none."""
    found = [name for name in names if name in one.worlds]
    if not found:
        raise scenario.ScenarioError(
            f"scenario {one.name} runs in the model only (its [model] table or a partition says what no machine at "
            f"hand can be): leave out --world real"
        )
    return found
