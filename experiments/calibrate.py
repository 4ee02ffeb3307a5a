"""Calibration: measures the model's parameters on this machine, in under a minute, and writes them with their sources.

Only micro-measurements: operations of etcd against batch size and concurrency, the delay of watches, the CPU cost of
decisions, of encoding and decoding, and of slots, and how long processes take to start. No scenario is used, so every
scenario that is compared with the model is a prediction.

    python -m experiments.calibrate --out parameters.json
"""

import argparse
import errno
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil

from core.client import Client
from core.etcd.binary import EtcdServerError, find_server
from core.etcd.embedded import EmbeddedEtcd
from core.etcd.store import EtcdStore
from core.model import TaskSpec
from experiments import environment
from experiments.calibration import decisions, fit
from experiments.calibration.etcd import BATCHES, CONCURRENCY, Bench, Cell, Read, WatchCost
from experiments.world import ExperimentError, Tell
from sim.parameters import Parameter, Profile, save

QUANTILES = 21
IMPORT_TIMEOUT_S = 60.0
MIN_DELAY_S = 10e-6
"""Nothing crosses a loopback connection faster."""


@dataclass(slots=True)
class _Book:
    """Parameters as they are found."""

    when: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"))
    found: dict[str, Parameter] = field(default_factory=dict)

    def put(
        self, name: str, value: float | tuple[float, ...], unit: str, source: str, error: float | None = None
    ) -> None:
        rounded = value if isinstance(value, tuple) else float(f"{value:.4g}")
        self.found[name] = Parameter(rounded, unit, source, self.when, None if error is None else round(error, 3))

    def line(self, base: str, item: str, line: fit.Line, source: str) -> None:
        """`base` + `item` per item."""
        self.put(base, line.a, "s", source, line.error)
        self.put(item, line.b, "s/item", source, line.error)

    def value(self, name: str) -> float:
        value = self.found[name].value
        assert isinstance(value, float)
        return value


def run(out: Path, *, quick: bool = False, allow_known_bad: bool = False, tell: Tell = lambda _: None) -> Profile:
    """Measure, write the profile to `out`, return it.

    Raises ExperimentError, with a sentence for the user: no etcd, or one that acknowledges before its fsync; OSError.
    """
    if out.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; name a file", str(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out.parent):
        pass  # it can be written: better known now than after the measurement
    try:
        server = find_server(durable=not allow_known_bad)
        with EmbeddedEtcd(server=server) as etcd:
            profile = _measure(etcd, tell, quick=quick)
    except EtcdServerError as error:
        raise ExperimentError(str(error)) from error
    save(profile, out)
    return profile


def _measure(etcd: EmbeddedEtcd, tell: Tell, *, quick: bool) -> Profile:
    began = time.monotonic()
    before, own_before = environment.machine_load(began), _cpu_s(etcd)
    book = _Book()
    store = EtcdStore(",".join(etcd.endpoints), "/calibrate/")
    try:
        bench = Bench(etcd, store)
        tell("etcd: writes")
        cells = [bench.writes(n, c, 0.4 if quick else 1.2) for n in BATCHES for c in CONCURRENCY]
        tell("etcd: reads and watches")
        reads = [bench.reads(keys, 40 if quick else 150) for keys in (1, 30, 300, 1000)]
        delays = bench.watch_delays(60 if quick else 200)
        costs = [bench.watch_cost(n, 8, 0.3 if quick else 1.0) for n in BATCHES]
    finally:
        store.close()
    tell("decisions and slots")
    _writes(book, cells)
    _reads(book, reads)
    _watches(book, delays, costs)
    _code(book, quick=quick)
    _submits(book, etcd, quick=quick)
    after, own_s = environment.machine_load(time.monotonic()), _cpu_s(etcd) - own_before
    tell("starts")
    _starts(book, etcd)
    about = {
        **environment.describe(),
        "etcd": {"version": etcd.server.version_text, "durable": etcd.server.durable, "filesystem": etcd.filesystem},
        "etcd_flags": {"max_txn_ops": etcd.max_txn_ops},
        "load": environment.disturbance(before, after, max(0.0, own_s)),
        "took_s": round(time.monotonic() - began, 1),
        "when": book.when,
        "cells": [_cell(cell) for cell in cells],
    }
    if about["load"]["disturbed"]:  # the shape of the waits would be that of somebody else's load
        del book.found["etcd_fsync_residuals"]
    book.put("cores", float(psutil.cpu_count() or 1), "", "this machine")
    book.put("max_operations", float(etcd.max_txn_ops), "", "flag of the embedded server")
    return Profile(about=about, parameters=book.found)


