"""Calibration: measures the model's parameters on this machine and writes them with their sources.

Only micro-measurements: operations of etcd against batch size, concurrency and rest, what a listener hears and when,
the CPU cost of decisions, of encoding and decoding, and of slots, what a system at rest uses, and how long processes
take to start. No scenario is used, so every scenario that is compared with the model is a prediction. What the
measurements show only together (which part of a put's time is whose) is fitted on the model itself:
`experiments.calibration.unknowns`.
"""

import errno
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil

from core.client import Client
from core.etcd.binary import EtcdServerError, Server, find_server
from core.etcd.embedded import EmbeddedEtcd
from core.model import TaskSpec
from experiments import environment, etcd_metrics, summary
from experiments.calibration import decisions, fit, resting, scaling, server, slots, starts
from experiments.calibration.book import Book
from experiments.calibration.clock import own_cpu_s
from experiments.validation.engine import OnStep, Step
from experiments.world import ExperimentError, Tell
from sim.parameters import REFERENCE, Profile, load, save

STEP_S, STEP_QUICK_S = 1.2, 0.6
FIT_S, FIT_QUICK_S = 60.0, 12.0
"""What one measurement and the fit take on a fast machine: the bar's time left corrects itself on a slow one."""
OTHER_STEPS = 3
SCALE_STEP_S = 1.1
OVERSHOOT_LEVELS = 21
OWN_FLAGS = ("--name=", "--data-dir=", "-urls=", "--initial-cluster")


def run(out: Path, *, quick: bool = False, allow_known_bad: bool = False, on_step: OnStep = lambda _: None) -> Profile:
    """Measure, write the profile to `out`, return it.

    Raises ExperimentError, with a sentence for the user: no etcd, or one that acknowledges before its fsync; OSError.
    """
    tell = _paced(on_step, quick=quick)
    return _written(out, lambda binary: _measure(binary, tell, quick=quick), allow_known_bad=allow_known_bad)


def run_scaled(out: Path, *, allow_known_bad: bool = False, on_step: OnStep = lambda _: None) -> Profile:
    """The reference profile at this machine's speed, in some twenty seconds. The rest as `run`."""
    said = itertools.count()

    def tell(what: str) -> None:
        on_step(Step(next(said) * SCALE_STEP_S, (scaling.STEPS + 1) * SCALE_STEP_S, what))

    return _written(
        out,
        lambda binary: scaling.scale(load(REFERENCE), REFERENCE.stem, binary, tell),
        allow_known_bad=allow_known_bad,
    )


def scaled_in_brief() -> Profile:
    """The reference profile at this machine's speed as two cells show it, in four seconds; nothing is written.

    Raises ExperimentError.
    """
    try:
        return scaling.scale(load(REFERENCE), REFERENCE.stem, find_server(), lambda _: None, brief=True)
    except EtcdServerError as error:
        raise ExperimentError(str(error)) from error


def _written(out: Path, measure: Callable[[Server], Profile], *, allow_known_bad: bool) -> Profile:
    if out.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; name a file", str(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out.parent):
        pass  # it can be written: better known now than after the measurement
    try:
        profile = measure(find_server(durable=not allow_known_bad))
    except EtcdServerError as error:
        raise ExperimentError(str(error)) from error
    save(profile, out)
    return profile


def _paced(on_step: OnStep, *, quick: bool) -> Tell:
    """Makes steps of words: each word is said when something of `STEP_S` begins, the last one before the fit."""
    each_s, fit_s = (STEP_QUICK_S, FIT_QUICK_S) if quick else (STEP_S, FIT_S)
    measured_s = each_s * (server.steps(quick=quick) + OTHER_STEPS)
    said = itertools.count()

    def tell(what: str) -> None:
        on_step(Step(min(next(said) * each_s, measured_s), measured_s + fit_s, what))

    return tell


def _measure(binary: Server, tell: Tell, *, quick: bool) -> Profile:
    began = time.monotonic()
    before, own_before = environment.machine_load(began), own_cpu_s()
    book = Book()
    cores = psutil.cpu_count() or 1
    book.put("cores", float(cores), "", "this machine")
    found = server.watch_server(binary, tell, cores, quick=quick)
    tell("decisions and slots")
    _code(book, quick=quick)
    with EmbeddedEtcd(server=binary) as etcd:
        _submits(book, etcd, quick=quick)
        tell("a system at rest")
        idle = resting.watch(etcd, quick=quick)
        about = _about(etcd, before, own_cpu_s() - own_before)
        tell("starts")
        starts.measure(book, etcd, quick=quick)
        book.put("max_operations", float(etcd.max_txn_ops), "", "flag of the embedded server")
    kept = server.conclude(book, found, tell, cores=cores, quick=quick, disturbed=about["load"]["disturbed"])
    resting.conclude(book, idle)
    about |= {"took_s": round(time.monotonic() - began, 1), "when": book.when, "cells": kept.cells, "fit": kept.fit}
    return Profile(about=about, parameters=book.found, write_times=kept.times)


