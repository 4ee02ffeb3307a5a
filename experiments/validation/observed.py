"""What the comparison needs of one finished repetition, read from its directory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from experiments import metrics, recovery, trace
from experiments.schema import Scenario
from experiments.trace import STAGES
from experiments.world import WorldName

Floats = NDArray[np.float64]
RECOVERY = "recovery_s"


@dataclass(frozen=True, slots=True)
class Observed:
    """One repetition. `figures` by dotted key; `stages` and `overhead`: seconds, one for each task that counts."""

    figures: dict[str, float]
    stages: dict[str, Floats]
    overhead: Floats
    put_s: float | None
    """What one put took on that etcd before the run; None in the model."""
    disturbed: bool
    environment: dict[str, Any]


def read(directory: Path, world: WorldName, one: Scenario) -> Observed:
    """Raises OSError or ValueError where the directory is not a finished repetition."""
    figures = dict(_flat(metrics.read(directory / "metrics.json")[world]))
    environment = msgspec.json.decode((directory / "environment.json").read_bytes(), type=dict[str, Any])
    rows = trace.read(directory / "trace.parquet")
    recovered_s = recovery.until_all(rows, one.faults)
    if recovered_s is not None:
        figures[RECOVERY] = recovered_s
    ended = rows[rows["final"] & rows["outcome"].isin(["succeeded", "failed"])]
    times = trace.stages(ended[ended["intended"] >= one.measure.warmup_s])
    put_ms = environment.get("etcd", {}).get("put_p50_ms")
    return Observed(
        figures=figures,
        stages={stage: times[stage].dropna().to_numpy() for stage in STAGES},
        overhead=times["overhead"].dropna().to_numpy(),
        put_s=None if put_ms is None else put_ms / 1000,
        disturbed=bool(environment["disturbed"]),
        environment=environment,
    )


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for key, value in values.items():
        if not isinstance(value, dict):
            found.append((prefix + key, float(value)))
        elif "value" not in value:
            found += _flat(value, f"{prefix}{key}.")
        elif value["value"] is not None:
            found.append((prefix + key, float(value["value"])))
    return found
