"""Holes in time: a process that does nothing but look at the clock sees when its core is taken away.

As many as there are cores look at once, while nothing else runs: what they miss, somebody else had. Each says {"holes":
[...], "seconds": ...}, the holes and all the time it looked.
"""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from experiments.calibration.book import Book
from experiments.child import Child

LEAST_S = 0.001
"""Shorter ones are interrupts and the kernel's own work."""
LEVELS = np.linspace(0.0, 1.0, 21)
TIMEOUT_S = 20.0


def watch(cores: int, seconds: float) -> tuple[list[float], float]:
    """All holes, and the core seconds that were looked at. Raises ExperimentError."""
    with ExitStack() as stack:
        lookers = [
            stack.enter_context(Child("the process that looks for holes", __name__, str(seconds))) for _ in range(cores)
        ]
        said = [looker.hear(seconds + TIMEOUT_S) for looker in lookers]
    return [hole for one in said for hole in one["holes"]], sum(one["seconds"] for one in said)


def conclude(book: Book, holes: Sequence[float], core_s: float) -> None:
    source = f"holes of at least 1 ms in busy loops on all cores, {len(holes)} in {core_s:.0f} core seconds"
    book.put("stolen_per_s", len(holes) / core_s, "1/s", source)
    if holes:
        quantiles = np.quantile(holes, LEVELS)
        book.put("stolen_s", tuple(float(f"{seconds:.4g}") for seconds in quantiles), "s", source)


def main(seconds: str) -> None:
    """Look for so long."""
    holes: list[float] = []
    began = last = time.perf_counter()
    until = began + float(seconds)
    while last < until:
        now = time.perf_counter()
        if now - last >= LEAST_S:
            holes.append(now - last)
        last = now
    sys.stdout.write(json.dumps({"holes": holes, "seconds": last - began}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
