"""What a sweep leaves: a row for each point and repetition (CSV), and what they say together (JSON)."""

import csv
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

from experiments.curves_rules import Usl, binding, knee, usl
from experiments.curves_sweeps import Point, Sweep
from experiments.world import ExperimentError, WorldName


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One round. CPU in cores used by the process, the busiest where there are several of a kind; shares from 0 to 1.

    None: there is no such thing here, or the model does not know it.
    """

    sweep: str
    series: str
    x: float
    world: WorldName
    repetition: int
    tasks: int
    throughput_per_s: float
    elapsed_s: float
    slot_bound_per_s: float | None
    slot_utilisation: float | None
    offered_per_s: float | None
    cpu_client: float
    cpu_scheduler: float
    cpu_worker: float
    cpu_etcd: float
    cpu_watchers: float
    cpu_machine: float | None
    cpu_foreign: float | None
    fsync_share: float | None
    writes_per_task: float | None


COLUMNS = Row.__struct_fields__


def busiest(cores: dict[str, float], kind: str) -> float:
    """The most cores that one component of a kind used."""
    return max((used for name, used in cores.items() if name.partition("-")[0] == kind), default=0.0)


class Rows:
    """The rows of one sweep; each is in the file as soon as it is known."""

    def __init__(self, sweep: Sweep, folder: Path) -> None:
        """Raises ExperimentError where a file of that name is none of ours, OSError where it cannot be written."""
        self.sweep = sweep
        self.rows: list[Row] = []
        self._path = folder / f"{sweep.name}.csv"
        if self._path.exists() and self._path.read_text(errors="replace").splitlines()[:1] != [",".join(COLUMNS)]:
            raise ExperimentError(f"{self._path} is not from an earlier run: choose another folder for --out")
        folder.mkdir(parents=True, exist_ok=True)
        self._write("w", [COLUMNS])

    def add(self, row: Row) -> None:
        self.rows.append(row)
        values = msgspec.to_builtins(row)
        self._write("a", [["" if values[name] is None else values[name] for name in COLUMNS]])

    def _write(self, mode: str, lines: Iterable[Sequence[Any]]) -> None:
        with self._path.open(mode, newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)


# --- together ----------------------------------------------------------------------------------------------------


class Range(msgspec.Struct, frozen=True):
    median: float
    low: float
    high: float
    n: int


class Spot(msgspec.Struct, frozen=True):
    """One point in one world, over its repetitions: medians, and for the rate its range."""

    x: float
    world: WorldName
    tasks: int
    throughput_per_s: Range
    repetitions: list[float]
    slot_bound_per_s: float | None
    slot_utilisation: float | None
    cpu: dict[str, float | None]
    fsync_share: float | None
    writes_per_task: float | None
    binds: str | None
    """None for the model: its resources are not those of this machine."""
    evidence: str | None


class Curve(msgspec.Struct, frozen=True):
    """One series. `knee` and `usl` by world, where there is one."""

    series: str
    spots: list[Spot]
    knee: dict[str, float]
    usl: dict[str, Usl]


class Summary(msgspec.Struct, frozen=True):
    """A sweep in whole: `<sweep>.json`, which the page and the figure are made of."""

    sweep: str
    title: str
    x_label: str
    grows: bool
    logarithmic: bool
    note: str
    complete: bool
    """False: the run was ended before all points were measured."""
    quick: bool
    date: str
    etcd: str
    cores: int
    curves: list[Curve]


def summarise(rows: Sequence[Row], sweep: Sweep, *, complete: bool, quick: bool, date: str, etcd: str) -> Summary:
    """All curves of a sweep."""
    names = dict.fromkeys(point.series for point in sweep.points)
    return Summary(
        sweep=sweep.name,
        title=sweep.title,
        x_label=sweep.x_label,
        grows=sweep.grows,
        logarithmic=sweep.logarithmic,
        note=sweep.note,
        complete=complete,
        quick=quick,
        date=date,
        etcd=etcd,
        cores=psutil.cpu_count() or 1,
        curves=[_curve([row for row in rows if row.series == name], name, sweep) for name in names],
    )


def _curve(rows: Sequence[Row], name: str, sweep: Sweep) -> Curve:
    worlds: tuple[WorldName, ...] = ("real", "sim")
    spots: list[Spot] = []
    knees: dict[str, float] = {}
    fits: dict[str, Usl] = {}
    for world in worlds:
        here = [row for row in rows if row.world == world]
        found = [_spot([row for row in here if row.x == x]) for x in sorted({row.x for row in here})]
        spots += found
        xs, ys = [spot.x for spot in found], [spot.throughput_per_s.median for spot in found]
        if len(found) > 1 and (at := knee(xs, ys, grows=sweep.grows)) is not None:
            knees[world] = at
        if sweep.grows and (fit := usl(xs, ys)) is not None:
            fits[world] = fit
    return Curve(name, spots, knees, fits)


def _spot(rows: Sequence[Row]) -> Spot:
    """The rows are repetitions of one point in one world."""
    first = rows[0]
    rates = [row.throughput_per_s for row in rows]
    rate = statistics.median(rates)
    kinds = ("client", "scheduler", "worker", "etcd", "watchers", "machine", "foreign")
    cpu = {kind: _median(rows, lambda row, kind=kind: getattr(row, f"cpu_{kind}")) for kind in kinds}  # type: ignore[misc]
    utilisation = _median(rows, lambda row: row.slot_utilisation)
    fsync = _median(rows, lambda row: row.fsync_share)
    offered = _median(rows, lambda row: row.offered_per_s)
    cores = psutil.cpu_count() or 1
    found = None
    if first.world == "real":
        found = binding(
            slot_utilisation=utilisation,
            processes={kind: cpu[kind] or 0.0 for kind in ("client", "scheduler", "worker")},
            machine=cpu["machine"] or 0.0,
            others=(cpu["foreign"] or 0.0) / cores,
            fsync=fsync or 0.0,
            completed_of_offered=rate / offered if offered else None,
        )
    return Spot(
        x=first.x,
        world=first.world,
        tasks=first.tasks,
        throughput_per_s=Range(rate, min(rates), max(rates), len(rates)),
        repetitions=rates,
        slot_bound_per_s=first.slot_bound_per_s,
        slot_utilisation=utilisation,
        cpu=cpu,
        fsync_share=fsync,
        writes_per_task=_median(rows, lambda row: row.writes_per_task),
        binds=found.what if found else None,
        evidence=found.evidence if found else None,
    )


def _median(rows: Sequence[Row], value: Callable[[Row], float | None]) -> float | None:
    have = [found for row in rows if (found := value(row)) is not None]
    return statistics.median(have) if have else None


def slot_utilisation(point: Point, rate_per_s: float) -> float | None:
    """Share of the slots' time that so many tasks a second use; None where tasks have no duration."""
    bound = point.slot_bound_per_s
    return rate_per_s / bound if bound else None
