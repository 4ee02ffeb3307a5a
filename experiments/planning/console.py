"""What `plan` and `whatif` show on the terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from experiments.phrases import MIN_FOR_INTERVAL
from experiments.planning.answer import Plan
from experiments.planning.check import Check
from experiments.planning.evaluate import describe
from experiments.planning.targets import UTILISATION
from experiments.planning.trust import Trust
from experiments.planning.whatif import WhatIf

LABELS = {
    "throughput_per_s": "throughput",
    "makespan_s": "makespan",
    "cpu_s_per_1000": "CPU for 1,000 tasks",
    UTILISATION: "utilisation of the slots",
}
WIDTH = 120


@contextmanager
def counter(title: str) -> Iterator[Callable[[int, str], None]]:
    """A line that counts simulations. On a pipe it stays silent."""
    columns = (
        SpinnerColumn(),
        TextColumn(f"[bold]{title}"),
        TextColumn("{task.completed} simulations"),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("starting", total=None)
        yield lambda done, what: progress.update(bar, completed=done, description=what)


# --- plan ---


def show_plan(answer: Plan) -> None:
    """The answer, for people."""
    console = wide()
    for line in plan_lines(answer):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    table = Table("predicted", "value ± half of the 95 % interval", "n", title_justify="left")
    for target in answer.targets:
        figure = answer.targeted[target.text]
        table.add_row(f"{target.label} (target: {target.text})", cell(figure, target.figure), str(figure["n"]))
    asked = {target.figure for target in answer.targets}
    for name, figure in answer.figures.items():
        if name not in asked:
            table.add_row(label(name), cell(figure, name), str(figure["n"]))
    console.print(table)
    for line in (*room_lines(answer), *trust_lines(answer.trust, answer.cores)):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def plan_lines(answer: Plan) -> list[str]:
    """What was asked, and what is chosen."""
    topology = answer.topology
    targets = " and ".join(target.text for target in answer.targets)
    lines = [
        (
            f"load: {answer.rate_per_s:.4g} tasks/s, service {seconds(answer.service_mean_s)} on average "
            f"(cv {answer.service_cv:.2f}): {answer.offered:.3g} slots busy on average"
        ),
        *answer.notes,
        f"cheapest configuration for {targets}"
        + (f", one {answer.survive} killed" if answer.survive else "")
        + f": {describe(topology)}",
        f"  workers {topology.workers}, slots {topology.slots} each, schedulers {topology.schedulers}, "
        f"dispatch {topology.dispatch}"
        + (
            f" every {seconds(topology.scheduler_poll_interval_s)} (scheduler) and "
            f"{seconds(topology.worker_poll_interval_s)} (worker)"
            if topology.dispatch == "poll"
            else ""
        )
        + f", lease TTL {seconds(topology.lease_ttl_s)}"
        + ("" if answer.survive else " (the default: it changes no latency while nothing breaks)"),
        f"  cost {answer.cost:.3g} = "
        + " + ".join(f"{value:.3g} ({name})" for name, value in answer.cost_parts.items() if value),
    ]
    if not answer.surely:
        lines.append("  NOT SURE: the interval of a figure reaches beyond its target")
    if not answer.complete:
        lines.append(f"  NOT FINISHED: the budget ended after {answer.simulations} simulations (--budget allows more)")
    return lines


def room_lines(answer: Plan) -> list[str]:
    """Head-room, and what breaks first."""
    room = answer.room
    if room is None:
        return ["head-room: not looked for, the budget of simulations is used up"]
    more = f"arrivals may grow by {room.factor - 1:.0%}, to {room.rate_per_s:.4g}/s"
    if not room.bounded:
        return [f"head-room: {more}, and perhaps further: no limit was found"]
    share = "" if room.breaks_share is None else f", {room.breaks_share:.0%} used there"
    grew = f"the stage that grew most on the way: {room.grew.replace('_', ' ')}, by {seconds(room.grew_by_s)}"
    return [f"head-room: {more}; then a target is missed", f"what breaks first: {room.breaks}{share}; {grew}"]


def trust_lines(trust: Trust, cores: int) -> list[str]:
    """How far to believe it, and what was assumed."""
    assumed = f"assumed: all processes share one host of {cores} cores (--cores N for another)"
    return [assumed, *validated_lines(trust)]


def validated_lines(trust: Trust) -> list[str]:
    """Whether that was validated, and the model's errors next to it."""
    lines = [f"validated: {trust.sentence}"]
    if trust.errors:
        errors = ", ".join(f"{label(name)} {value:+.1%}" for name, value in trust.errors.items())
        lines.append(f"  the model's error there: {errors}")
    return lines


