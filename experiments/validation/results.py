"""What a validation finds, as it stands in `validation.json`. Shares are dimensionless: 0.03 is 3 %."""

from typing import Literal

import msgspec

from experiments.metrics import KINDS
from experiments.trace import STAGES
from experiments.validation.bands import Finding
from experiments.validation.catalogue import Group
from experiments.validation.observed import RECOVERY
from experiments.validation.predictors import Predictor
from experiments.validation.region import Point
from experiments.validation.statistics import Centre
from sim.parameters import Refinement

STAGE_TARGET = 0.10
TAU_TARGET = 0.9
W1_PREFIX = "w1."


class Figure(msgspec.Struct, frozen=True):
    """A figure that is compared. `target`: what its error may be; None: it is shown, not judged."""

    key: str
    label: str
    unit: str
    scale: float
    """From the stored unit (seconds, tasks a second) to the one that is shown."""
    target: float | None
    centre: Centre = "mean"


FIGURES: tuple[Figure, ...] = (
    Figure("throughput_per_s", "throughput", "tasks/s", 1.0, 0.03),
    Figure("steady_throughput_per_s", "steady throughput", "tasks/s", 1.0, 0.03),
    Figure("makespan_s", "makespan", "s", 1.0, 0.03),
    Figure("latency_s.overhead.p50", "overhead p50", "ms", 1000.0, 0.08),
    Figure("latency_s.overhead.p95", "overhead p95", "ms", 1000.0, 0.12),
    Figure("latency_s.overhead.p99", "overhead p99", "ms", 1000.0, 0.15),
    Figure("latency_s.dispatch.p50", "dispatch p50", "ms", 1000.0, 0.08),
    Figure("latency_s.dispatch.p95", "dispatch p95", "ms", 1000.0, 0.12),
    Figure("latency_s.dispatch.p99", "dispatch p99", "ms", 1000.0, 0.15),
    Figure(RECOVERY, "recovery", "s", 1.0, 0.10, "median"),
    Figure("cpu_s_per_1000", "CPU a 1,000 tasks", "s", 1.0, 0.15),
    *(Figure(f"cpu_s_per_1000_of.{kind}", f"... of the {kind}", "s", 1.0, None) for kind in KINDS),
)
"""Targets from the project's plan. Overhead: total latency without the execution."""
RANKED = ("throughput_per_s", "latency_s.overhead.p50", "latency_s.overhead.p99")
STAGE_NAMES = STAGES


class Compared(Figure, frozen=True, kw_only=True):
    """A figure of one scenario: `error` = (model - real) / real with its 95 % interval, beside the floor."""

    real: float
    model: float
    error: float | None
    low: float | None
    high: float | None
    floor: float | None
    limit: float | None
    """max(target, 1.5 x floor)."""
    met: bool | None
    n: int


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage's distribution over all tasks. `share`: of the mean time from due to observed, in the real system."""

    stage: str
    real_s: float | None
    model_s: float | None
    share: float | None
    error: float | None
    low: float | None
    high: float | None
    w1: float | None
    """Wasserstein distance over the real mean."""
    ks: float | None
    floor: float | None
    """The same distance between two halves of the real repetitions."""
    limit: float
    met: bool | None


class Prediction(msgspec.Struct, frozen=True):
    """A trivial predictor's figure. `verdict`: what the model did to it; tied: no further from it than the floor."""

    predictor: Predictor
    key: str
    value: float
    error: float
    model_error: float
    verdict: Literal["beaten", "tied", "lost"]


class Spectrum(msgspec.Struct, frozen=True):
    """Quantiles of the latency without execution, in seconds, all repetitions together."""

    shares: list[float]
    real: list[float]
    model: list[float]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario."""

    name: str
    group: Group
    about: Point
    real: int
    simulated: int
    disturbed: int
    """Real repetitions during which other processes used the machine."""
    unfinished: int
    """Tasks that did not end in time, in both worlds together."""
    figures: list[Compared]
    alike: list[Compared] = []
    """Of those repetitions alone before which a put took about as long as at the calibration (`analysis.ALIKE`)."""
    stages: list[Stage]
    predictions: list[Prediction]
    spectrum: Spectrum


class Ranking(msgspec.Struct, frozen=True):
    """Does the model put the configurations in the right order?"""

    key: str
    label: str
    tau: float | None
    configurations: int
    met: bool | None


class Gain(msgspec.Struct, frozen=True):
    """What a refinement of the model buys: mean absolute errors over the scenarios, and verdicts that are met."""

    refinement: Refinement
    errors: dict[str, float]
    met: int
    judged: int


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """The file. `machine`, `etcd`, `profile`: where the real runs were made, and the model's parameters."""

    date: str
    quick: bool
    machine: dict[str, str | int]
    etcd: str
    profile: str
    refinement: Refinement
    results: list[Result]
    rankings: list[Ranking]
    gains: list[Gain] = []
    bands: list[Finding] = []


def errors_of(result: Result) -> dict[str, float]:
    """All errors of a scenario by name: signed ones of figures and of the stages' means, distances of stages."""
    found = {one.key: one.error for one in result.figures}
    found |= {f"{W1_PREFIX}{one.stage}": one.w1 for one in result.stages}
    return {key: value for key, value in found.items() if value is not None}
