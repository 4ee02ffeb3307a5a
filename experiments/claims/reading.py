"""The runs that verdicts are read from: summaries, scenarios and traces below one folder."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from experiments import metrics, trace
from experiments.phrases import MIN_FOR_INTERVAL, digits

Figure = dict[str, Any] | int | None

SCALES = {"ms": 1000.0, "%": 100.0, "KB": 0.001}
"""From seconds, shares and bytes."""


@dataclass(slots=True)
class Runs:
    """The summaries in a folder; remembers which were used."""

    root: Path
    used: list[str] = field(default_factory=list)
    """What a verdict rests on: scenarios and files, relative to the folder."""
    _summaries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def figure(self, scenario: str, key: str, world: str = "real") -> Figure:
        """A figure or count by its dotted key; None where it was not measured."""
        node: Any = self._summary(scenario).get(world)
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        if node is not None:
            self.use(scenario)
        found: Figure = node
        return found

    def _summary(self, scenario: str) -> dict[str, Any]:
        if scenario not in self._summaries:
            path = self.root / scenario / "metrics.json"
            self._summaries[scenario] = metrics.read(path) if path.is_file() else {}
        return self._summaries[scenario]

    def use(self, name: str) -> None:
        """Note that a verdict rests on this scenario or file."""
        if name not in self.used:
            self.used.append(name)

    def value(self, scenario: str, key: str, world: str = "real") -> float | None:
        node = self.figure(scenario, key, world)
        return node["value"] if isinstance(node, dict) else node

    def count(self, scenario: str, world: str = "real") -> int:
        """How many repetitions a scenario has."""
        node = self.figure(scenario, "throughput_per_s", world)
        return int(node["n"]) if isinstance(node, dict) else 0

    def text(self, scenario: str, key: str, unit: str, world: str = "real") -> str:
        """The figure for people: three digits, unit, n, an interval where n >= 3; "" where there is none.

        Unit "ms" converts from seconds, "%" from a share, "KB" from bytes. The interval of two values is wider than
        anything it could tell.
        """
        node = self.figure(scenario, key, world)
        if not isinstance(node, dict) or node["value"] is None:
            return ""
        scale = SCALES.get(unit, 1.0)
        shown = digits(node["value"] * scale) + (unit if unit.startswith("/") else f" {unit}")
        if node["n"] < MIN_FOR_INTERVAL or node["low"] is None:
            return f"{shown} (n = {node['n']})"
        low, high = (digits(node[bound] * scale) for bound in ("low", "high"))
        return f"{shown} ({low} to {high}, n = {node['n']})"

    def setting(self, scenario: str, key: str) -> Any:
        """What a scenario says at a dotted key, as it was run; None where it says nothing."""
        path = self.root / scenario / "scenario.toml"
        node: Any = msgspec.toml.decode(path.read_bytes()) if path.is_file() else None
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        return node

    def json(self, path: Path) -> dict[str, Any]:
        """A JSON object below the folder; empty where there is none."""
        found = msgspec.json.decode(path.read_bytes()) if path.is_file() else {}
        return found if isinstance(found, dict) else {}

    def traces(self, scenario: str, world: str = "real") -> Iterator[pd.DataFrame]:
        """The trace of each repetition that is kept."""
        for path in sorted((self.root / scenario / world).glob("*/trace.parquet")):
            self.use(scenario)
            yield trace.read(path)
