"""Holes in time: a process that does nothing but look at the clock sees when its core is taken away.

As many as there are cores look at once, while nothing else runs: what they miss, somebody else had. That tells how long
holes are. How often they come is told by the system's own account of stolen time over the whole of the measurement,
because neighbours come and go.
"""

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from experiments.calibration import busy_loop
from experiments.calibration.book import Book
from experiments.child import Child

LEVELS = np.linspace(0.0, 1.0, 21)
TIMEOUT_S = 20.0


def watch(cores: int, seconds: float) -> list[float]:
    """All holes, in seconds. Raises ExperimentError."""
    with ExitStack() as stack:
        lookers = [
            stack.enter_context(Child("the process that looks for holes", busy_loop.__name__, str(seconds)))
            for _ in range(cores)
        ]
        said = [looker.hear(seconds + TIMEOUT_S) for looker in lookers]
    return [hole for one in said for hole in one["holes"]]


def conclude(book: Book, holes: Sequence[float], stolen_s: float, busy_s: float) -> None:
    """`busy_s`: core seconds in which cores were wanted, those in `stolen_s` included."""
    if not holes or not stolen_s:
        book.put("stolen_per_s", 0.0, "1/s", "no stolen time in holes of at least 1 ms")
        return
    source = f"stolen time, {stolen_s:.1f} s in {busy_s:.0f} core seconds of work, over the mean hole"
    book.put("stolen_per_s", stolen_s / busy_s / float(np.mean(holes)), "1/s", source)
    levels = tuple(float(f"{seconds:.4g}") for seconds in np.quantile(holes, LEVELS))
    book.put("stolen_s", levels, "s", f"holes of at least 1 ms in busy loops on all cores, n = {len(holes)}")
