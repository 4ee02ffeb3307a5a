"""Invented runs for the tests of the report: a toy queue with the layout and columns of real ones.

Nothing here is measured. Figures are rounded to no particular truth, only to plausible sizes.
"""

import heapq
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from reports.runs import MOMENTS, STAGES


@dataclass(frozen=True)
class Toy:
    """One scenario to invent. Times in seconds."""

    name: str
    workers: int = 3
    slots: int = 10
    count: int = 120
    service_s: float = 1.0
    dispatch: str = "watch"
    ticker: str = "rate"
    rate_per_s: float | None = None
    pull_s: float = 0.5
    claims: tuple[str, ...] = ("SCA-1",)
    schedulers: int = 1
    members: int = 1
    lost_at_s: float | None = None
    """When worker-1 is killed; it loses what it runs."""
    settings: str = ""
    """Lines of TOML: tables of settings."""
    model: str = ""
    """The same for the model, in which alone it then runs."""


LATENCY = ("LAT-1", "LAT-2")
DEFAULT = (
    *(Toy(f"scaling-{workers}", workers, count=workers * 40, claims=("THR-1", "SCA-1")) for workers in (1, 3, 5, 10)),
    *(Toy(f"scaling-{workers}-poll", workers, count=workers * 40, dispatch="poll") for workers in (1, 5, 10)),
    *(
        Toy(f"scaling-poll-{round(service * 100):03}-{ticker}", service_s=service, dispatch="poll", ticker=ticker)
        for ticker in ("rate", "delay")
        for service in (0.95, 1.0, 1.05)
    ),
    Toy("latency-watch", count=200, service_s=0.05, rate_per_s=40.0, claims=LATENCY),
    Toy("latency-poll", count=200, service_s=0.05, rate_per_s=40.0, dispatch="poll", claims=LATENCY),
    Toy("burst", count=600, claims=("BUR-1",)),
    Toy("burst-short", count=2_000, service_s=0.0, claims=("BUR-1", "RES-1")),
)
WHOLE = (
    *DEFAULT,
    *(Toy(f"knee-{workers}", workers, count=workers * 60, service_s=0.02) for workers in (1, 2, 3, 5, 10)),
    *(Toy(f"schedulers-{count}", 5, count=60, schedulers=count, claims=("SCA-2",)) for count in (1, 2)),
    Toy("failure-host", count=120, rate_per_s=20.0, lost_at_s=2.5, claims=("FAI-1",)),
    Toy("sustained", 5, count=300, rate_per_s=50.0, claims=("SUS-1",)),
    Toy("ablation-baseline", count=100, service_s=0.0, claims=("OPT-1",)),
    Toy("ablation-no-batching", count=100, service_s=0.0, claims=("OPT-1",),
        settings="[settings.scheduler]\nmax_batch = 1\n[settings.worker]\nmax_batch = 1\n"),
    Toy("members-1", count=50, service_s=0.05, rate_per_s=30.0, claims=("OPT-5",)),
    Toy("members-3", count=50, service_s=0.05, rate_per_s=30.0, claims=("OPT-5",), members=3),
    Toy("disk-slow", count=200, service_s=0.05, rate_per_s=40.0, claims=("OPT-5",),
        model="[model]\netcd_fsync_s = 0.01\n"),
    Toy("tuning-pull-100", count=200, service_s=0.05, rate_per_s=40.0, dispatch="poll", pull_s=0.1, claims=("OPT-4",)),
    Toy("fleet-100", 100, count=200, rate_per_s=800.0, claims=("CON-1",), model="[model]\ncores = 208\n"),
)  # fmt: skip
"""Something for every section."""


