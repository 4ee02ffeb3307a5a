"""A small set of simulated repetitions."""

from pathlib import Path
from typing import Any

from experiments import scenario
from experiments.schema import Scenario
from experiments.suite import Plan
from experiments.validation.store import DONE

TEXT = """
name = "{name}"
[topology]
workers = 1
slots = 2
[workload]
count = 12
arrivals = {{process = "burst"}}
service = {{distribution = "constant", value_s = 0.01}}
[measure]
repetitions = {repetitions}
"""


def small(tmp_path: Path, name: str = "small", repetitions: int = 2, more: str = "") -> Scenario:
    path = tmp_path / "scenarios" / f"{name}.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(TEXT.format(name=name, repetitions=repetitions) + more)
    return scenario.load(path)


def plan(tmp_path: Path, *scenarios: Scenario, **how: Any) -> Plan:
    return Plan(scenarios or (small(tmp_path),), tmp_path / "runs", **{"worlds": ["sim"], **how})


def done(root: Path) -> dict[str, int]:
    """When each finished repetition was written."""
    return {str(path.parent.relative_to(root)): path.stat().st_mtime_ns for path in root.glob(f"*/*/*/{DONE}")}
