"""The sentences of claims.json in Chinese: examples, and every sentence that the rules of the claims can make."""

# ruff: noqa: RUF001 - Chinese punctuation

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import claims, metrics, scenario, trace
from experiments.claims import benchmarks
from experiments.claims.verdict import Verdict
from experiments.planning import headroom
from reports.language import speaking
from reports.phrases import told
from sim import parameters

KINDS = ("scheduler", "worker")
LATIN = {
    "watch", "etcd", "fsync", "put", "make", "report", "docker", "compose", "sustained", "burst", "tandem", "bench",
    "run", "worker", "scaling", "schedulers", "knee", "short", "ablation", "baseline",
}  # fmt: skip
"""Names, which stay."""


def fig(value: float) -> dict[str, Any]:
    return {"value": value, "low": value * 0.99, "high": value * 1.01, "n": 3}


def figures(scale: float, *, much: bool, lost: int) -> dict[str, Any]:
    means = {"enqueue": 0.002, "ready_wait": 0.03, "assign": 0.002, "pull": 0.1, "commit": 0.002, "overhead": 0.02}
    latency = {
        stage: {
            name: fig(value * scale * factor) for name, factor in (("mean", 1), ("p50", 1), ("p95", 1.5), ("p99", 2))
        }
        for stage, value in (means | {"dispatch": 0.01}).items()
    }
    return {
        "throughput_per_s": fig(30 * scale), "steady_throughput_per_s": fig(9 * scale), "makespan_s": fig(3 * scale),
        "slot_efficiency": fig(0.95), "latency_s": latency, "cpu_s_per_1000": fig(20 * scale),
        "cpu_share_of": {kind: fig(0.04 * scale) for kind in KINDS},
        "pss_peak_mb_of": {kind: fig((120 if much else 60) * scale) for kind in KINDS},
        "recovery_s": {name: fig(4 * scale) for name in ("p50", "p95", "max")},
        "etcd": {name: fig(4000) for name in ("bytes_in_per_task", "bytes_out_per_task")}
        | {"proposals_per_task": fig(3), "fsync_mean_s": fig(0.001)},
        "submitted": 300, "completed": 300 - lost, "lost": lost, "committed_twice": 0, "executed_twice": 3,
    }  # fmt: skip


def invent(root: Path, variant: int) -> list[Verdict]:
    """Runs of every scenario with figures of no meaning, and the verdicts on them."""
    due = np.arange(300) / 16.7
    for place, name in enumerate(scenario.names()):
        scale = 1 + 0.3 * ((place * 7 + variant * 3) % 5)
        found = figures(scale, much=variant == 0, lost=2 if variant == 2 else 0)
        metrics.write({"real": found, "sim": found}, root / name / "metrics.json")
        scenario.write(scenario.load(name), root / name)
        columns = {"index": range(300), "final": True, "intended": due, "attempt": 1, "outcome": "ok"}
        rows = pd.DataFrame(columns).assign(started=due + (5.0 if name == "sustained" else 0.01))
        trace.write(rows, root / name / "real" / "0" / "trace.parquet")
        (root / name / "real" / "0" / "environment.json").write_text('{"cores": 2}')
    info = {"p50_s": 4e-6, "p99_s": 0.02, "put_p50_s": 0.001, "n": 100, "operations_per_s": 1500, "rate_per_s": 1.5e5,
            "tasks": 100, "executed_twice": 0, "never_executed": 0}  # fmt: skip
    names = (benchmarks.ONE, benchmarks.BATCH, benchmarks.THREADS, benchmarks.WAITING, *benchmarks.CODEC)
    (root / "benchmarks.json").write_text(json.dumps({"benchmarks": [{"name": n, "extra_info": info} for n in names]}))
    steps = [{"command": "", "section": "9.4", "holds": True, "problem": ""}]
    trials = [{"compose": "docker-compose", "version": "1.29.2", "steps": steps}]
    (root / "containers.json").write_text(json.dumps({"date": "2026-11-25 23:31", "trials": trials}))
    return claims.evaluate(root)


@pytest.mark.parametrize("variant", [0, 1, 2])
def test_nothing_that_the_rules_say_stays_english(tmp_path: Path, variant: int) -> None:
    sentences = [text for one in invent(tmp_path, variant) for text in (one.measured, one.predicted, one.condition)]
    assert len([text for text in sentences if text]) > 40
    with speaking("zh"):
        left = {text: set(re.findall(r"[A-Za-z]{3,}", told(text))) - LATIN for text in sentences}
    assert {text: words for text, words in left.items() if words} == {}


@pytest.mark.parametrize(
    ("text", "chinese"),
    [
        ("9.95/s (9.91 to 9.98, n = 5)", "9.95/s (9.91 至 9.98, n = 5)"),
        ("p50 2.00 ms; p95 3.00 ms (n = 2)", "p50 2.00 ms；p95 3.00 ms (n = 2)"),
        (
            "host lost: half run again after 5.2 s (5.1 to 5.3, n = 5), all after 5.4 s (n = 2)",
            "主机失联：半数在 5.2 s (5.1 至 5.3, n = 5) 后重新执行，全部在 5.4 s 后 (n = 2)",
        ),
        ("0.004 s in all, 1,500/s, 0 run twice (n = 3 or 5)", "总耗时 0.004 s，1,500/s，重复执行 0 个 (n = 3 或 5)"),
        (
            "the poll interval or concurrency is not meant, which changed nothing here",
            "不包括轮询间隔 或 并发数，它在此没有带来变化",
        ),
        ("idle: quite unheard of 3 s", "空闲：quite unheard of 3 s"),
        ("", ""),
    ],
)
def test_clauses_get_their_figures_back(text: str, chinese: str) -> None:
    assert told(text) == text
    with speaking("zh"):
        assert told(text) == chinese


SOURCES = LATIN | {"metrics", "sys", "getswitchinterval", "Client", "submit", "specs", "echo", "CPU", "spool"}
"""Names in the sources of parameters."""


def test_no_source_of_a_parameter_and_no_limit_of_a_plan_stays_english() -> None:
    sources = {str(one.source) for one in parameters.load().parameters.values()}
    limits = {*headroom.RESOURCES.values(), headroom.ETCD, headroom.TICKS}
    with speaking("zh"):
        shown = {text: set(re.findall(r"[A-Za-z]{3,}", told(text))) - SOURCES for text in sources | limits}
    assert {text: words for text, words in shown.items() if words} == {}
