"""Saved runs, read back: one folder for each scenario, the real repetitions beside the simulated ones.

    ROOT/environment.json  ROOT/claims.json  ROOT/calibration.json  ROOT/benchmarks.json  ROOT/plan.json
    ROOT/containers.json  ROOT/calibrated.json
    ROOT/<scenario>/scenario.toml, metrics.json, real/<repetition>/..., sim/<repetition>/...

What is absent is reported as absent; what is present but broken raises `ReportError` naming the file.
"""

import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import pandas as pd

from reports.estimate import Estimate
from reports.language import gettext, mark
from reports.provenance import Known, Source
from reports.stated import Stated

World = Literal["real", "sim"]
WORLDS: tuple[World, ...] = ("real", "sim")
WORLD_NAMES: dict[World, str] = {"real": mark("real"), "sim": mark("model")}

STAGES = ("submit_lag", "enqueue", "ready_wait", "assign", "pull", "slot_wait", "execution", "commit", "notify")
"""The nine stages of a task's life in order; they add up to `total`."""
MOMENTS = (
    "intended", "submitted", "enqueued", "assign_sent", "assigned", "received", "started", "finished", "committed",
    "observed",
)  # fmt: skip
SAMPLES = ("time_s", "component", "cpu_s", "rss_bytes")
DERIVED = {"dispatch": ("submitted", "started"), "total": ("intended", "observed")}


def in_world(what: str, world: World) -> str:
    """`tasks/s, real`: a figure's name with that of the world."""
    return gettext("{what}, {world}", what=what, world=gettext(WORLD_NAMES[world]))


class ReportError(ValueError):
    """The report cannot be built; the message is a sentence for the user."""


def read_json(path: Path) -> Any:
    """Decode a JSON file. Raises ReportError if it cannot be read or is not JSON."""
    try:
        return msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise ReportError(f"cannot read {path}: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportError(f"{path} is not valid JSON: {error}.") from error


def read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read a Parquet file that must have `columns`. Raises ReportError naming what is wrong."""
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "unreadable"
        raise ReportError(f"{path} is not a readable Parquet file: {reason}.") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ReportError(f"{path} lacks the column {missing[0]!r}.")
    return table


@dataclass(frozen=True)
class Scenario(Stated):
    """One scenario folder. Times in seconds, rates in tasks per second."""

    metrics: dict[str, Any]
    file: str = ""
    """Where the figures are, relative to the folder of runs."""

    def has(self, world: World) -> bool:
        """Whether this world has figures."""
        return bool(self.metrics.get(world))

    def count(self, world: World, key: str) -> Known | None:
        """A plain count, such as `lost`; None where it was not counted."""
        found = self.get(world, key)
        return found.value if found and isinstance(found.value, Known) else None

    def get(self, world: World, key: str) -> Estimate | None:
        """The figure at a dotted key such as `latency_s.dispatch.p50`; None when it is absent or null."""
        node: Any = self.metrics.get(world)
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        source = Source(self.file, f"{world}.{key}")
        if isinstance(node, int | float):
            return Estimate(Known(node, source), n=1)
        if node is None:
            return None
        try:
            estimate = msgspec.convert(node, Estimate)
        except msgspec.ValidationError as error:
            raise ReportError(f"{self.path / 'metrics.json'}: {world}.{key}: {error}.") from error
        if estimate.value is None or not math.isfinite(estimate.value):
            return None
        low, high = (None if bound is None else Known(bound, source) for bound in (estimate.low, estimate.high))
        return Estimate(Known(estimate.value, source), low, high, estimate.n).shown()

    @property
    def has_real(self) -> bool:
        return self.has("real")

    @property
    def has_sim(self) -> bool:
        return self.has("sim")

    def each(self, world: World, key: str) -> list[Known]:
        """The figure in each repetition that has it."""
        found = []
        for folder in self.repetitions(world):
            file = folder / "metrics.json"
            if file.is_file():
                one = Scenario(self.path, self.spec, read_json(file), str(file.relative_to(self.path.parent)))
                estimate = one.get(world, key)
                found += [estimate.value] if estimate and isinstance(estimate.value, Known) else []
        return found

    def parts(self, world: World, key: str) -> list[str]:
        """The names below a key that holds figures by name, such as the components of `cpu_s_per_1000_of`."""
        node = (self.metrics.get(world) or {}).get(key)
        return [name for name in node if self.get(world, f"{key}.{name}")] if isinstance(node, dict) else []

    def repetitions(self, world: World) -> list[Path]:
        """The repetition folders of a world, in order."""
        folder = self.path / world
        found = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
        return sorted(found, key=lambda path: (len(path.name), path.name))

    def traces(self, world: World) -> Iterator[pd.DataFrame]:
        """The trace of each repetition that has one: a row per attempt, moments in seconds from the run's start."""
        for folder in self.repetitions(world):
            if (folder / "trace.parquet").is_file():
                yield read_table(folder / "trace.parquet", MOMENTS)

    def samples(self, world: World) -> Iterator[pd.DataFrame]:
        """What the processes used in each repetition that was sampled."""
        for folder in self.repetitions(world):
            if (folder / "resources.parquet").is_file():
                yield read_table(folder / "resources.parquet", SAMPLES)

    def latencies(self, world: World, name: str) -> pd.Series:
        """A derived latency (`dispatch` or `total`) in seconds, all repetitions, tasks intended after the warm-up."""
        start, end = DERIVED[name]
        parts = []
        for trace in self.traces(world):
            kept = trace[trace["intended"] >= self.warmup_s]
            if "final" in kept.columns:  # the attempt that ended the task, as in metrics.json
                kept = kept[kept["final"].astype(bool)]
            parts.append((kept[end] - kept[start]).dropna())
        return pd.concat(parts, ignore_index=True) if parts else pd.Series(dtype="float64")

    @cached_property
    def environments(self) -> list[dict[str, Any]]:
        """`environment.json` of each repetition of the real system."""
        return self._environments("real")

    @cached_property
    def model_environments(self) -> list[dict[str, Any]]:
        """`environment.json` of each repetition of the model."""
        return self._environments("sim")

    def _environments(self, world: World) -> list[dict[str, Any]]:
        files = [folder / "environment.json" for folder in self.repetitions(world)]
        return [read_json(file) for file in files if file.is_file()]


@dataclass(frozen=True)
class Runs:
    """Everything below one root folder."""

    root: Path
    scenarios: dict[str, Scenario]
    claims: list[dict[str, Any]] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    benchmarks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`extra_info` of each benchmark by its name."""
    plan: dict[str, Any] = field(default_factory=dict)
    containers: dict[str, Any] = field(default_factory=dict)
    """What a trial of the containers recorded (`experiments.containers`)."""
    calibrated: dict[str, Any] = field(default_factory=dict)
    """How fast the machine was that the model's parameters were measured on."""

    def everything(self) -> list[Scenario]:
        """All scenarios, in natural order of their names."""
        return [*self.scenarios.values()]

    def known(self, value: float, file: str, key: str) -> Known:
        """A number read from a file beside the scenarios."""
        return Known(value, Source(file, key))

    def counted(self, scenarios: Sequence[Scenario]) -> Known:
        """How many scenarios these are."""
        return Known(len(scenarios), *(Source(one.file, "present") for one in scenarios))


def _natural(name: str) -> list[tuple[bool, int, str]]:
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in name.split("-")]


