"""Saved runs, read back: one folder for each scenario, the real repetitions beside the simulated ones.

    ROOT/environment.json  ROOT/claims.json  ROOT/calibration.json
    ROOT/<scenario>/scenario.toml, metrics.json, real/<repetition>/..., sim/<repetition>/...

What is absent is reported as absent; what is present but broken raises `ReportError` naming the file.
"""

import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import pandas as pd

from reports.estimate import Estimate

World = Literal["real", "sim"]
WORLDS: tuple[World, ...] = ("real", "sim")
WORLD_NAMES: dict[World, str] = {"real": "real", "sim": "model"}

STAGES = ("submit_lag", "enqueue", "ready_wait", "assign", "pull", "slot_wait", "execution", "commit", "notify")
"""The nine stages of a task's life in order; they add up to `total`."""
MOMENTS = (
    "intended", "submitted", "enqueued", "assign_sent", "assigned", "received", "started", "finished", "committed",
    "observed",
)  # fmt: skip
DERIVED = {"dispatch": ("submitted", "started"), "total": ("intended", "observed")}


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
class Scenario:
    """One scenario folder. Times in seconds, rates in tasks per second."""

    path: Path
    spec: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.spec.get("name", self.path.name))

    @property
    def topology(self) -> dict[str, Any]:
        return dict(self.spec.get("topology", {}))

    @property
    def workers(self) -> int:
        return int(self.topology.get("workers", 3))

    @property
    def slots(self) -> int:
        return int(self.topology.get("slots", 10))

    @property
    def schedulers(self) -> int:
        return int(self.topology.get("schedulers", 1))

    @property
    def dispatch(self) -> str:
        return str(self.topology.get("dispatch", "watch"))

    @property
    def ticker(self) -> str:
        return str(self.topology.get("ticker", "rate"))

    @property
    def pull_interval_s(self) -> float:
        return float(self.topology.get("worker_poll_interval_s", 0.5))

    @property
    def poll_interval_s(self) -> float:
        return float(self.topology.get("scheduler_poll_interval_s", 0.1))

    @property
    def warmup_s(self) -> float:
        return float(self.spec.get("measure", {}).get("warmup_s", 0.0))

    @property
    def service_s(self) -> float | None:
        """Mean service time where the scenario states one; without any statement tasks take 1 s."""
        service = self.spec.get("workload", {}).get("service", {"value_s": 1.0})
        for key in ("value_s", "mean_s"):
            if key in service:
                return float(service[key])
        if "low_s" in service and "high_s" in service:
            return (float(service["low_s"]) + float(service["high_s"])) / 2
        return None

    @property
    def slot_bound_per_s(self) -> float | None:
        """Throughput when every slot is always busy: W C / s."""
        return self.workers * self.slots / self.service_s if self.service_s else None

    @property
    def tick_bound_per_s(self) -> float | None:
        """Throughput when a slot is refilled only at a tick of a fixed-rate pull: W C / (ceil((s + o) / d) d).

        The overhead o is taken as just above zero, so a service time that is a multiple of d misses its tick.
        """
        if self.dispatch != "poll" or self.service_s is None:
            return None
        return self.workers * self.slots / self.cycle_s if self.cycle_s else None

    @property
    def cycle_s(self) -> float | None:
        """From one start in a slot to the next with fixed-rate pulls: whole ticks, ceil((s + o) / d) d."""
        if self.dispatch != "poll" or self.service_s is None:
            return None
        return (math.floor(self.service_s / self.pull_interval_s + 1e-9) + 1) * self.pull_interval_s

    def has(self, world: World) -> bool:
        """Whether this world has figures."""
        return bool(self.metrics.get(world))

    @property
    def has_real(self) -> bool:
        return self.has("real")

    @property
    def has_sim(self) -> bool:
        return self.has("sim")

    @property
    def real_counts(self) -> dict[str, int]:
        """What became of the tasks of the real system; empty where they were not counted."""
        names = ("submitted", "completed", "lost", "committed_twice")
        found = {name: (self.metrics.get("real") or {}).get(name) for name in names}
        return (
            {} if None in found.values() else {name: int(value) for name, value in found.items() if value is not None}
        )

    def get(self, world: World, key: str) -> Estimate | None:
        """The figure at a dotted key such as `latency_s.dispatch.p50`; None when it is absent or null."""
        node: Any = self.metrics.get(world)
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        if isinstance(node, int | float):
            return Estimate(float(node), n=1)
        if node is None:
            return None
        try:
            estimate = msgspec.convert(node, Estimate)
        except msgspec.ValidationError as error:
            raise ReportError(f"{self.path / 'metrics.json'}: {world}.{key}: {error}.") from error
        return estimate.shown() if estimate.value is not None and math.isfinite(estimate.value) else None

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

    def select(self, prefix: str) -> list[Scenario]:
        """The scenarios whose name starts with `prefix`, in natural order."""
        return [scenario for name, scenario in self.scenarios.items() if name.startswith(prefix)]

    def latency(self) -> list[Scenario]:
        """The latency scenarios, watch dispatch first."""
        return sorted(self.select("latency"), key=lambda one: one.dispatch != "watch")

    def scaling(self) -> list[Scenario]:
        """The scaling scenarios that differ in workers and dispatch only: the commonest service time, no odd ticker."""
        found = [one for one in self.select("scaling") if one.service_s]
        service = _commonest([one.service_s for one in found if one.dispatch == "watch"] or [1.0])
        return [one for one in found if one.service_s == service and (one.dispatch == "watch" or one.ticker == "rate")]

    def polling(self) -> list[Scenario]:
        """The polling scenarios that differ in service time and ticker: the commonest number of workers."""
        found = [one for one in self.select("scaling") if one.dispatch == "poll" and one.service_s]
        workers = _commonest([one.workers for one in found])
        return [one for one in found if one.workers == workers]


def _commonest(values: list[Any]) -> Any:
    return max(values, key=lambda value: (values.count(value), -value), default=None)


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
    return Scenario(path, spec, metrics)


def load_runs(root: Path) -> Runs:
    """Read every scenario below `root`; folders without a metrics.json are unfinished and left out.

    Raises ReportError if there is no such folder, nothing in it, or a broken file.
    """
    if not root.is_dir():
        raise ReportError(f"there is no folder of runs at {root}.")
    folders = [path for path in root.iterdir() if (path / "metrics.json").is_file()]
    if not folders:
        raise ReportError(f"{root} holds no finished runs (no <scenario>/metrics.json).")
    found = [load_scenario(path) for path in sorted(folders, key=lambda path: _natural(path.name))]
    files = {name: root / f"{name}.json" for name in ("claims", "environment", "calibration")}
    data = {name: read_json(file) if file.is_file() else None for name, file in files.items()}
    expected = {"claims": list, "environment": dict, "calibration": dict}
    for name, value in data.items():
        if value is not None and not isinstance(value, expected[name]):
            raise ReportError(f"{files[name]} must hold a JSON {'array' if name == 'claims' else 'object'}.")
    return Runs(
        root,
        {scenario.path.name: scenario for scenario in found},
        data["claims"] or [],
        data["environment"] or {},
        data["calibration"] or {},
    )
