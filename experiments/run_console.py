"""What is said below the figures of a run: what disturbed it, and how far the model may be believed."""

from pathlib import Path
from typing import Any

import msgspec

from experiments import workload
from experiments.console import unfinished
from experiments.planning.console import validated_lines
from experiments.planning.trust import offered_rate, trust_run
from experiments.schema import Scenario
from experiments.summary import repetitions

ADVICE = "run it again on a quiet machine"


def notes(one: Scenario, out: Path, summaries: dict[str, dict[str, Any]]) -> list[str]:
    """Sentences. Raises ExperimentError where the validated region cannot be read."""
    told = unfinished(summaries)
    if "real" in summaries:
        told += _disturbed(out)
    if "sim" in summaries:
        load = workload.draw(one, 0)
        completed_per_s = float(summaries["sim"]["throughput_per_s"]["value"] or 0.0)
        found = trust_run(one, load, offered_rate(load.intended_s, completed_per_s))
        told += validated_lines(found)
    return told


def _disturbed(out: Path) -> list[str]:
    facts = [msgspec.json.decode((path / "environment.json").read_bytes()) for path in repetitions(out, "real")]
    cores = [float(one["foreign_cores"]) for one in facts if one.get("disturbed")]
    if not cores:
        return []
    during = f"during {len(cores)} of {len(facts)} real repetitions"
    return [f"warning: other processes used up to {max(cores):.1f} cores {during}; {ADVICE}"]
