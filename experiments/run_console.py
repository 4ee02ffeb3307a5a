"""What is said below the figures of a run: what disturbed it, and how far the model may be believed."""

from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from experiments import workload
from experiments.console import unfinished
from experiments.planning.console import validated_lines
from experiments.planning.trust import offered_rate, trust_run
from experiments.schema import Scenario
from experiments.summary import factors, repetitions, speed

ADVICE = "run it again on a quiet machine"
OTHER_SPEED = 1.5
"""As the report has it: a short measurement cannot tell less."""


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
    if {"real", "sim"} <= set(summaries):
        told += _speed(out)
    return told


def _environments(out: Path, world: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode((path / "environment.json").read_bytes()) for path in repetitions(out, world)]


def _speed(out: Path) -> list[str]:
    """That the model's parameters were brought to this machine's speed, or are those of a machine of another."""
    models = [one["model"] for one in _environments(out, "sim") if one.get("model")][:1]
    if models and "scaled" in models[0]:
        return [f"the model was brought to this machine's speed: {factors(models[0]['scaled'])}"]
    here = [one["etcd"]["put_p50_ms"] for one in _environments(out, "real") if "put_p50_ms" in one.get("etcd", {})]
    there_ms = [speed(one).get("put_p50_ms") for one in models]
    if not here or not any(there_ms) or 1 / OTHER_SPEED <= median(here) / there_ms[0] <= OTHER_SPEED:
        return []
    puts = f"a put took {there_ms[0]:.3g} ms there, {median(here):.3g} ms here"
    remedy = "'tandem-bench calibrate --scale --out here.json' and '--profile here.json' mend that in twenty seconds"
    return [f"the model's parameters are of another speed: {puts}; {remedy}"]


def _disturbed(out: Path) -> list[str]:
    facts = _environments(out, "real")
    cores = [float(one["foreign_cores"]) for one in facts if one.get("disturbed")]
    if not cores:
        return []
    during = f"during {len(cores)} of {len(facts)} real repetitions"
    return [f"warning: other processes used up to {max(cores):.1f} cores {during}; {ADVICE}"]
