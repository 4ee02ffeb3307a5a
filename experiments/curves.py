"""Scaling curves of the real system, with their knee and the resource that binds, beside the model's.

OUT/<sweep>.csv (a row for each point and repetition), <sweep>.json (what they say), <sweep>.svg, curves.md
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from experiments.curves_model import simulate
from experiments.curves_real import MAX_TASKS, MIN_TASKS, Life, Measurement
from experiments.curves_rows import Row, Rows, busiest, slot_utilisation, summarise
from experiments.curves_sweeps import Point, Sweep
from experiments.simulated import SimulatedWorld
from experiments.world import ExperimentError

REPETITIONS, QUICK_REPETITIONS = 3, 1
ROUND_S, QUICK_ROUND_S = 2.0, 1.5
"""What a round should last: at least 150 times the resolution of CPU times."""
BUILD_TIMEOUT_S = 120.0

START_S, PROCESS_S, SUBMIT_PER_S, MODEL_S = 2.5, 0.5, 15_000, 1.5
"""For the time left only: what starting, a process more, a submit and a simulated point take on two cores."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is, in expected seconds of work."""

    sweep: str
    what: str
    done_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure. `profile`: the model's parameters; None: those that come with Tandem."""

    out: Path
    quick: bool = False
    profile: Path | None = None
    repetitions: int = REPETITIONS
    round_s: float = ROUND_S


def plan(out: Path, *, quick: bool, profile: Path | None = None) -> Plan:
    if quick:
        return Plan(out, quick, profile, QUICK_REPETITIONS, QUICK_ROUND_S)
    return Plan(out, quick, profile)


