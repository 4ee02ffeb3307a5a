"""A recorded run (a directory written by `tandem-bench run`), read back: its scenario, traces and figures."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from experiments import metrics, scenario, trace
from experiments.scenario import ScenarioError
from experiments.schema import Closed, Scenario
from experiments.workload import Workload
from experiments.world import WorldName

NEEDED = ("id", "index", "final", "service_s", "priority", "intended", "submitted")


@dataclass(frozen=True)
class Recorded:
    """`traces`: one for each repetition. `world`: the real one, where the run has it."""

    path: Path
    scenario: Scenario
    world: WorldName
    traces: tuple[pd.DataFrame, ...]
    figures: metrics.Values
    disturbed: int
    """Repetitions during which other processes used the machine."""

    def workload(self, repetition: int, like: Scenario | None = None) -> Workload:
        """The tasks of a repetition as they were recorded; payload and handler from `like` (default: as recorded)."""
        table = (like or self.scenario).workload
        final = final_rows(self.traces[repetition])
        closed = isinstance(table.arrivals, Closed)
        return Workload(
            intended_s=np.full(len(final), np.nan) if closed else final["intended"].to_numpy(dtype=float),
            service_s=final["service_s"].to_numpy(dtype=float),
            priority=final["priority"].to_numpy(dtype=np.int64),
            payload_bytes=table.payload_bytes,
            ids=[str(one) for one in final["id"]],
            handler=table.handler,
            repetition=repetition,
            in_flight=table.arrivals.in_flight if isinstance(table.arrivals, Closed) else None,
        )


def final_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a task, in the order of submission."""
    return frame[frame["final"]].sort_values("index", kind="stable")


def load(path: Path) -> Recorded:
    """Read a run. Raises ScenarioError, one sentence, where it is none."""
    if not (path / "scenario.toml").is_file() or not (path / "metrics.json").is_file():
        raise ScenarioError(f"{path} is no run: 'tandem-bench run SCENARIO --out {path}' writes one")
    one = scenario.load(path / "scenario.toml")
    try:
        summaries = metrics.read(path / "metrics.json")
    except ValueError as error:
        raise ScenarioError(str(error)) from error
    for world in ("real", "sim"):
        folders = sorted((path / world).glob("*/trace.parquet"), key=lambda file: int(file.parent.name))
        if folders and world in summaries:
            traces = tuple(_trace(file) for file in folders)
            return Recorded(path, one, world, traces, summaries[world], disturbed_in(path, world))
    if (path / "trace.parquet").is_file():
        raise ScenarioError(f"{path} is one repetition: name the run that it belongs to, {path.parent.parent}")
    raise ScenarioError(f"{path} holds no repetition of a run (real/0/trace.parquet)")


def _trace(path: Path) -> pd.DataFrame:
    try:
        frame = trace.read(path)
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path}: {str(error).splitlines()[0]}") from error
    missing = [name for name in NEEDED if name not in frame]
    if missing or not len(frame):
        raise ScenarioError(f"{path}: " + (f"lacks the column {missing[0]!r}" if missing else "holds no task"))
    return frame


def disturbed_in(run: Path, world: WorldName) -> int:
    """How many repetitions say that other processes used the machine meanwhile.

    Raises ScenarioError where one says nothing.
    """
    found = 0
    for path in sorted((run / world).glob("*/environment.json")):
        try:
            found += bool(msgspec.json.decode(path.read_bytes())["disturbed"])
        except (OSError, msgspec.DecodeError, KeyError, TypeError) as error:
            raise ScenarioError(f"{path} does not say whether the machine was quiet: {error}") from error
    return found