def check_table(found: Check) -> Table:
    """Predicted beside measured."""
    table = Table("figure", "predicted", "measured", "error", "target", title_justify="left")
    for row in found.rows:
        key = row.target.figure if row.target is not None else row.name
        verdict = ""
        if row.target is not None:
            verdict = "met" if row.target.met(row.measured["value"]) else "MISSED"
        error = "" if row.error is None else f"{row.error:+.1%}"
        name = row.name if row.target is not None else label(row.name)
        table.add_row(name, cell(row.predicted, key), cell(row.measured, key), error, verdict)
    return table


# --- what if ---


def whatif_table(found: WhatIf) -> Table:
    """Recorded, model as it is, model changed."""
    world = "recorded" if found.world == "real" else "recorded (model)"
    table = Table(
        Column("figure", no_wrap=True),
        world,
        "model, as it is",
        "error",
        "model, changed",
        "difference",
        title_justify="left",
    )
    for row in found.rows:
        if row.as_is["value"] is None and row.changed["value"] is None:
            continue
        error = "" if row.error is None else f"{row.error:+.1%}"
        table.add_row(
            label(row.name),
            cell(row.recorded, row.name),
            cell(row.as_is, row.name),
            error,
            cell(row.changed, row.name),
            _difference(row.difference, row.name, row.change, significant=row.significant),
        )
    return table


def whatif_lines(found: WhatIf) -> list[str]:
    """What the table leaves out."""
    changes = ", ".join(f"{key} = {value}" for key, value in found.changes.items()) or "nothing"
    lines = [
        f"{found.run}, with {changes}",
        (
            f"{found.simulations} simulations of each, on the recorded arrivals and service times of "
            f"{found.repetitions} repetition{'s' if found.repetitions > 1 else ''}; "
            "'error' is the model's own, on the recorded run"
        ),
    ]
    if found.disturbed:
        lines.append(
            f"warning: other processes used the machine during {found.disturbed} of the recorded repetitions; the "
            "model knows nothing of them"
        )
    if found.unfinished:
        lines.append(f"{found.unfinished} of the changed simulations left tasks unfinished")
    return lines


def _difference(figure: dict[str, Any], name: str, change: float | None, *, significant: bool) -> str:
    if figure["value"] is None:
        return ""
    if not significant and figure["n"] > 1:
        return "not significant"
    text = cell(figure, name, sign=True)
    return text if change is None else f"{text} ({change:+.0%})"


# --- numbers ---


def label(name: str) -> str:
    """'latency_s.total.p99' -> 'total, p99'."""
    parts = name.split(".")
    return f"{parts[1].replace('_', ' ')}, {parts[2]}" if len(parts) == 3 else LABELS.get(name, name)


def unit_of(name: str, value: float) -> tuple[float, str]:
    """Factor and unit in which a figure of this size is shown."""
    if name == UTILISATION:
        return 100.0, " %"
    if name.endswith("_per_s"):
        return 1.0, "/s"
    if abs(value) < 1e-3:
        return 1e6, " us"
    return (1e3, " ms") if abs(value) < 1 else (1.0, " s")


def seconds(value: float) -> str:
    """With the unit that suits its size."""
    return cell({"value": value, "low": None, "high": None, "n": 0}, "")


def cell(figure: dict[str, Any], name: str, *, sign: bool = False) -> str:
    """'87.3 ± 3.1 ms': half of the 95 % interval; with few values their number instead."""
    value = figure["value"]
    if value is None:
        return ""
    factor, unit = unit_of(name, value)
    text = f"{value * factor:{'+' if sign else ''},.4g}"
    if figure["low"] is None or figure["n"] < MIN_FOR_INTERVAL:
        return f"{text}{unit}" + (f" (n = {figure['n']})" if figure["n"] else "")
    half = (figure["high"] - value) * factor
    return f"{text} ± {half:{',.0f' if half >= 10 else '.2g'}}{unit}"


def wide() -> Console:
    """The terminal as it is; on a pipe wide enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, WIDTH))