def load_scenario(path: Path) -> Scenario:
    """Read one scenario folder. Raises ReportError."""
    try:
        spec = tomllib.loads((path / "scenario.toml").read_text("utf-8"))
    except OSError as error:
        raise ReportError(f"cannot read {path / 'scenario.toml'}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ReportError(f"{path / 'scenario.toml'} is not valid TOML: {error}.") from error
    metrics = read_json(path / "metrics.json")
    if not isinstance(metrics, dict):
        raise ReportError(f"{path / 'metrics.json'} must hold an object, not a {type(metrics).__name__}.")
    return Scenario(path, spec, metrics, f"{path.name}/metrics.json")


def load_runs(root: Path) -> Runs:
    """Read every scenario below `root`; folders without a metrics.json, or with an empty one, are left out.

    Raises ReportError if there is no such folder, nothing in it, or a broken file.
    """
    if not root.is_dir():
        raise ReportError(f"there is no folder of runs at {root}.")
    folders = [path for path in root.iterdir() if (path / "metrics.json").is_file()]
    if not folders:
        raise ReportError(f"{root} holds no finished runs (no <scenario>/metrics.json).")
    loaded = [load_scenario(path) for path in sorted(folders, key=lambda path: _natural(path.name))]
    found = [one for one in loaded if any(one.has(world) for world in WORLDS)]
    if not found:
        raise ReportError(f"{root} holds no finished runs (no figures in any <scenario>/metrics.json).")
    objects = ("environment", "calibration", "benchmarks", "plan", "containers", "calibrated")
    expected = {"claims": list, **dict.fromkeys(objects, dict)}
    files = {name: root / f"{name}.json" for name in expected}
    data = {name: read_json(file) if file.is_file() else None for name, file in files.items()}
    for name, value in data.items():
        if value is not None and not isinstance(value, expected[name]):
            raise ReportError(f"{files[name]} must hold a JSON {'array' if name == 'claims' else 'object'}.")
    return Runs(
        root,
        {scenario.path.name: scenario for scenario in found},
        data["claims"] or [],
        data["environment"] or {},
        data["calibration"] or {},
        {one["name"]: one.get("extra_info", {}) for one in (data["benchmarks"] or {}).get("benchmarks", ())},
        data["plan"] or {},
        data["containers"] or {},
        data["calibrated"] or {},
    )
