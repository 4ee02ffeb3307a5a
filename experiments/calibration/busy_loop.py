"""The process that looks for holes in time (`experiments.calibration.holes`). It imports next to nothing."""

import json
import sys
import time

LEAST_S = 0.001
"""Shorter ones are interrupts and the kernel's own work."""


def main(seconds: str) -> None:
    """Look at the clock for so long, then say {"holes": [...]}, in seconds."""
    holes: list[float] = []
    last = time.perf_counter()
    until = last + float(seconds)
    while last < until:
        now = time.perf_counter()
        if now - last >= LEAST_S:
            holes.append(now - last)
        last = now
    sys.stdout.write(json.dumps({"holes": holes}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