class Runner:
    """Runs sweeps one after the other. What is measured stays, whatever ends the run."""

    def __init__(
        self,
        how: Plan,
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_row: Callable[[Row], None] = lambda _: None,
    ) -> None:
        self._how = how
        self._on_progress, self._on_row = on_progress, on_row
        self._done_s = self._total_s = 0.0
        self._server = ""

    def run(self, sweeps: Sequence[Sweep]) -> Path:
        """Measure all and write the page; returns its path.

        Raises ExperimentError, EtcdServerError, OSError, KeyboardInterrupt: the points before it are written all the
        same, and the page shows them.
        """
        modelled = [point for sweep in sweeps if sweep.modelled for point in sweep.points]
        if modelled:  # a profile that cannot be used is better known before anything is measured
            SimulatedWorld(modelled[0].scenario, self._how.profile)
        self._total_s = sum(self._life_s(life) + self._model_s(sweep, life) for sweep in sweeps for life in sweep.lives)
        for sweep in sweeps:
            rows = Rows(sweep, self._how.out)
            complete = False
            try:
                for life in sweep.lives:
                    tasks = self._live(sweep, life, rows)
                    self._imitate(sweep, tasks, rows)
                complete = True
            finally:
                self._conclude(rows, complete=complete)
        return self._how.out / "curves.md"

    def _live(self, sweep: Sweep, points: Sequence[Point], rows: Rows) -> list[tuple[Point, int]]:
        """Measure points that share their processes; returns how many tasks each had."""
        first = points[0]
        expected_s = self._life_s(points)

        def tell(what: str) -> None:
            self._on_progress(Progress(sweep.name, f"{label}: {what}", self._done_s, self._total_s))

        label = f"{first.x:,.0f} {sweep.x_label}"
        chosen: list[tuple[Point, int]] = []
        if first.drain is not None:  # a backlog is gone when it has been drained: each repetition starts anew
            for repetition in range(self._repetitions(first)):
                with Life(first, tell) as life:
                    self._server = life.server
                    self._keep(sweep, first, repetition, life.measure(first, repetition, first.tasks or 1), rows)
            self._done_s += expected_s
            return [(first, first.tasks or 1)]
        with Life(first, tell) as life:
            self._server = life.server
            for point in points:
                label = f"{point.x:,.0f} {sweep.x_label}, {point.series}"
                tasks = point.tasks or self._tasks(point, life.warm_up(point))
                chosen.append((point, tasks))
                for repetition in range(self._repetitions(point)):
                    self._keep(sweep, point, repetition, life.measure(point, repetition, tasks), rows)
                self._done_s += expected_s / len(points)
        return chosen

    def _tasks(self, point: Point, rate_per_s: float) -> int:
        """As many as a round should last. The warm-up is short and cold: it may say half of what is possible."""
        bound = point.slot_bound_per_s
        rate = rate_per_s if bound is None else min(max(rate_per_s, bound / 2), bound)
        return int(min(max(rate * self._how.round_s, MIN_TASKS), MAX_TASKS))

    def _keep(self, sweep: Sweep, point: Point, repetition: int, found: Measurement, rows: Rows) -> None:
        rate = found.outcome.steady.rate_per_s
        cores = found.shares.cores
        row = Row(
            sweep=sweep.name,
            series=point.series,
            x=point.x,
            world="real",
            repetition=repetition,
            tasks=found.tasks,
            throughput_per_s=rate,
            elapsed_s=found.outcome.elapsed_s,
            slot_bound_per_s=point.slot_bound_per_s,
            slot_utilisation=slot_utilisation(point, rate),
            offered_per_s=found.outcome.offered_per_s,
            cpu_client=busiest(cores, "client"),
            cpu_scheduler=busiest(cores, "scheduler"),
            cpu_worker=busiest(cores, "worker"),
            cpu_etcd=busiest(cores, "etcd"),
            cpu_watchers=busiest(cores, "watchers"),
            cpu_machine=found.shares.machine,
            cpu_foreign=found.shares.foreign_cores,
            fsync_share=found.shares.fsync,
            writes_per_task=found.shares.proposals_per_s / rate if rate else None,
        )
        rows.add(row)
        self._on_row(row)

    def _imitate(self, sweep: Sweep, points: Sequence[tuple[Point, int]], rows: Rows) -> None:
        if not sweep.modelled:
            return
        for point, tasks in points:
            what = f"{point.x:,.0f} {sweep.x_label}, {point.series}: simulating"
            self._on_progress(Progress(sweep.name, what, self._done_s, self._total_s))
            row = simulate(sweep.name, point, tasks, self._how.profile)
            rows.add(row)
            self._on_row(row)
            self._done_s += MODEL_S

    def _conclude(self, rows: Rows, *, complete: bool) -> None:
        """Write what the sweep says so far, and the page anew."""
        if not rows.rows:
            return
        date = datetime.now(UTC).isoformat(timespec="seconds")
        quick, etcd = self._how.quick, self._server
        found = summarise(rows.rows, rows.sweep, complete=complete, quick=quick, date=date, etcd=etcd)
        path = self._how.out / f"{rows.sweep.name}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
        build(self._how.out)

    def _repetitions(self, point: Point) -> int:
        return min(point.repetitions or self._how.repetitions, self._how.repetitions)

    def _life_s(self, points: Sequence[Point]) -> float:
        first = points[0]
        start_s = START_S + PROCESS_S * (first.scenario.topology.workers + first.watchers)
        if first.drain is not None:
            once_s = start_s + (first.tasks or 0) / SUBMIT_PER_S + self._how.round_s
            return once_s * self._repetitions(first)
        return start_s + sum(1.0 + self._repetitions(point) * (self._how.round_s + 0.5) for point in points)

    def _model_s(self, sweep: Sweep, points: Sequence[Point]) -> float:
        return MODEL_S * len(points) if sweep.modelled else 0.0


def build(folder: Path) -> None:
    """The figures and the page from the files, in a process of its own.

    Raises ExperimentError where that fails.
    """
    command = [sys.executable, "-m", "reports.curves", str(folder)]
    done = subprocess.run(command, check=False, timeout=BUILD_TIMEOUT_S, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
        raise ExperimentError(f"the curves could not be drawn ({last}); the data are in {folder}")
