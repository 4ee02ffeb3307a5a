"""What the experiments show on the terminal: progress, results, and mistakes in one sentence."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from experiments.phrases import MIN_FOR_INTERVAL
from experiments.run import Step

USAGE_ERROR = 2
FAILED = 3
INTERRUPTED = 130

WORLD_TITLES = {"real": "real", "sim": "model"}
ROWS: Sequence[tuple[str, str, float, str]] = (
    ("throughput", "throughput_per_s", 1.0, "tasks/s"),
    ("steady throughput", "steady_throughput_per_s", 1.0, "tasks/s"),
    ("slot efficiency", "slot_efficiency", 100.0, "%"),
    ("makespan", "makespan_s", 1.0, "s"),
    ("submit to start, p50", "latency_s.dispatch.p50", 1000.0, "ms"),
    ("submit to start, p99", "latency_s.dispatch.p99", 1000.0, "ms"),
    ("total, p50", "latency_s.total.p50", 1000.0, "ms"),
    ("total, p99", "latency_s.total.p99", 1000.0, "ms"),
    ("CPU for 1,000 tasks", "cpu_s_per_1000", 1.0, "s"),
)
COUNT_ROWS = ("submitted", "completed", "failed", "lost", "executed_twice", "committed_twice")


@contextmanager
def clear_errors(program: str) -> Iterator[None]:
    """A user's mistake ends in one sentence and exit code 2, a run that failed in one and exit code 3."""
    from core.etcd.binary import EtcdServerError  # noqa: PLC0415 - slow to import, and only needed here
    from experiments.scenario import ScenarioError  # noqa: PLC0415
    from experiments.world import ExperimentError  # noqa: PLC0415

    try:
        with _terminated_as_interrupted():
            yield
    except ScenarioError as error:
        fail(program, str(error), USAGE_ERROR)
    except (ExperimentError, EtcdServerError) as error:
        fail(program, str(error), FAILED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fail(program, f"{where}{error.strerror or error}", FAILED)
    except KeyboardInterrupt:
        fail(program, "interrupted; everything that was started has been ended", INTERRUPTED)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM inside raises KeyboardInterrupt: ended from outside, a program cleans up as after Ctrl-C."""
    usual = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or usual is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)


def fail(program: str, text: str, code: int) -> None:
    print(f"{program}: {text}", file=sys.stderr)
    raise typer.Exit(code)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[Step], None]]:
    """A line that says which repetition of which world is doing what. On a pipe it stays silent."""
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.fields[title]}"),
        BarColumn(20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("starting", title=title, total=None)

        def show(step: Step) -> None:
            what = f"{WORLD_TITLES[step.world]} {step.repetition + 1}: {step.what}"
            progress.update(bar, total=step.total, completed=step.done, description=what)

        yield show


def results(title: str, summaries: dict[str, dict[str, Any]]) -> Table:
    """The main figures, a column for each world."""
    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    for world in summaries:
        table.add_column(WORLD_TITLES.get(world, world), justify="right")
    for label, key, scale, unit in ROWS:
        cells = [_cell(_at(values, key), scale, unit) for values in summaries.values()]
        if any(cells):
            table.add_row(label, *cells)
    for key in COUNT_ROWS:
        table.add_row(
            key.replace("_", " "), *("" if values[key] is None else f"{values[key]:,}" for values in summaries.values())
        )
    left = [_unfinished(values) for values in summaries.values()]
    if any(left):
        table.add_row("did not end", *(f"{count:,}" for count in left), style="bold yellow")
    return table


def _unfinished(values: dict[str, Any]) -> int:
    """Acknowledged tasks that had not ended when nobody waited any longer."""
    submitted, completed, lost = (values.get(name) or 0 for name in ("submitted", "completed", "lost"))
    return max(0, int(submitted - completed - lost))


def unfinished(summaries: dict[str, dict[str, Any]]) -> list[str]:
    """A sentence for each world in which tasks did not end."""
    return [
        f"warning: {_unfinished(values):,} of {values['submitted']:,} tasks did not end "
        f"({WORLD_TITLES.get(world, world)}): the figures are of those that did"
        for world, values in summaries.items()
        if _unfinished(values)
    ]


def _at(values: dict[str, Any], key: str) -> dict[str, Any]:
    node: Any = values
    for part in key.split("."):
        node = node[part]
    found: dict[str, Any] = node
    return found


def _cell(figure: dict[str, Any], scale: float, unit: str) -> str:
    if figure["value"] is None:
        return ""
    text = f"{figure['value'] * scale:,.4g} {unit}"
    if figure["low"] is None or figure["n"] < MIN_FOR_INTERVAL:
        return f"{text} (n = {figure['n']})"
    return f"{text} ± {(figure['high'] - figure['value']) * scale:.2g}"


def say_where(path: Path) -> None:
    print(f"written to {path}")
