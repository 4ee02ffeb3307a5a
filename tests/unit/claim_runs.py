"""Runs made up for the claims' rules: only the figures that these read."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments import claims, metrics, trace
from experiments.claims.verdict import Verdict


def fig(value: float) -> dict[str, Any]:
    return {"value": value, "low": value * 0.99, "high": value * 1.01, "n": 2}


def run(root: Path, name: str, **figures: Any) -> None:
    metrics.write({"real": figures, "sim": figures}, root / name / "metrics.json")


def latencies(**means: float) -> dict[str, Any]:
    return {
        "latency_s": {
            stage: {"mean": fig(value), "p50": fig(value), "p95": fig(value * 1.5), "p99": fig(value * 2)}
            for stage, value in means.items()
        }
    }


COUNTS = {"submitted": 100, "completed": 100, "lost": 0, "executed_twice": 0, "committed_twice": 0}


def good(root: Path) -> None:
    """What the reference machine would show, roughly: nothing is refuted."""
    for workers in (1, 3, 5, 10):
        run(root, f"scaling-{workers}", steady_throughput_per_s=fig(9.9 * workers), slot_efficiency=fig(0.99), **COUNTS)
    run(root, "scaling-poll-100-rate", steady_throughput_per_s=fig(20.0))
    latency = latencies(enqueue=0.002, ready_wait=0.001, assign=0.004, pull=0.001, commit=0.002, overhead=0.01)
    traffic = {"etcd": {"bytes_in_per_task": fig(4000), "bytes_out_per_task": fig(5000), "proposals_per_task": fig(3)}}
    run(root, "latency-watch", throughput_per_s=fig(30), **latency, **traffic)
    run(root, "latency-poll", **latencies(enqueue=0.002, ready_wait=0.05, assign=0.002, pull=0.25, overhead=0.31))
    for name in ("burst", "burst-short", "ablation-baseline"):
        cost = {"cpu_s_per_1000": fig(0.4), "throughput_per_s": fig(3000)}
        run(root, name, makespan_s=fig(3.0), **cost, **(COUNTS | {"submitted": 2000, "completed": 2000}))


def rates(root: Path, **per_s: float) -> None:
    for name, rate in per_s.items():
        run(root, name.replace("_", "-"), throughput_per_s=fig(rate), steady_throughput_per_s=fig(rate), **COUNTS)


def scenario_file(root: Path, name: str, text: str) -> None:
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "scenario.toml").write_text(text)


def queue(root: Path, name: str, *, workers: int, waiting: int, twice: int = 0) -> None:
    """A sustained run at whose end `waiting` tasks wait."""
    counts = COUNTS | {"committed_twice": twice}
    run(root, name, throughput_per_s=fig(16.7), **latencies(ready_wait=waiting / 16.7), **counts)
    scenario_file(root, name, f"[topology]\nworkers = {workers}\nslots = 10\n")
    due = np.arange(1000) / 16.7
    started = np.concatenate([np.full(min(waiting, 1000), 0.0), due])[:1000] if not waiting else due + waiting / 16.7
    rows = pd.DataFrame({"index": range(1000), "final": True, "intended": due, "started": started})
    trace.write(rows, root / name / "real" / "0" / "trace.parquet")


def verdicts(root: Path) -> dict[str, Verdict]:
    return {each.id: each for each in claims.evaluate(root)}
