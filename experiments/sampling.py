"""CPU time and memory of the processes of a run, sampled while it goes on."""

import threading
import time
from collections.abc import Callable, Iterable

import pandas as pd
import psutil

from experiments.metrics import RESOURCE_COLUMNS

INTERVAL_S = 0.5

Census = Callable[[], Iterable[tuple[str, list[psutil.Process]]]]
"""The components and their live processes at this moment."""


class Sampler:
    """Samples every half second in a thread, and exactly at the start and the end.

    A component's CPU time goes on growing when its process dies and another takes its place: what the dead one had used
    at its last sample is kept.
    """

    def __init__(self, census: Census) -> None:
        self._census = census
        self._rows: list[tuple[float, str, float, int]] = []
        self._used: dict[str, dict[psutil.Process, float]] = {}
        self._start = 0.0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="sampler", daemon=True)

    def start(self, second_zero: float) -> None:
        """Take the first sample and go on; times count from `second_zero` (monotonic)."""
        self._start = second_zero
        self._sample()
        self._thread.start()

    def finish(self) -> pd.DataFrame:
        """Take the last sample; all of them, columns as in `metrics.RESOURCE_COLUMNS`."""
        self._sample()
        self._stop.set()
        self._thread.join()
        return pd.DataFrame(self._rows, columns=list(RESOURCE_COLUMNS))

    def own_cpu_s(self) -> float:
        """CPU seconds that the processes used between the first and the last sample."""
        first: dict[str, float] = {}
        last: dict[str, float] = {}
        for _, name, cpu_s, _ in self._rows:
            first.setdefault(name, cpu_s)
            last[name] = cpu_s
        return sum(last[name] - first[name] for name in last)

    def _loop(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            self._sample()

    def _sample(self) -> None:
        with self._lock:
            at = time.monotonic() - self._start
            for name, processes in self._census():
                used = self._used.setdefault(name, {})
                memory = 0
                for process in processes:
                    try:
                        with process.oneshot():
                            times = process.cpu_times()
                            memory += process.memory_info().rss
                    except psutil.Error:
                        continue
                    used[process] = times.user + times.system
                self._rows.append((at, name, sum(used.values()), memory))
