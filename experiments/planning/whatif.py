"""What a change to a recorded run would do: the same tasks through the model, as the run was and with the change.

Three columns: recorded, the model as it is, the model changed. The first two show how far the model is off on this very
run; the last two differ by the change alone (same tasks, same seeds), so their difference is known more precisely than
either.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from experiments import metrics, scenario
from experiments.planning import recorded
from experiments.planning.reading import interval
from experiments.planning.recorded import Recorded
from experiments.planning.trust import Trust, offered_rate, trust_run
from experiments.scenario import ScenarioError
from experiments.schema import Scenario
from experiments.sweep import ALL_CORES, Job, replicate
from sim.parameters import Values

SIMULATIONS = 10
"""Of each configuration, at least; several recorded repetitions share them."""
RECORDED_LOAD = (
    "workload.arrivals",
    "workload.service",
    "workload.count",
    "workload.duration_s",
    "workload.priorities",
)
FIXED = ("name", "claims", "measure")
FIGURES = (
    "throughput_per_s",
    "makespan_s",
    *(f"latency_s.{stage}.{name}" for stage in ("total", "overhead", "dispatch") for name in ("p50", "p95", "p99")),
    "cpu_s_per_1000",
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `difference` is changed - as is, of the same tasks and seeds."""

    name: str
    recorded: metrics.Values
    as_is: metrics.Values
    changed: metrics.Values
    difference: metrics.Values

    @property
    def error(self) -> float | None:
        """Of the model on the recorded run: (as is - recorded) / recorded."""
        real, model = self.recorded["value"], self.as_is["value"]
        return (model - real) / real if real and model is not None else None

    @property
    def change(self) -> float | None:
        """Relative: difference / as is."""
        before, by = self.as_is["value"], self.difference["value"]
        return by / before if before and by is not None else None

    @property
    def significant(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        low, high = self.difference["low"], self.difference["high"]
        return low is not None and (low > 0 or high < 0)


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `unfinished`: simulations of the changed configuration that left tasks open."""

    run: str
    world: str
    changes: dict[str, Any]
    cores: int
    repetitions: int
    disturbed: int
    """Recorded repetitions during which other processes used the machine."""
    simulations: int
    rows: tuple[Row, ...]
    unfinished: int
    trust: Trust


@dataclass(frozen=True, slots=True)
class Change:
    """What is to change: settings by key path, and the load as a factor of the arrival rate."""

    settings: Mapping[str, Any]
    load: float = 1.0


def parse(settings: Sequence[str]) -> dict[str, Any]:
    """`--set topology.workers=5`: values as in TOML; what is no TOML is a string. Raises ScenarioError."""
    found: dict[str, Any] = {}
    for text in settings:
        key, sign, value = text.partition("=")
        key = key.strip()
        if not sign or not all(key.split(".")):
            raise ScenarioError(f"--set: expected a key and a value as in topology.workers=5, got {text!r}")
        for fixed in RECORDED_LOAD:
            if key == fixed or key.startswith(f"{fixed}."):
                raise ScenarioError(
                    f"--set {key}: the recorded tasks are replayed as they were; --load 1.5 makes them arrive faster, "
                    "and 'tandem-bench plan --from RUN' asks about other loads"
                )
        if key.partition(".")[0] in FIXED:
            raise ScenarioError(f"--set {key}: changes nothing that could be predicted")
        found[key] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    try:
        return msgspec.toml.decode(f"value = {text}")["value"]
    except msgspec.DecodeError:
        return text


def whatif(
    run: Path,
    change: Change,
    values: Values,
    *,
    simulations: int = SIMULATIONS,
    n_jobs: int | None = ALL_CORES,
    on_done: Callable[[int, int], None] = lambda _done, _total: None,
) -> WhatIf:
    """Predict. Raises ScenarioError (no run, unknown keys), ExperimentError."""
    found = recorded.load(run)
    try:
        changed = scenario.with_changes(run / "scenario.toml", change.settings)
    except ScenarioError as error:
        raise ScenarioError(f"--set {error}") from error
    pairs = _pairs(len(found.traces), simulations)
    before = _jobs(found, found.scenario, 1.0, values, pairs)
    after = _jobs(found, changed, change.load, values, pairs)
    figures = replicate([*before, *after], n_jobs=n_jobs, on_done=on_done)
    as_is, other = figures[: len(pairs)], figures[len(pairs) :]
    return WhatIf(
        run=str(run),
        world=found.world,
        changes={**change.settings, **({"load": change.load} if change.load != 1.0 else {})},
        cores=values.cores,
        repetitions=len(found.traces),
        disturbed=found.disturbed,
        simulations=len(pairs),
        rows=tuple(_row(name, found.figures, as_is, other) for name in FIGURES),
        unfinished=sum(one["completed"] < len(job.load or ()) for one, job in zip(other, after, strict=True)),
        trust=trust_run(changed, found.workload(0), _rate(found) * change.load),
    )


def _pairs(repetitions: int, simulations: int) -> list[tuple[int, int]]:
    """(repetition, replica): each recorded repetition equally often."""
    replicas = -(-simulations // repetitions)
    return [(repetition, replica) for repetition in range(repetitions) for replica in range(replicas)]


def _jobs(found: Recorded, one: Scenario, load: float, values: Values, pairs: Sequence[tuple[int, int]]) -> list[Job]:
    """The recorded tasks through this configuration, arriving `load` times as fast."""
    measure = msgspec.structs.replace(one.measure, warmup_s=one.measure.warmup_s / load)
    one = msgspec.structs.replace(one, measure=measure)
    tasks = [found.workload(repetition, one) for repetition in range(len(found.traces))]
    tasks = [replace(each, intended_s=each.intended_s / load) for each in tasks]
    return [Job(one, repetition, tasks[repetition], values, replica) for repetition, replica in pairs]


def _rate(found: Recorded) -> float:
    intended_s = recorded.final_rows(found.traces[0])["intended"].to_numpy(dtype=float)
    return offered_rate(intended_s, float(found.figures["throughput_per_s"]["value"] or 0.0))


def _row(name: str, real: metrics.Values, as_is: Sequence[metrics.Values], other: Sequence[metrics.Values]) -> Row:
    before, after = [at(one, name) for one in as_is], [at(one, name) for one in other]
    pairs = zip(before, after, strict=True)
    return Row(
        name=name,
        recorded=at(real, name),
        as_is=metrics.figure(before),
        changed=metrics.figure(after),
        difference=interval([new - old for old, new in pairs if old is not None and new is not None]),
    )


def at(values: metrics.Values, path: str) -> Any:
    """What stands at a key path."""
    node: Any = values
    for part in path.split("."):
        node = node[part]
    return node