def trace(toy: Toy, rng: np.random.Generator, speed: float) -> pd.DataFrame:
    """Every moment of every task; `speed` scales the overheads, to tell one world from the other."""

    def noise(mean: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.asarray(rng.lognormal(math.log(mean * speed), 0.4, toy.count))

    intended = np.arange(toy.count) / toy.rate_per_s if toy.rate_per_s else np.zeros(toy.count)
    submitted = intended + noise(0.0002)
    enqueued = submitted + noise(0.002) + (0 if toy.rate_per_s else np.arange(toy.count) * 2e-5)
    scheduler_tick = 0.1 if toy.dispatch == "poll" else 0.0
    assign_sent = enqueued + noise(0.0004) + scheduler_tick * rng.random(toy.count)
    assigned = assign_sent + noise(0.002)
    period = toy.pull_s if toy.ticker == "rate" else toy.pull_s + 0.004
    free = [(0.0, slot) for slot in range(toy.workers * toy.slots)]
    received, started, finished, slots = (np.zeros(toy.count) for _ in range(4))
    lags = noise(0.0008)
    for index in range(toy.count):
        at, slot = heapq.heappop(free)
        arrives = assigned[index] + lags[index]
        if toy.dispatch == "poll":
            arrives = math.ceil(max(arrives, at) / period) * period + lags[index]
        received[index] = arrives
        started[index] = max(arrives, at) + 0.0002 * speed
        finished[index] = started[index] + toy.service_s + lags[index] * 0.1 + 0.0005
        slots[index] = slot
        heapq.heappush(free, (finished[index], slot))
    committed = finished + noise(0.002)
    columns = (
        intended, submitted, enqueued, assign_sent, assigned, received, started, finished, committed,
        committed + noise(0.001),
    )  # fmt: skip
    frame = pd.DataFrame(dict(zip(MOMENTS, columns, strict=True)))
    frame.insert(0, "id", [f"task-{index:06}" for index in range(toy.count)])
    frame.insert(1, "index", range(toy.count))
    frame.insert(2, "attempt", 1)
    frame.insert(3, "final", value=True)
    frame.insert(4, "outcome", "succeeded")
    frame.insert(5, "worker", [f"worker-{int(slot) % toy.workers + 1}" for slot in slots])
    return frame if toy.lost_at_s is None else with_losses(frame, toy.lost_at_s)


def with_losses(frame: pd.DataFrame, at_s: float) -> pd.DataFrame:
    """What worker-1 runs at that moment is lost, and runs again three seconds later on worker-2."""
    hit = (frame["worker"] == "worker-1") & (frame["started"] < at_s) & (frame["finished"] > at_s)
    first = frame[hit].assign(final=False, outcome="lost", finished=np.nan, committed=np.nan, observed=np.nan)
    again = frame.copy()
    moments = list(MOMENTS[3:])
    again.loc[hit, moments] = again.loc[hit, moments] + 3.0
    again.loc[hit, ["attempt", "worker"]] = [2, "worker-2"]
    return pd.concat([first, again], ignore_index=True).sort_values(["index", "attempt"], ignore_index=True)


def figures(frame: pd.DataFrame, toy: Toy) -> dict[str, Any]:
    """The bare values of one repetition."""
    frame = frame[frame["final"]]
    span = frame["observed"].max() - frame["intended"].min()
    commits = np.sort(frame["committed"].to_numpy())
    low, high = commits[int(0.1 * len(commits))], commits[int(0.9 * len(commits))]
    steady = 0.8 * len(commits) / max(high - low, 1e-9)
    stages = {stage: frame[end] - frame[start] for stage, start, end in zip(STAGES, MOMENTS, MOMENTS[1:], strict=False)}
    stages["dispatch"] = frame["started"] - frame["submitted"]
    stages["total"] = frame["observed"] - frame["intended"]
    stages["overhead"] = stages["total"] - stages["execution"]
    return {
        "throughput_per_s": len(frame) / span,
        "steady_throughput_per_s": steady,
        "makespan_s": span,
        "slot_efficiency": steady * toy.service_s / (toy.workers * toy.slots),
        "queue_depth_max": float(toy.count // 2),
        "recovery_s": dict.fromkeys(("p50", "p95", "max"), None if toy.lost_at_s is None else 3.0),
        "cpu_share_of": {"client": 0.2, "scheduler": 0.3, "worker": 0.25, "etcd": 0.4},
        "etcd": {"proposals_per_task": 0.1, "bytes_in_per_task": 900.0, "bytes_out_per_task": 1500.0,
                 "fsync_mean_s": 0.0011, "fsyncs_per_task": 0.11, "db_size_mb": 12.0},
        "cpu_s_per_1000": 0.31,
        "cpu_s_per_1000_of": {"client": 0.05, "scheduler": 0.06, "worker": 0.15, "etcd": 0.05},
        "rss_peak_mb_of": {"client": 61.0, "scheduler": 55.5, "worker": 52.25, "etcd": 88.0},
        "latency_s": {
            stage: {"mean": values.mean(), **{f"p{q}": values.quantile(q / 100) for q in (50, 95, 99)}}
            for stage, values in stages.items()
        },
    }  # fmt: skip


def summary(parts: list[Any]) -> Any:
    """The same structure with {"value", "low", "high", "n"} at the leaves."""
    if isinstance(parts[0], dict):
        return {key: summary([part[key] for part in parts]) for key in parts[0]}
    if None in parts:
        return {"value": None, "low": None, "high": None, "n": 0}
    mean, n = float(np.mean(parts)), len(parts)
    half = None if n == 1 else float(stats.t.ppf(0.975, n - 1) * np.std(parts, ddof=1) / math.sqrt(n))
    return {"value": mean, "low": None if half is None else mean - half,
            "high": None if half is None else mean + half, "n": n}  # fmt: skip


def scenario_toml(toy: Toy) -> str:
    arrivals = f'{{process = "constant", rate_per_s = {toy.rate_per_s}}}' if toy.rate_per_s else '{process = "burst"}'
    fault = f'{{kind = "host_kill", at_s = {toy.lost_at_s}, target = "worker-1"}}'
    other = f'{{kind = "scheduler_kill", at_s = {toy.lost_at_s}, target = "scheduler-1"}}'
    faults = "" if toy.lost_at_s is None else f"faults = [{fault}, {other}]\n"
    return f"""name = "{toy.name}"
claims = {json.dumps(list(toy.claims))}
{faults}[topology]
schedulers = {toy.schedulers}
etcd_members = {toy.members}
workers = {toy.workers}
slots = {toy.slots}
dispatch = "{toy.dispatch}"
ticker = "{toy.ticker}"
worker_poll_interval_s = {toy.pull_s}
[workload]
count = {toy.count}
arrivals = {arrivals}
service = {{distribution = "constant", value_s = {toy.service_s}}}
[measure]
warmup_s = 0.0
{toy.settings}{toy.model}"""


def write_scenario(root: Path, toy: Toy, repetitions: int, seed: int) -> None:
    """One scenario folder with both worlds."""
    summaries: dict[str, Any] = {"scenario": toy.name}
    for world, speed in (("sim", 0.93),) if toy.model else (("real", 1.0), ("sim", 0.93)):
        values = []
        for repetition in range(repetitions):
            rng = np.random.default_rng([seed, repetition, world == "sim", *map(ord, toy.name)])
            frame = trace(toy, rng, speed)
            folder = root / toy.name / world / str(repetition)
            folder.mkdir(parents=True)
            frame.to_parquet(folder / "trace.parquet")
            times = np.linspace(0, float(frame["observed"].max()), 5)
            pd.DataFrame(
                [
                    (time, component, 0.1 + index * 0.05 * time, 4e7 + 1e6 * index)
                    for index, component in enumerate(["etcd-1", "scheduler-1", "worker-1", "worker-2"])
                    for time in times
                ],
                columns=["time_s", "component", "cpu_s", "rss_bytes"],
            ).to_parquet(folder / "resources.parquet")
            (folder / "environment.json").write_text(json.dumps({"started_at": "2026-03-04T05:06:07+00:00"}))
            (folder / "scenario.toml").write_text(scenario_toml(toy))
            values.append(figures(frame, toy))
            (folder / "metrics.json").write_text(json.dumps({world: summary(values[-1:])}))
        counts = {"submitted": toy.count * repetitions, "completed": toy.count * repetitions}
        summaries[world] = summary(values) | counts | {"lost": 0, "executed_twice": 0, "committed_twice": 0}
    (root / toy.name / "scenario.toml").write_text(scenario_toml(toy))
    (root / toy.name / "metrics.json").write_text(json.dumps(summaries))


CLAIMS = [
    {"id": "THR-1", "section": "2.1", "claim": "1 scheduler, 1 worker x 10 slots, `echo` of 1 s: about 10 tasks/s",
     "measured": {"value": 9.9123456789012, "low": 9.87, "high": 9.93, "n": 3, "unit": "tasks/s"},
     "predicted": 9.9387654321, "verdict": "holds", "condition": "", "evidence": "scaling-1/metrics.json"},
    {"id": "SCA-1", "section": "3.1", "claim": '1/3/5/10 workers x 10: about 10/30/50/100 tasks/s, "linear" | <b>',
     "measured": "poll: 6.65/20/33.2/66.5, watch: 9.9/29.7/49.5/98.9 tasks/s", "predicted": None,
     "verdict": "holds only if tasks are shorter than two ticks, or dispatch is by watch",
     "evidence": ["scaling-10/metrics.json", "scaling-10-poll/real/0/trace.parquet"]},
    {"id": "LAT-1", "section": "4.1", "claim": "enqueue 1 to 5 ms", "measured": "2.1 ms", "predicted": "2.0 ms",
     "verdict": "does not hold", "condition": None, "evidence": "latency-watch/metrics.json"},
]  # fmt: skip

_TIMES = {"p50_s": 0.00312, "p99_s": 0.0089, "rate_per_s": 312.0, "n": 300}
BENCHMARKS = {
    "benchmarks": [
        {"name": "test_one_operation", "extra_info": _TIMES | {
            "claims": ["QUE-1"], "enqueue_p50_s": 0.0016, "enqueue_p99_s": 0.004, "put_p50_s": 0.0015,
            "put_p99_s": 0.003}},
        {"name": "test_100_waiting_tasks_taken_by_10_slots", "extra_info": _TIMES | {
            "claims": ["QUE-3"], "executed_twice": 0, "never_executed": 0}},
        {"name": "test_codec[encode]", "extra_info": _TIMES | {"claims": ["SER-1"], "bytes": 141}},
        {"name": "test_codec[decode]", "extra_info": _TIMES | {"claims": ["SER-1"], "bytes": 141}},
    ]
}  # fmt: skip


def write_runs(
    root: Path, toys: tuple[Toy, ...] = DEFAULT, *, repetitions: int = 2, seed: int = 1, durable: bool = True
) -> Path:
    """A whole root folder; the same arguments give the same files."""
    for toy in toys:
        write_scenario(root, toy, repetitions, seed)
    etcd = {"version": "3.4.23", "origin": "PATH", "durable": durable}
    environment = {
        "date": "2026-03-04T05:06:07+00:00", "commit": "0123456789abcdef0123", "cpu_count": 2, "memory_bytes": 8 << 30,
        "python": "3.11.2", "etcd": etcd if durable else etcd | {"warning": "3.5.1 acknowledges before the fsync"},
        "packages": {"numpy": "2.4.0", "grpcio": "1.70.0"}, "load_average": [0.123456789, 0.2, 0.3],
    }  # fmt: skip
    calibration = {
        "etcd.fsync_s": {"value": 0.00123456789, "unit": "s", "source": "micro-measurement", "when": "2026-03-04"},
        "cpu.decide_s": {"value": 1.2e-5, "unit": "s", "source": "micro-measurement", "when": "2026-03-04"},
    }
    files = {"environment": environment, "claims": CLAIMS, "calibration": calibration, "benchmarks": BENCHMARKS}
    for name, value in files.items():
        (root / f"{name}.json").write_text(json.dumps(value))
    return root
