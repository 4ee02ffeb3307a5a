"""Brings a profile to the speed of this machine: a few of its cells are measured again, and its costs multiplied.

A full calibration takes minutes, and the costs of one machine are, for the most part, those of another times one
number: its cores are so much faster. So three numbers are measured, each a geometric mean over cells of how many times
as much was used as in the profile: CPU time of Python, CPU time of etcd, time of the disk. What is no cost (how caches
forget, how the kernel shares cores, what a hypervisor takes) stays; starts of processes are measured.
"""

import time
from collections.abc import Mapping, Sequence

import msgspec
import psutil
from scipy.stats import gmean

from core.etcd.binary import Server
from core.etcd.embedded import EmbeddedEtcd
from experiments import environment
from experiments.calibration import cells, server, starts
from experiments.calibration.book import Book
from experiments.calibration.caller import Caller
from experiments.calibration.cells import Cell, Seen
from experiments.calibration.clock import own_cpu_s
from experiments.calibration.etcd import Place
from experiments.world import Tell
from sim.parameters import Parameter, Profile, WriteTimes

CELLS = (
    Cell(1, 1, 0.003, 1),
    Cell(1, 1, 0.01, 4),
    Cell(1, 1, 0.03, 1),
    Cell(1, 1),
    Cell(1, 8),
    Cell(10, 8),
    Cell(100, 1),
)
"""What components do: they rest, or have few requests under way."""
ROUNDS = 2
CELL_S = 0.4
STEPS = ROUNDS * len(CELLS) + 1
"""How often `scale` says what it does."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PYTHON = _names(
    "wake_s alarm_s alarm_cold_s cold_warm_s trace_s trace_row_s send_s send_item_s send_compare_s send_byte_s reply_s "
    "reply_item_s watch_s watch_item_s heard_byte_s scheduler_event_s scheduler_item_s worker_event_s worker_item_s "
    "client_event_s client_item_s submit_call_s submit_item_s slot_pickup_s slot_hop_s slot_cold_s slot_wrap_s "
    "scheduler_idle_cpu worker_idle_cpu client_idle_cpu"
)
ETCD = _names(
    "etcd_request_s etcd_request_item_s etcd_sync_s etcd_compare_s etcd_byte_s etcd_batch_s etcd_apply_s "
    "etcd_apply_item_s etcd_connection_s etcd_answer_s etcd_read_s etcd_read_item_s etcd_watch_s etcd_watch_item_s "
    "etcd_watch_byte_s etcd_cold_warm_s etcd_idle_cpu"
)
DISK = _names("etcd_fsync_s etcd_fsync_item_s etcd_fsync_byte_s etcd_commit_s etcd_commit_byte_s")
MEASURED = _names("cores scheduler_start_s worker_start_s nanny_start_s nanny_revoke_s")
KEPT = _names(
    "slice_s balance_s stolen_per_s stolen_s network_delay_s network_jitter_s request_timeout_s reconnect_s "
    "max_operations etcd_flush_delay_s etcd_background etcd_fsync_residuals etcd_watch_delay_s etcd_commit_interval_s "
    "etcd_cold_factor write_times etcd_members etcd_member_delay_s etcd_expiry_interval_s etcd_start_s etcd_election_s "
    "etcd_election_timeout_s switch_s tail cold_factor cold_idle_s cold_share cold_quick_s sleep_overshoot_s "
    "sleep_overshoot_residuals nanny_restart_s"
)


class Factors(msgspec.Struct, frozen=True):
    """This machine over that of the profile: CPU time of Python and of etcd, time of the disk, latencies of writes."""

    python: float
    etcd: float
    disk: float
    latency: float

    def of(self, name: str) -> float | None:
        """Of a parameter; None where it is kept or measured."""
        for names, factor in ((PYTHON, self.python), (ETCD, self.etcd), (DISK, self.disk)):
            if name in names:
                return factor
        return None


def scale(profile: Profile, name: str, binary: Server, tell: Tell) -> Profile:
    """`profile`, which is called `name`, at this machine's speed. `tell` hears of each cell.

    Raises EtcdServerError, ExperimentError; KeyError where the profile does not hold the cells.
    """
    began = time.monotonic()
    before, own_before = environment.machine_load(began), own_cpu_s()
    book = Book()
    with EmbeddedEtcd(server=binary) as etcd:
        found = {cell: cells.together(rounds) for cell, rounds in _measured(etcd, tell).items()}
        tell("starts")
        starts.processes(book, etcd, rounds=1)
    book.put("cores", float(psutil.cpu_count() or 1), "", "this machine")
    factors = compare(profile.about["cells"], found)
    about = {
        **environment.describe(),
        "etcd": {"version": binary.version_text, "durable": binary.durable},
        "load": environment.disturbance(before, environment.machine_load(time.monotonic()), own_cpu_s() - own_before),
        "scaled": {"profile": name, "when": profile.about.get("when"), **msgspec.to_builtins(factors)},
        "took_s": round(time.monotonic() - began, 1),
        "when": book.when,
        "cells": [server.row(cell, seen) for cell, seen in found.items()],
        "fit": profile.about.get("fit", []),
    }
    return multiplied(profile, factors, about, book.found)


def _measured(etcd: EmbeddedEtcd, tell: Tell) -> dict[Cell, list[Seen]]:
    place = Place(",".join(etcd.endpoints), "/calibrate/", etcd.pid(), etcd.metrics_url())
    found: dict[Cell, list[Seen]] = {cell: [] for cell in CELLS}
    with Caller(place) as caller:
        for _ in range(ROUNDS):
            for cell, seen in found.items():
                tell(cell.name)
                seen.append(caller.measure(cell, CELL_S))
    return found


def compare(known: Sequence[Mapping[str, float | str]], found: Mapping[Cell, Seen]) -> Factors:
    """From the rows that a profile keeps of its cells, and the same cells here.

    Raises KeyError where one is missing.
    """
    rows = {str(row["cell"]): row for row in known}
    pairs = [(cell, server.row(cell, seen), rows[cell.name]) for cell, seen in found.items()]

    def mean(what: str, *, alone: bool = False) -> float:
        ratios = [
            float(here[what]) / float(there[what]) for cell, here, there in pairs if cell.concurrency == 1 or not alone
        ]
        return round(float(gmean(ratios)), 3)

    return Factors(mean("client_cpu_ms"), mean("etcd_cpu_ms"), mean("fsync_ms", alone=True), mean("p50_ms"))


def multiplied(
    profile: Profile, factors: Factors, about: dict[str, object], measured: Mapping[str, Parameter]
) -> Profile:
    """The profile with its costs multiplied, and with what was `measured` in place of what it had."""
    parameters = {name: _times(one, factors.of(name)) for name, one in profile.parameters.items()}
    times = tuple(
        WriteTimes(row.batch, row.concurrency, tuple(float(f"{one * factors.latency:.4g}") for one in row.quantiles_s))
        for row in profile.write_times
    )
    return Profile(about=about, parameters={**parameters, **measured}, write_times=times)


def _times(parameter: Parameter, factor: float | None) -> Parameter:
    if factor is None or isinstance(parameter.value, tuple):
        return parameter
    value = float(f"{parameter.value * factor:.4g}")
    return msgspec.structs.replace(parameter, value=value, source=f"{parameter.source}; scaled by {factor:.2f}")
