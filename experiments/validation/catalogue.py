"""The frozen list of validation scenarios, and how often each is run.

Calibration never sees them, and the report does not run them. Nothing is added here to make a table look better, and
nothing is taken away because it looks bad; `STRESS` holds what is meant to break the model.
"""

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from experiments import scenario
from experiments.scenario import ScenarioError
from experiments.schema import Scenario
from experiments.validation import drawn

SCENARIOS = Path(__file__).parent / "scenarios"
Group = Literal["validation", "stress", "random"]

VALIDATION = (
    "workers-1",
    "workers-5",
    "workers-10",
    "burst-none",
    "burst-30ms",
    "poisson-50",
    "poisson-80",
    "poisson-95",
    "idle",
    "poll-rate",
    "poll-delay",
    "two-schedulers",
    "three-schedulers",
    "host-kill",
    "worker-kill",
    "scheduler-kill",
    "etcd-3",
)
STRESS = (
    "poisson-98",
    "tail-lognormal",
    "tail-pareto",
    "bursts",
    "burst-schedulers-3",
    "burst-unbatched",
    "burst-payload",
    "disk-slow-2ms",
    "disk-slow-10ms",
)
REAL_OF_RANDOM = 3
SIMULATED, SIMULATED_QUICK = 30, 10
"""Simulated repetitions at least; real ones are in the files (`measure.repetitions`)."""


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario to validate on: `real` repetitions, each simulated `replicas` times with the same load.

    The same loads in both worlds, each equally often: what differs is the model's error, not the luck of the draw.
    """

    scenario: Scenario
    group: Group
    real: int
    replicas: int

    @property
    def name(self) -> str:
        return self.scenario.name


def cases(
    only: Sequence[str] = (),
    *,
    stress: bool = False,
    quick: bool = False,
    real: int | None = None,
    simulated: int | None = None,
    seed: int | None = None,
) -> list[Case]:
    """The scenarios to run: those named, else all of the first group, or with `stress` of the second.

    Raises ScenarioError for a name that is not in the list.
    """
    chosen = list(dict.fromkeys(only)) or list(STRESS if stress else VALIDATION)
    return [_case(name, quick=quick, real=real, simulated=simulated, seed=seed) for name in chosen]


def _case(name: str, *, quick: bool, real: int | None, simulated: int | None, seed: int | None) -> Case:
    group: Group = "stress" if name in STRESS else "validation"
    if name not in (*VALIDATION, *STRESS):
        near = difflib.get_close_matches(name, (*VALIDATION, *STRESS), n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join((*VALIDATION, *STRESS))}"
        raise ScenarioError(f"there is no validation scenario {name!r}: {hint}")
    one = scenario.load(SCENARIOS / ("stress" if group == "stress" else "") / f"{name}.toml", quick=quick)
    measure = one.measure if seed is None else msgspec.structs.replace(one.measure, seed=seed)
    one = msgspec.structs.replace(one, measure=measure)
    repetitions = real or one.measure.repetitions
    return _repeated(one, group, repetitions, simulated or (SIMULATED_QUICK if quick else SIMULATED))


def random_cases(count: int, *, real: int | None = None, simulated: int | None = None, seed: int = 1) -> list[Case]:
    """The first `count` scenarios that are drawn from this seed."""
    found = [drawn.scenario(seed, number) for number in range(1, count + 1)]
    return [_repeated(one, "random", real or REAL_OF_RANDOM, simulated or SIMULATED_QUICK) for one in found]


def _repeated(one: Scenario, group: Group, real: int, simulated: int) -> Case:
    one = msgspec.structs.replace(one, measure=msgspec.structs.replace(one.measure, repetitions=real))
    return Case(one, group, real, math.ceil(simulated / real))