def _cpu_s(etcd: EmbeddedEtcd) -> float:
    """CPU time of this process and the server."""
    times = [psutil.Process().cpu_times(), psutil.Process(etcd.pid()).cpu_times()]
    return float(sum(one.user + one.system for one in times))


def _cell(cell: Cell) -> dict[str, float]:
    """A row for the record: what was seen, to judge the fit by."""
    quantiles = np.quantile(cell.latencies_s, (0.5, 0.99)).tolist()
    return {
        "batch": cell.batch,
        "concurrency": cell.concurrency,
        "n": cell.count,
        "p50_ms": round(quantiles[0] * 1000, 3),
        "p99_ms": round(quantiles[1] * 1000, 3),
        "client_cpu_ms": round(cell.client_cpu_s * 1000, 4),
        "etcd_cpu_ms": round(cell.etcd_cpu_s * 1000, 4),
        "puts_per_fsync": round(cell.count * cell.batch / max(cell.fsyncs, 1), 2),
        "fsync_ms": round(cell.fsync_s * 1000, 4),
    }


def _writes(book: _Book, cells: list[Cell]) -> None:
    total = sum(cell.count for cell in cells)
    logs = fit.line([cell.count * cell.batch / max(cell.fsyncs, 1) for cell in cells], [cell.fsync_s for cell in cells])
    book.line("etcd_fsync_s", "etcd_fsync_item_s", logs, f"/metrics: mean fsync by puts a fsync, {total} transactions")
    server = fit.line([cell.batch for cell in cells], [cell.etcd_cpu_s for cell in cells])
    source = f"CPU time of the server by puts a transaction, {total} transactions, halved"
    for part in ("request", "apply"):
        half = fit.Line(server.a / 2, server.b / 2, server.error, server.n)
        book.line(f"etcd_{part}_s", f"etcd_{part}_item_s", half, source)
    client = fit.line([cell.batch for cell in cells], [cell.client_cpu_s for cell in cells])
    built = decisions.procedures()
    source = f"CPU time of the client by puts a transaction, {total} transactions"
    book.put("send_s", client.a / 2 + built.a, "s", f"{source} (half) + building it", client.error)
    book.put("send_item_s", client.b + built.b, "s/item", f"{source} + building it", client.error)
    book.put("reply_s", client.a / 2, "s", f"{source} (half)", client.error)
    _alone(book, next(cell for cell in cells if cell.batch == cell.concurrency == 1), client.a)


def _alone(book: _Book, alone: Cell, client_s: float) -> None:
    """From single puts, one after the other: the network's share, and the shape of the whole."""
    median_s = statistics.median(alone.latencies_s)
    known_s = alone.fsync_s + alone.etcd_cpu_s + client_s
    network_s = max(MIN_DELAY_S, (median_s - known_s) / 2)
    source = f"single puts: median {median_s * 1000:.3f} ms without fsync and CPU time, halved, n = {alone.count}"
    book.put("network_delay_s", network_s, "s", source)
    rest_s = np.array(alone.latencies_s) - (alone.etcd_cpu_s + client_s + 2 * network_s)
    shape = np.quantile(np.maximum(rest_s, np.median(rest_s) / 4), np.linspace(0, 0.999, QUANTILES))
    shape /= ((shape[1:] + shape[:-1]) / 2).mean()
    book.put(
        "etcd_fsync_residuals",
        tuple(float(f"{ratio:.4g}") for ratio in shape),
        "ratio",
        f"quantiles 0 to 0.999 of single puts without CPU time and network, over their mean, n = {alone.count}",
    )


