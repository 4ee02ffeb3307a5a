"""Which figure is drawn from which runs; each is left out where the runs have nothing for it."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from reports import selection, usl
from reports.effects import FIGURES as EFFECTS
from reports.effects import effects
from reports.figures import (
    bars,
    burst,
    gantt,
    latency,
    planning,
    polling,
    queue,
    recovery,
    resources,
    scaling,
)
from reports.figures import effects as effects_figure
from reports.figures import usl as usl_figure
from reports.figures.style import save
from reports.language import gettext
from reports.runs import WORLDS, Runs, Scenario, World

Draw = Callable[[Runs], Figure | None]
MS = 1000.0


def draw(runs: Runs, folder: Path) -> set[str]:
    """Write every figure that the runs have data for; returns their names."""
    drawn = set()
    for name, make in FIGURES.items():
        figure = make(runs)
        if figure is not None:
            save(figure, folder / f"{name}.svg")
            drawn.add(name)
    return drawn


def has_trace(one: Scenario, *worlds: World) -> bool:
    """Whether any repetition left a trace."""
    return any(next(one.traces(world), None) is not None for world in worlds or WORLDS)


def longest_queue(runs: Runs) -> Scenario | None:
    """The real run with samples that has the most tasks: what happens to memory shows there."""
    found = [one for one in selection.measured(runs) if next(one.samples("real"), None) is not None]
    return max(found, key=lambda one: (one.count_of_tasks or 0, one.name), default=None)


def gantt_of(runs: Runs) -> Scenario | None:
    """The burst whose executions are drawn: the one with the longest tasks."""
    found = [one for one in selection.burst(runs) if one.service_s and has_trace(one, "real")]
    return max(found, key=lambda one: (one.service_s or 0.0, one.name), default=None)


def _scaling(runs: Runs) -> Figure | None:
    points = scaling.points(selection.scaling(runs))
    return scaling.figure(points) if len(points) else None


def _polling(runs: Runs) -> Figure | None:
    points = scaling.points(selection.polling(runs))
    return polling.figure(points) if len(points) else None


def _usl(runs: Runs) -> Figure | None:
    found = selection.knee(runs)
    points = {world: usl.repetitions_of(found, world) for world in WORLDS}
    if not any(points.values()):
        return None
    bound = next((one.slot_bound_per_s / one.workers for one in found if one.slot_bound_per_s), None)
    return usl_figure.figure(points, {world: usl.fit(each) for world, each in points.items()}, bound)


def _stages(runs: Runs) -> Figure | None:
    means = latency.stage_means(selection.latency(runs))
    return latency.breakdown(means) if len(means) else None


def _latencies(runs: Runs) -> dict[tuple[str, World], pd.Series]:
    found = selection.latency(runs)
    values = {(one.dispatch, world): one.latencies(world, "dispatch") for one in found for world in WORLDS}
    return {key: series for key, series in values.items() if len(series)}


def _dispatch(runs: Runs) -> Figure | None:
    values = _latencies(runs)
    return latency.ecdf(values) if values else None


def _spectrum(runs: Runs) -> Figure | None:
    values = _latencies(runs)
    return latency.spectrum(values) if values else None


def _heat(runs: Runs) -> Figure | None:
    values = {}
    for one in selection.latency(runs):
        for world in WORLDS:
            trace = next(one.traces(world), None)
            if trace is not None:
                frame = pd.DataFrame({"at_s": trace["submitted"], "latency_s": trace["started"] - trace["submitted"]})
                values[one.dispatch, world] = frame.dropna()
    return latency.heat(values) if values else None


def _recovery(runs: Runs) -> Figure | None:
    found = {one.name: {world: recovery.times(one, world) for world in WORLDS} for one in selection.recoveries(runs)}
    some = any(len(values) for series in found.values() for values in series.values())
    return recovery.distribution(found) if some else None


def _timeline(runs: Runs) -> Figure | None:
    """The slowest kind of recovery: most to see."""
    slowest: tuple[float, str, pd.DataFrame] | None = None
    for one in selection.recoveries(runs):
        trace = next(one.traces("real"), None)
        pairs = recovery.restarts(one, trace) if trace is not None else pd.DataFrame()
        if len(pairs) and (slowest is None or pairs["recovery_s"].max() > slowest[0]):
            slowest = float(pairs["recovery_s"].max()), one.name, pairs
    return None if slowest is None else recovery.timeline(slowest[2], slowest[1])


def _over_time(runs: Runs) -> Figure | None:
    one = longest_queue(runs)
    return None if one is None else resources.over_time(resources.samples(next(one.samples("real"))), one.name)


def _cpu(runs: Runs) -> Figure | None:
    parts = resources.cpu_parts(selection.typical(runs))
    return resources.cpu(parts) if len(parts) else None


def _ablations(runs: Runs) -> Figure | None:
    base, others = selection.ablations(runs)
    found = [(gettext(label), effects(base, others, key)) for label, key in EFFECTS]
    return effects_figure.figure(found) if any(each for _, each in found) else None


def _sustained(runs: Runs) -> Figure | None:
    found = [one for one in selection.sustained(runs) if has_trace(one)]
    return queue.figure(found) if found else None


def _burst(runs: Runs) -> Figure | None:
    found = [one for one in selection.burst(runs) if has_trace(one)]
    return burst.figure(found) if found else None


def _gantt(runs: Runs) -> Figure | None:
    one = gantt_of(runs)
    return None if one is None else gantt.figure(next(one.traces("real")))


def _members(runs: Runs) -> Figure | None:
    found = [one for one in selection.members(runs) if not one.faults]
    wanted = (
        (gettext("throughput (tasks/s)"), "throughput_per_s", 1.0),
        (gettext("enqueue p50 (ms)"), "latency_s.enqueue.p50", MS),
        (gettext("submit to start p99 (ms)"), "latency_s.dispatch.p99", MS),
    )
    return bars.figure(found, wanted, logarithmic=True) if any(one.members > 1 for one in found) else None


def _fleets(runs: Runs) -> Figure | None:
    found = selection.fleets(runs)
    wanted = (
        (gettext("throughput (tasks/s)"), "steady_throughput_per_s", 1.0),
        (gettext("submit to start p99 (ms)"), "latency_s.dispatch.p99", MS),
        (gettext("busiest scheduler (cores)"), "cpu_share_of.scheduler", 1.0),
    )
    return bars.figure(found, wanted) if found else None


def _plan(runs: Runs) -> Figure | None:
    return planning.figure(runs.plan) if runs.plan else None


FIGURES: dict[str, Draw] = {
    "scaling": _scaling, "usl": _usl, "polling": _polling, "stages": _stages, "dispatch": _dispatch,
    "spectrum": _spectrum, "heat": _heat, "recovery": _recovery, "timeline": _timeline, "over_time": _over_time,
    "cpu": _cpu, "ablations": _ablations, "sustained": _sustained, "burst": _burst, "gantt": _gantt,
    "members": _members, "fleets": _fleets, "plan": _plan,
}  # fmt: skip
