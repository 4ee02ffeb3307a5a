"""Who uses what while a point of a curve is measured: processors by process and in all, and etcd's own figures."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import psutil

from experiments import environment, etcd_metrics

INTERVAL_S = 0.1
"""CPU times count in steps of 10 ms: shares over a second are good to a hundredth."""
METRICS_EVERY = 3
"""Samples to one reading of etcd's figures, which costs etcd some 2 ms."""

Census = Callable[[], Mapping[str, list[psutil.Process]]]


class Shares(msgspec.Struct, frozen=True):
    """Means over a span of time. `cores`: cores used, by component; `machine`: share of all cores that anybody used."""

    cores: dict[str, float]
    machine: float
    foreign_cores: float
    """Cores used by processes that are not ours."""
    fsync: float
    """Share of the time in which etcd waited for its log to reach the disk."""
    proposals_per_s: float


class Probe:
    """Samples in a thread from `start` to `finish`."""

    def __init__(self, census: Census, metrics_url: str) -> None:
        self._census = census
        self._url = metrics_url
        self._own = psutil.Process()
        self._used: list[tuple[float, dict[str, float]]] = []
        self._machine: list[tuple[float, float]] = []
        self._etcd: list[tuple[float, float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="probe", daemon=True)

    def start(self) -> None:
        self._sample(metrics=True)
        self._thread.start()

    def finish(self) -> None:
        self._stop.set()
        self._thread.join()
        self._sample(metrics=True)

    def between(self, from_s: float, to_s: float) -> Shares:
        """What was used between two monotonic moments; values between samples are interpolated."""
        span_s = max(to_s - from_s, 1e-9)

        def mean(times: list[float], values: list[float]) -> float:
            low, high = np.interp([from_s, to_s], times, values)
            return float(high - low) / span_s

        names = sorted({name for _, used in self._used for name in used})
        cores: dict[str, float] = {}
        for name in names:
            seen = [(at, used[name]) for at, used in self._used if name in used]
            cores[name] = mean([at for at, _ in seen], [value for _, value in seen])
        busy = mean([at for at, _ in self._machine], [value for _, value in self._machine])
        at = [sample[0] for sample in self._etcd]
        count = psutil.cpu_count() or 1
        return Shares(
            cores={name: share for name, share in cores.items() if name != "probe"},
            machine=min(busy / count, 1.0),
            foreign_cores=max(busy - sum(cores.values()), 0.0),
            fsync=mean(at, [sample[1] for sample in self._etcd]),
            proposals_per_s=mean(at, [sample[2] for sample in self._etcd]),
        )

    def _loop(self) -> None:
        number = 0
        while not self._stop.wait(INTERVAL_S):
            number += 1
            with contextlib.suppress(OSError, ValueError):  # etcd is too busy: the next will do
                self._sample(metrics=number % METRICS_EVERY == 0)

    def _sample(self, *, metrics: bool) -> None:
        used = {name: sum(map(_cpu_s, processes)) for name, processes in self._census().items()}
        now = time.monotonic()
        self._used.append((now, used | {"probe": _cpu_s(self._own)}))
        self._machine.append((now, environment.machine_load(now).busy_s))
        if metrics:
            reading = etcd_metrics.read(self._url)
            self._etcd.append((time.monotonic(), reading.fsync_s, reading.proposals))


def _cpu_s(process: psutil.Process) -> float:
    try:
        times: Any = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
