"""What `tandem-bench validate` shows: the time left, a table for each scenario, and what it comes to."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table

from experiments.phrases import digits
from experiments.validation.bands import FAILURES, Finding
from experiments.validation.engine import OnStep, Step
from experiments.validation.predictors import PREDICTORS
from experiments.validation.results import Compared, Gain, Ranking, Result, Stage, Validation

PACE_S = 900.0
"""The time left follows the pace of this long: scenarios differ."""
PARTS = 20
"""Lines of progress on a pipe."""
MINUTES_FROM_S = 90.0
WIDTH = 100
MINUS = "\N{MINUS SIGN}"
MAP_FIGURES = {
    "throughput": ("throughput_per_s", "steady_throughput_per_s"),
    "overhead\np50": ("latency_s.overhead.p50",),
    "\np95": ("latency_s.overhead.p95",),
    "\np99": ("latency_s.overhead.p99",),
    "recovery": ("recovery_s",),
    "CPU": ("cpu_s_per_1000",),
}


@contextmanager
def progress(title: str) -> Iterator[OnStep]:
    """A line with the time left; on a pipe a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.fields[title]}"),
        BarColumn(20),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True, speed_estimate_period=PACE_S) as bar:
        task = bar.add_task("starting", title=title, total=None)

        def show(step: Step) -> None:
            bar.update(task, total=step.total_s, completed=step.done_s, description=step.what)

        yield show


class _Lines:
    """A line for each twentieth that is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = -1
        self._began = time.monotonic()

    def __call__(self, step: Step) -> None:
        part = int(PARTS * step.done_s / step.total_s) if step.total_s else PARTS
        if part > self._told:
            self._told = part
            text = f"{part / PARTS:.0%} done{self._left(step)}; {step.what}"
            self._console.print(text, highlight=False, soft_wrap=True)

    def _left(self, step: Step) -> str:
        """At the pace so far."""
        if not 0 < step.done_s < step.total_s:
            return ""
        left_s = (time.monotonic() - self._began) * (step.total_s - step.done_s) / step.done_s
        return f", {left_s / 60:.0f} min left" if left_s >= MINUTES_FROM_S else f", {left_s:.0f} s left"


def terminal() -> Console:
    """Where the tables go: a pipe takes what a terminal of 100 columns would."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def signed(share: float | None, *, plus: bool = True) -> str:
    """A share in per cent, with a true minus sign: +2.1 %, +120 %."""
    if share is None:
        return ""
    value = share * 100
    places = 0 if abs(value) >= 9.95 else 1
    text = f"{value:+.{places}f}" if plus else f"{value:.{places}f}"
    return f"{text.replace('-', MINUS)} %"


def judged(text: str, met: bool | None) -> str:  # noqa: FBT001 - a value that is shown, not a switch
    """The verdict as colour and, for those who see none, as a mark."""
    if met is None or not text:
        return text
    return f"[green]{text}[/]  " if met else f"[red]{text} ✗[/]"


