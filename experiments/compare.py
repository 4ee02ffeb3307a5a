"""What differs between two runs: each figure's change from A to B, with its interval over repetitions.

**Interval.** Percentile bootstrap (scipy) of mean(B) / mean(A) - 1 over repetitions, never over tasks: the tasks of one
run share its moments. Where both sides drew the same loads (the same workload, seed and repetition numbers), the
repetitions are resampled in pairs, so that the luck of the draw, which both shared, is not taken for a difference.
Fewer than three repetitions on a side give no interval. The resampling is seeded: the same files give the same text.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from experiments import metrics, summary
from experiments.run import is_repetition
from experiments.scenario import ScenarioError
from experiments.world import WorldName

Floats = NDArray[np.float64]
Judgement: TypeAlias = Literal[
    "more", "less", "the same", "no significant difference", "too few repetitions", "not comparable"
]

CONFIDENCE = 0.95
RESAMPLES = 5_000
MIN_FOR_INTERVAL = 3
"""Repetitions: resampling two of them knows three outcomes."""
SEED = 1
MAIN = (
    "throughput_per_s",
    "steady_throughput_per_s",
    "slot_efficiency",
    "makespan_s",
    "latency_s.enqueue.p50",
    "latency_s.dispatch.p50",
    "latency_s.dispatch.p99",
    "latency_s.overhead.mean",
    "latency_s.total.p50",
    "latency_s.total.p99",
    "recovery_s.p50",
    "recovery_s.max",
    "queue_depth_max",
    "cpu_s_per_1000",
    "etcd.fsync_mean_s",
    "lost",
    "executed_twice",
    "committed_twice",
)


class Change(msgspec.Struct, frozen=True):
    """One figure on both sides; `change`, `low` and `high` are shares of A's mean (0.1: 10 % more in B)."""

    figure: str
    a: float
    b: float
    n_a: int
    n_b: int
    paired: bool
    change: float | None
    low: float | None
    high: float | None
    judgement: Judgement


class Comparison(msgspec.Struct, frozen=True):
    """One scenario on both sides."""

    a: str
    b: str
    world: WorldName
    same_load: bool
    changes: list[Change]


class Side(msgspec.Struct, frozen=True):
    """One scenario's repetitions: figures by dotted key, and the load each had."""

    name: str
    path: Path
    figures: list[dict[str, float]]
    loads: list[tuple[bytes, int]]


# --- reading -----------------------------------------------------------------------------------------------------


def folders(a: Path, b: Path, world: WorldName, *, everything: bool = False) -> list[Comparison]:
    """Compare two scenario folders, or the scenarios of the same name in two folders of runs.

    Raises ScenarioError with a sentence for the user where there is nothing to compare.
    """
    for path in (a, b):
        if not path.is_dir():
            raise ScenarioError(f"there is no folder {path}")
    single = [_is_scenario(path) for path in (a, b)]
    if all(single):
        return [compare(read(a, world), read(b, world), world, everything=everything)]
    if any(single):
        one, other = (a, b) if single[0] else (b, a)
        _scenarios(other)  # or it is none of ours at all
        raise ScenarioError(f"{one} is one scenario and {other} is a folder of several: compare {other}/<scenario>")
    names = [_scenarios(path) for path in (a, b)]
    both = [name for name in names[0] if name in names[1]]
    usable = [name for name in both if _has(a / name, world) and _has(b / name, world)]
    if not usable:
        what = f"no finished {world} repetitions in common" if both else "no scenario in common"
        raise ScenarioError(f"{a} and {b} have {what} ({len(names[0])} and {len(names[1])} scenarios)")
    return [compare(read(a / name, world), read(b / name, world), world, everything=everything) for name in usable]


def _is_scenario(path: Path) -> bool:
    """A repetition has both files, too, but no worlds in it."""
    files = (path / "metrics.json").is_file() and (path / "scenario.toml").is_file()
    return files and any((path / world).is_dir() for world in ("real", "sim"))


def _scenarios(path: Path) -> list[str]:
    found = sorted(each.name for each in path.iterdir() if _is_scenario(each))
    if not found:
        raise ScenarioError(f"{path} holds no finished runs (no metrics.json in it or one folder below)")
    return found