def advice(profile: Profile) -> list[str]:
    """Sentences for the user: how well the fit meets what was seen, and whether the machine was quiet."""
    scaled = profile.about.get("scaled")
    if scaled:
        lines = [f"scaled: {summary.factors(scaled)}"]
    else:
        off = profile.parameters["send_s"].source.partition("mean error: ")[2].partition(";")[0]
        lines = [f"fit: {off} off on average"]
    load = profile.about["load"]
    if load["disturbed"]:
        lines.append(f"warning: {load['disturbance']}: the figures are those of a busy machine; calibrate again")
    return lines


def _about(etcd: EmbeddedEtcd, before: environment.Load, own_s: float) -> dict[str, Any]:
    """The machine, the server and what disturbed them. Taken before the fit: that uses all cores."""
    after = environment.machine_load(time.monotonic())
    return {
        **environment.describe(),
        "etcd": {"version": etcd.server.version_text, "durable": etcd.server.durable, "filesystem": etcd.filesystem},
        "etcd_flags": _flags(etcd),
        "etcd_metrics": msgspec.to_builtins(etcd_metrics.read(etcd.metrics_url())),
        "load": environment.disturbance(before, after, max(0.0, own_s)),
    }


def _flags(etcd: EmbeddedEtcd) -> list[str]:
    """What the server was started with, without its own folders and addresses."""
    return [flag for flag in psutil.Process(etcd.pid()).cmdline()[1:] if not any(own in flag for own in OWN_FLAGS)]


def _code(book: Book, *, quick: bool) -> None:
    for name, line in decisions.machines(quick=quick).items():
        source = f"replay of the model's recordings, {line.n} groups of events"
        book.line(f"{name}_event_s", f"{name}_item_s", line, source)
    costs = slots.in_own_processes(quick=quick)
    for name in ("slot_pickup_s", "slot_wrap_s"):
        book.put(name, costs.streaming_s / 2, "s", "CPU time of a slot for an echo task of no duration, halved")
    hop_s = max(0.0, costs.together_s - costs.streaming_s) / 2
    book.put("slot_hop_s", hop_s, "s", "CPU time of one of ten tasks of 1 ms together, without the above, halved")
    first_s = max(0.0, costs.alone_s - costs.long_sleep_s - costs.streaming_s) / 2 - hop_s
    book.put(
        "slot_cold_s", max(0.0, first_s), "s", "CPU time of a task of 30 ms alone, without its sleep and these, halved"
    )
    book.put("switch_s", sys.getswitchinterval(), "s", "sys.getswitchinterval")
    book.put("alarm_s", costs.short_sleep_s, "s", "CPU time of sleeping for 1 ms")
    cold_s = max(0.0, costs.long_sleep_s - costs.short_sleep_s)
    book.put("alarm_cold_s", cold_s, "s", "CPU time of sleeping for 30 ms, less that for 1 ms")
    _overshoot(book, costs.late_s)
    rows = decisions.traces(quick=quick)
    book.line("trace_s", "trace_row_s", rows, "writing moments to a spool")


def _overshoot(book: Book, late_s: Sequence[float]) -> None:
    """By how much sleeps are too long: tasks that began together end together as far as these are alike."""
    median_s = max(float(np.median(late_s)), 1e-6)
    shape = np.quantile(np.maximum(late_s, 0.0), np.linspace(0.0, 1.0, OVERSHOOT_LEVELS)) / median_s
    book.put("sleep_overshoot_s", median_s, "s", f"median of {len(late_s)} sleeps of 30 ms in a slot")
    source = "the same sleeps, over their median"
    book.put("sleep_overshoot_residuals", tuple(float(f"{ratio:.4g}") for ratio in shape), "ratio", source)


def _submits(book: Book, etcd: EmbeddedEtcd, *, quick: bool) -> None:
    """The caller's own time in `Client.submit_specs`; the tasks are of no interest."""
    counts, seconds, number = [], [], 0
    with Client(",".join(etcd.endpoints), namespace="/calibrate-submit/") as client:
        for count in (1, 4, 32, 256, 2048) * (3 if quick else 8):
            for _ in range(3):
                specs = [TaskSpec(f"{number + one:032x}", "echo") for one in range(count)]
                number += count
                before = time.thread_time()
                handles = client.submit_specs(specs)
                seconds.append(time.thread_time() - before)
                counts.append(float(count))
                handles[-1].acknowledged(30.0)
    book.line("submit_call_s", "submit_item_s", fit.least_absolute(counts, seconds), "Client.submit_specs, CPU time")
