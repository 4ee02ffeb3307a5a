"""What `tandem-bench curves` shows: where it is, the time left, and a line for each finished round."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from experiments import curves
from experiments.console import WORLD_TITLES
from experiments.curves_rows import Row

MIN_ELAPSED_S = 5.0
"""Before this the expectation alone says how long it takes."""


class TimeLeft:
    """Expected seconds of work into seconds left, at the pace so far."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def left_s(self, step: curves.Progress) -> float:
        elapsed_s = time.monotonic() - self._began
        pace = elapsed_s / step.done_s if step.done_s and elapsed_s > MIN_ELAPSED_S else 1.0
        return max(step.total_s - step.done_s, 0.0) * pace


@contextmanager
def shown(how: curves.Plan) -> Iterator[curves.Runner]:
    """A runner whose progress is on the terminal; on a pipe only the finished rounds are."""
    console, out = Console(stderr=True), Console()
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.fields[sweep]}"),
        BarColumn(20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.description}"),
    )
    clock = TimeLeft()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("starting", sweep="curves", left="", total=None)

        def on_progress(step: curves.Progress) -> None:
            left = f"about {_minutes(clock.left_s(step))} left"
            progress.update(
                bar, total=step.total_s, completed=step.done_s, description=step.what, sweep=step.sweep, left=left
            )

        def on_row(row: Row) -> None:
            out.print(line(row), highlight=False, soft_wrap=True)

        yield curves.Runner(how, on_progress, on_row)


def line(row: Row) -> str:
    """One round in one line."""
    which = f"{WORLD_TITLES[row.world]} {row.repetition + 1}" if row.world == "real" else WORLD_TITLES[row.world]
    return f"{row.sweep} {row.x:,.0f}, {row.series}, {which}: {row.throughput_per_s:,.0f} tasks/s ({row.tasks:,} tasks)"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
