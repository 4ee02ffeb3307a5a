"""CPU time, memory and disk traffic of the processes of a run, sampled while it goes on."""

import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pandas as pd
import psutil

from experiments.metrics import RESOURCE_COLUMNS

INTERVAL_S = 0.5
PSS_EVERY = 4
"""Samples to one reading of PSS: for that the kernel looks at every page of a process."""

Census = Callable[[], Iterable[tuple[str, list[psutil.Process]]]]
"""The components and their live processes at this moment."""


class Used(NamedTuple):
    """What a process has used since it started. NaN: the system does not tell."""

    cpu_s: float
    read_bytes: float
    write_bytes: float


Row = tuple[float, str, float, float, float, float, float]
"""As `metrics.RESOURCE_COLUMNS`."""


class Sampler:
    """Samples every half second in a thread, and exactly at the start and the end.

    What a component has used goes on growing when its process dies and another takes its place: what the dead one had
    used at its last sample is kept.
    """

    def __init__(self, census: Census) -> None:
        self._census = census
        self._rows: list[Row] = []
        self._used: dict[str, dict[psutil.Process, Used]] = {}
        self._start = 0.0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="sampler", daemon=True)

    def start(self, second_zero: float) -> None:
        """Take the first sample and go on; times count from `second_zero` (monotonic)."""
        self._start = second_zero
        self._sample(pss=True)
        self._thread.start()

    def finish(self) -> pd.DataFrame:
        """Take the last sample; all of them, columns as in `metrics.RESOURCE_COLUMNS`."""
        self._stop.set()
        self._sample(pss=True, last=True)
        self._thread.join()
        return pd.DataFrame(self._rows, columns=list(RESOURCE_COLUMNS))

    def own_cpu_s(self) -> float:
        """CPU seconds that the processes used between the first and the last sample."""
        first: dict[str, float] = {}
        last: dict[str, float] = {}
        for _, name, cpu_s, *_ in self._rows:
            first.setdefault(name, cpu_s)
            last[name] = cpu_s
        return sum(last[name] - first[name] for name in last)

    def _loop(self) -> None:
        number = 0
        while not self._stop.wait(INTERVAL_S):
            number += 1
            self._sample(pss=number % PSS_EVERY == 0)

    def _sample(self, *, pss: bool, last: bool = False) -> None:
        with self._lock:
            if self._stop.is_set() and not last:  # the last one was faster
                return
            at = time.monotonic() - self._start
            for name, processes in self._census():
                used = self._used.setdefault(name, {})
                resident, proportional = 0, 0.0 if pss else math.nan
                for process in processes:
                    try:
                        with process.oneshot():
                            used[process] = _used(process)
                            resident += process.memory_info().rss
                        if pss:
                            proportional += _pss_bytes(process)
                    except psutil.Error:
                        continue
                sums = (sum(column) for column in zip(*used.values(), strict=True)) if used else (0.0, 0.0, 0.0)
                cpu_s, read_bytes, write_bytes = sums
                self._rows.append((at, name, cpu_s, resident, proportional, read_bytes, write_bytes))


def _used(process: psutil.Process) -> Used:
    times = process.cpu_times()
    try:
        disk = process.io_counters()
    except (psutil.AccessDenied, AttributeError):  # a container may forbid it, macOS has no such thing
        return Used(times.user + times.system, math.nan, math.nan)
    return Used(times.user + times.system, disk.read_bytes, disk.write_bytes)


def _pss_bytes(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss)
    except (psutil.AccessDenied, AttributeError):  # as above
        return math.nan
