"""What an optimisation is worth: the change of a figure when it is left out, with an interval from the repetitions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.columns import throughput_of
from reports.estimate import MIN_FOR_INTERVAL, Estimate
from reports.language import gettext, mark
from reports.markdown import Md, code, table
from reports.numbers import MISSING, NBSP, count_of, fixed, signed_percent
from reports.provenance import Known, sourced, sources_of
from reports.runs import WORLD_NAMES, WORLDS, Scenario, World

RESAMPLES = 1_000
SEED = 20_261_125
"""Any fixed number: the report must not change from one build to the next."""
LEVELS = (2.5, 97.5)
FIGURES = (
    (mark("throughput"), "throughput_per_s"),
    (mark("CPU per task"), "cpu_s_per_1000"),
    (mark("submit to start p50"), "latency_s.dispatch.p50"),
)
OPTIMISATIONS = {
    "max_batch": mark("tasks in a transaction: at most {value}"),
    "max_buffer": mark("buffer of a worker: {value} tasks"),
    "max_in_flight": mark("transactions under way at once: {value}"),
    "min_fill": mark("fill of a transaction before it starts: {value}"),
    "window": mark("ready tasks held in memory: {value}"),
}


@dataclass(frozen=True)
class Effect:
    """The relative change of a figure; `estimate` is a share, 0.1 for ten per cent more."""

    scenario: Scenario
    world: World
    key: str
    estimate: Estimate


def effect(one: Scenario, base: Scenario, world: World, key: str) -> Effect | None:
    """One / base - 1 of the means; the interval by resampling repetitions, never tasks. None where either is missing.

    The resampled units are repetitions because the tasks of one run are not independent.
    """
    mine, other = one.each(world, key), base.each(world, key)
    if not mine or not other:
        whole, reference = one.get(world, key), base.get(world, key)
        value = _ratio(whole, reference)
        return None if value is None else Effect(one, world, key, Estimate(value, n=1))
    sources = sources_of(*mine, *other)
    value = Known(float(np.mean(mine) / np.mean(other)) - 1, *sources)
    n = min(len(mine), len(other))
    if n < MIN_FOR_INTERVAL:
        return Effect(one, world, key, Estimate(value, n=n))
    generator = np.random.default_rng(SEED)
    means = [_resampled(np.array(values, dtype=float), generator) for values in (mine, other)]
    low, high = np.percentile(means[0] / means[1] - 1, LEVELS)
    return Effect(one, world, key, Estimate(value, Known(low, *sources), Known(high, *sources), n))


def _ratio(whole: Estimate | None, reference: Estimate | None) -> float | None:
    if whole is None or reference is None or whole.value is None or not reference.value:
        return None
    return whole.value / reference.value - 1


def _resampled(values: Any, generator: np.random.Generator) -> Any:
    return generator.choice(values, (RESAMPLES, len(values))).mean(axis=1)


def effects(base: Scenario | None, others: Sequence[Scenario], key: str) -> list[Effect]:
    """The effect of each scenario in each world, as far as it ran."""
    if base is None:
        return []
    return [found for one in others for world in WORLDS if (found := effect(one, base, world, key))]


def changes_of(one: Scenario) -> str:
    """What a scenario leaves out, in words: each changed setting once, whatever components it is set for."""
    parts = {}
    for path, value in one.changes.items():
        setting = path.rpartition(".")[2]
        parts[setting, value] = gettext(OPTIMISATIONS.get(setting, setting + " = {value}"), value=value)
    return gettext("; ").join(parts.values())


def shown(found: Effect | None) -> str:
    """`+12.3 % [9.1, 15.0]`."""
    if found is None or found.estimate.value is None:
        return MISSING
    text = signed_percent(found.estimate.value)
    if found.estimate.low is None or found.estimate.high is None:
        return text
    low, high = (fixed(bound * 100, 1) for bound in (found.estimate.low, found.estimate.high))
    return f"{text} {sourced(f'[{low},{NBSP}{high}]', found.estimate.value)}"


def ablations(base: Scenario, others: Sequence[Scenario], caption: str) -> Md:
    """A row for each optimisation that was left out and each world."""
    rows: list[list[Any]] = []
    for one in others:
        for world in WORLDS:
            found = [effect(one, base, world, key) for _, key in FIGURES]
            if any(found):
                left_out = sourced(changes_of(one), *one.stated_at("settings"))
                n = count_of(throughput_of(one, world))
                rows.append([left_out, code(one.name), gettext(WORLD_NAMES[world]), *map(shown, found), n])
    header = [gettext("left out or limited"), gettext("scenario"), gettext("world"),
              *(gettext(label) for label, _ in FIGURES), "n"]  # fmt: skip
    return table("ablations", caption, header, rows, "lllrrrr", widths=(24, 19, 7, 16, 15, 15, 4), small=True)
