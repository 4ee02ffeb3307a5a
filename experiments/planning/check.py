"""The answer tried on the real system: predicted beside measured."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from experiments import metrics, scenario
from experiments.planning.answer import CHECK_REPETITIONS, SCENARIO, Plan
from experiments.planning.recorded import disturbed_in
from experiments.planning.targets import UTILISATION, Target
from experiments.run import Step, run_scenario, worlds_of

CHECK, RUNS = "check.json", "check"
ROWS = (
    "throughput_per_s",
    "latency_s.total.p50",
    "latency_s.total.p95",
    "latency_s.total.p99",
    "latency_s.overhead.p50",
    "latency_s.overhead.p95",
    "latency_s.overhead.p99",
    "cpu_s_per_1000",
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure; `target`: the bound, where it was asked for."""

    name: str
    predicted: metrics.Values
    measured: metrics.Values
    target: Target | None = None

    @property
    def error(self) -> float | None:
        """(predicted - measured) / measured."""
        mine, real = self.predicted["value"], self.measured["value"]
        return (mine - real) / real if mine is not None and real else None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """`disturbed`: other processes used the machine during that many repetitions."""

    rows: tuple[Row, ...]
    repetitions: int
    disturbed: int
    lost: int

    @property
    def met(self) -> bool:
        """Whether the real system meets every target (in the mean over repetitions)."""
        return all(row.target.met(row.measured["value"]) for row in self.rows if row.target is not None)


def run(
    answer: Plan,
    folder: Path,
    *,
    endpoints: str | None = None,
    repetitions: int = CHECK_REPETITIONS,
    on_step: Callable[[Step], None] = lambda _: None,
) -> Check:
    """Run the chosen configuration on the real system; the runs go to `folder`/check.

    The model's repetitions had the same tasks. Raises ExperimentError, OSError.
    """
    one = scenario.load(folder / SCENARIO)
    one = msgspec.structs.replace(one, measure=msgspec.structs.replace(one.measure, repetitions=repetitions))
    runs = folder / RUNS
    measured = run_scenario(one, worlds_of(["real"], endpoints), runs, on_step=on_step)["real"]
    rows = [_target_row(answer, target, measured) for target in answer.targets]
    asked = {target.figure for target in answer.targets}
    rows += [
        Row(name=path, predicted=answer.figures[path], measured=_at(measured, path))
        for path in ROWS
        if path not in asked
    ]
    found = Check(
        rows=tuple(rows), repetitions=repetitions, disturbed=disturbed_in(runs, "real"), lost=measured["lost"]
    )
    (folder / CHECK).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    return found


def _target_row(answer: Plan, target: Target, measured: metrics.Values) -> Row:
    path = "slot_efficiency" if target.figure == UTILISATION else target.figure
    return Row(name=target.text, predicted=answer.targeted[target.text], measured=_at(measured, path), target=target)


def _at(values: metrics.Values, path: str) -> metrics.Values:
    for part in path.split("."):
        values = values[part]
    return values