def _reads(book: _Book, reads: list[Read]) -> None:
    server = fit.line([read.keys for read in reads], [read.etcd_cpu_s for read in reads])
    book.line("etcd_read_s", "etcd_read_item_s", server, "CPU time of the server by keys read")
    client = fit.line([read.keys for read in reads], [read.client_cpu_s for read in reads])
    book.put("reply_item_s", client.b, "s/item", "CPU time of the client by keys read", client.error)


def _watches(book: _Book, delays: list[float], costs: list[WatchCost]) -> None:
    # The acknowledgement costs the client its own decoding; a change that is seen before it has negative delay.
    delay_s = max(MIN_DELAY_S, statistics.median(delays) + book.value("reply_s"))
    book.put("etcd_watch_delay_s", delay_s, "s", f"change seen after the acknowledgement, n = {len(delays)}")
    seen = [cost for cost in costs if cost.messages]
    line = fit.line([cost.changes / cost.messages for cost in seen], [cost.cpu_s / cost.messages for cost in seen])
    source = f"what watching adds to the CPU time of a busy client, {sum(cost.messages for cost in seen)} messages"
    book.line("watch_s", "watch_item_s", line, source)


def _code(book: _Book, *, quick: bool) -> None:
    for name, line in decisions.machines(quick=quick).items():
        source = f"replay of the model's recordings, {line.n} groups of events"
        book.line(f"{name}_event_s", f"{name}_item_s", line, source)
    cpu_s, over_s = decisions.slots(quick=quick)
    for name in ("slot_pickup_s", "slot_wrap_s"):
        book.put(name, cpu_s / 2, "s", "CPU time of a slot for an echo task of no duration, halved")
    book.put("sleep_overshoot_s", over_s, "s", "median of 50 sleeps of 20 ms in slots")


def _submits(book: _Book, etcd: EmbeddedEtcd, *, quick: bool) -> None:
    """The caller's own time in `Client.submit_specs`; the tasks are of no interest."""
    counts, seconds, number = [], [], 0
    with Client(",".join(etcd.endpoints), namespace="/calibrate-submit/") as client:
        for count in (1, 4, 32, 256) * (3 if quick else 8):
            for _ in range(3):
                specs = [TaskSpec(f"{number + one:032x}", "echo") for one in range(count)]
                number += count
                before = time.thread_time()
                handles = client.submit_specs(specs)
                seconds.append(time.thread_time() - before)
                counts.append(float(count))
                handles[-1].acknowledged(30.0)
    book.line("submit_call_s", "submit_item_s", fit.least_absolute(counts, seconds), "Client.submit_specs, CPU time")


def _starts(book: _Book, etcd: EmbeddedEtcd) -> None:
    for name, module in (("scheduler_start_s", "core.scheduler"), ("worker_start_s", "core.worker")):
        command = [sys.executable, "-c", f"import core.cli, {module}"]
        before = time.monotonic()
        subprocess.run(command, check=True, timeout=IMPORT_TIMEOUT_S)
        book.put(name, time.monotonic() - before, "s", "start of an interpreter and the imports, once")
    with EmbeddedEtcd(server=etcd.server) as fresh:  # the one that was measured has a large log to read again
        fresh.kill()
        before = time.monotonic()
        fresh.restart()
        book.put("etcd_start_s", time.monotonic() - before, "s", "restart of a small server after a kill, once")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.calibrate", description="Measure the model's numbers.")
    parser.add_argument("--out", type=Path, required=True, help="file to write (JSON)")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--allow-known-bad", action="store_true", help="also on an etcd that acknowledges too early")
    options = parser.parse_args()
    try:
        run(
            options.out,
            quick=options.quick,
            allow_known_bad=options.allow_known_bad,
            tell=lambda words: print(words, file=sys.stderr),
        )
    except ExperimentError as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