def _table(*columns: Column | str, title: str | None = None) -> Table:
    return Table(*columns, title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def scenario(result: Result) -> list[Table]:
    """Figures and stages of one scenario."""
    about = result.about
    title = (
        f"{result.name}: {about.workers} x {about.slots} slots, {about.dispatch}, {about.arrivals}, utilisation "
        f"{about.utilisation:.2f}; {result.real} real, {result.simulated} simulated"
    )
    if result.disturbed:
        title += f" ({result.disturbed} real ones disturbed by other processes)"
    if result.unfinished:
        title += f" ({result.unfinished} tasks unfinished)"
    return [_figures(title, result.figures), _stages(result.stages)]


def _figures(title: str, figures: Sequence[Compared]) -> Table:
    right = ("real", "model", "error", "95 % interval", "floor", "limit")
    table = _table(Column("figure", no_wrap=True), *(Column(name, justify="right", no_wrap=True) for name in right))
    table.title = title
    for one in figures:
        bounds = "" if one.low is None else f"{signed(one.low)} to {signed(one.high)}"
        table.add_row(
            one.label,
            f"{digits(one.real * one.scale)} {one.unit}",
            digits(one.model * one.scale),
            judged(signed(one.error), one.met),
            bounds,
            signed(one.floor, plus=False),
            signed(one.limit, plus=False),
        )
    return table


def _stages(stages: Sequence[Stage]) -> Table:
    right = ("real", "model", "error", "95 % interval", "W1/mean", "KS", "floor", "limit")
    table = _table(Column("stage", no_wrap=True), *(Column(name, justify="right", no_wrap=True) for name in right))
    for one in stages:
        if one.real_s is None or one.model_s is None:
            continue
        bounds = "" if one.low is None else f"{signed(one.low)} to {signed(one.high)}"
        table.add_row(
            one.stage.replace("_", " "),
            f"{digits(one.real_s * 1000)} ms",
            digits(one.model_s * 1000),
            signed(one.error),
            bounds,
            judged(signed(one.w1, plus=False), one.met),
            "" if one.ks is None else f"{one.ks:.2f}",
            signed(one.floor, plus=False),
            signed(one.limit, plus=False),
        )
    return table


# --- all of them -------------------------------------------------------------------------------------------------


def summary(found: Validation) -> list[Table]:
    """Where the model may be believed, the order of configurations, the predictors, and the refinements."""
    tables = [_map(found.results), _predictors(found.results)]
    if any(one.tau is not None for one in found.rankings):
        tables.insert(1, _rankings(found.rankings))
    return [*tables, _gains(found.gains)] if found.gains else tables


def _map(results: Sequence[Result]) -> Table:
    columns = [Column(name, justify="right", no_wrap=True) for name in MAP_FIGURES]
    table = _table(Column("scenario", no_wrap=True), *columns, Column("stages\nmet", justify="right"))
    table.title = "Where it may be believed: the error, ✗ where it is beyond its limit"
    for result in results:
        cells = []
        for keys in MAP_FIGURES.values():
            ones = [one for one in result.figures if one.key in keys and one.error is not None]
            worst = max(ones, key=lambda one: (one.met is False, abs(one.error or 0.0)), default=None)
            cells.append("" if worst is None else judged(signed(worst.error), worst.met))
        verdicts = [one.met for one in result.stages if one.met is not None]
        table.add_row(result.name, *cells, f"{sum(verdicts)}/{len(verdicts)}")
    return table


def _rankings(rankings: Sequence[Ranking]) -> Table:
    table = _table("order of the configurations by", Column("Kendall's tau", justify="right"), "configurations")
    for one in rankings:
        if one.tau is not None:
            table.add_row(one.label, judged(f"{one.tau:.2f}", one.met), str(one.configurations))
    return table


def _predictors(results: Sequence[Result]) -> Table:
    right = ("beaten", "tied", "lost", "its mean |error|", "the model's")
    table = _table("trivial predictor", *(Column(name, justify="right") for name in right))
    for name in PREDICTORS:
        ones = [one for result in results for one in result.predictions if one.predictor == name]
        if not ones:
            continue
        counts = [str(sum(one.verdict == verdict for one in ones)) for verdict in ("beaten", "tied", "lost")]
        means = [fmean(abs(one.error) for one in ones), fmean(abs(one.model_error) for one in ones)]
        table.add_row(name, *counts, *(signed(mean, plus=False) for mean in means))
    return table


def _gains(gains: Sequence[Gain]) -> Table:
    families = list(dict.fromkeys(name for one in gains for name in one.errors))
    columns = [Column(name, justify="right") for name in (*families, "met")]
    table = _table("refinement", *columns, title="What a refinement buys: mean |error|")
    for one in gains:
        cells = [signed(one.errors.get(name), plus=False) for name in families]
        table.add_row(one.refinement, *cells, f"{one.met}/{one.judged}")
    return table


def failures(findings: Sequence[Finding]) -> list[str]:
    """A line for each error that has left its band."""
    return [str(one) for one in findings if one.verdict in FAILURES]