def _has(path: Path, world: WorldName) -> bool:
    return bool(_repetitions(path, world))


def _repetitions(path: Path, world: WorldName) -> list[Path]:
    folder = path / world
    found = [each for each in folder.iterdir() if is_repetition(each)] if folder.is_dir() else []
    return sorted((each for each in found if (each / "metrics.json").is_file()), key=lambda each: int(each.name))


def read(path: Path, world: WorldName) -> Side:
    """The repetitions of a scenario. Raises ScenarioError where there are none, or a file is broken."""
    repetitions = _repetitions(path, world)
    if not repetitions:
        raise ScenarioError(f"{path} has no finished {world} repetitions (--world chooses)")
    try:
        figures = [dict(_flat(summary.plain(metrics.read(one / "metrics.json")[world]))) for one in repetitions]
        return Side(path.name, path, figures, [_load(one) for one in repetitions])
    except (ValueError, KeyError, OSError) as error:
        raise ScenarioError(f"{path}: a repetition cannot be read: {error}") from error


def _load(repetition: Path) -> tuple[bytes, int]:
    """What its tasks were drawn from: two repetitions with the same had the same tasks."""
    document = msgspec.toml.decode((repetition / "scenario.toml").read_bytes())
    drawn = {"workload": document["workload"], "seed": document["measure"]["seed"]}
    return msgspec.json.encode(drawn, order="sorted"), int(repetition.name)


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield prefix + key, float(value)


# --- comparing ---------------------------------------------------------------------------------------------------


def compare(a: Side, b: Side, world: WorldName, *, everything: bool = False) -> Comparison:
    """Every figure that both sides have, the main ones in a fixed order."""
    paired = a.loads == b.loads
    known = [key for key in _keys(a) if key in set(_keys(b))]
    keys = known if everything else [key for key in MAIN if key in known]
    return Comparison(str(a.path), str(b.path), world, paired, [_change(key, a, b, paired=paired) for key in keys])


def _keys(side: Side) -> list[str]:
    return list(dict.fromkeys(key for one in side.figures for key in one))


def _change(key: str, a: Side, b: Side, *, paired: bool) -> Change:
    have = [key in one for one in a.figures], [key in two for two in b.figures]
    paired = paired and have[0] == have[1]
    one, two = (np.array([each[key] for each in side.figures if key in each]) for side in (a, b))
    mean_a, mean_b = float(one.mean()), float(two.mean())
    change = mean_b / mean_a - 1 if mean_a else None
    bounds = interval(one, two, paired=paired)
    low, high = bounds or (None, None)
    return Change(key, mean_a, mean_b, len(one), len(two), paired, change, low, high, _judge(one, two, bounds))


def _judge(one: Floats, two: Floats, bounds: tuple[float, float] | None) -> Judgement:
    if np.ptp(one) == 0 and np.ptp(two) == 0 and one[0] == two[0]:
        return "the same"
    if min(len(one), len(two)) < MIN_FOR_INTERVAL:
        return "too few repetitions"
    if bounds is None:
        return "not comparable"
    if bounds[0] <= 0 <= bounds[1]:
        return "no significant difference"
    return "more" if bounds[0] > 0 else "less"


def interval(one: Floats, two: Floats, *, paired: bool) -> tuple[float, float] | None:
    """The 95 % interval of mean(two) / mean(one) - 1.

    None with fewer than three repetitions on a side, or where A can be 0.
    """
    if min(len(one), len(two)) < MIN_FOR_INTERVAL or not np.all(one > 0):
        return None
    if np.ptp(one) == 0 and np.ptp(two) == 0:  # all the same: nothing to resample
        change = float(two[0] / one[0]) - 1
        return change, change
    found = stats.bootstrap(
        (one, two),
        _relative,
        paired=paired,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _relative(one: Floats, two: Floats, axis: int = -1) -> Floats:
    relative: Floats = two.mean(axis=axis) / one.mean(axis=axis) - 1
    return relative


def write(found: Sequence[Comparison], path: Path) -> None:
    """The comparisons as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
