"""Brings a profile to the speed of this machine: a few of its cells are measured again, and its costs multiplied.

A full calibration takes minutes, and the costs of one machine are, for the most part, those of another times one
number: its cores are so much faster. So three numbers are measured, each a mean (of logarithms) of how many times
as much was used as in the profile: CPU time of Python, CPU time of etcd, time of the disk. What is no cost (how caches
forget, how the kernel shares cores, what a hypervisor takes) stays; starts of processes are measured.

A cell costs what it costs in a calibration only where the server has come to it in the same way: as long after its
start, with as many revisions of as many keys. (Cells in another order took 35 % less to 35 % more; in this one, all
agree within 10 %.) So each round has a fresh server and goes through its cells in the calibration's order, with what
lies between them. The brief form stops after the first two.
"""

import time
from collections.abc import Mapping, Sequence
from statistics import median

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

SETTLES = Cell(1, 1, 0.001, 1)
"""Comes first in a calibration: a server that has just started has other things to do, which are not to be measured."""
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
BRIEF = CELLS[:2]
COMPARED_BEFORE = CELLS[3]
ROUNDS = 2
STEPS = ROUNDS * (len(CELLS) + 3) + 1
"""How often `scale` says what it does."""
ALIKE = 1.15
"""A factor between its inverse and this is what one brief measurement differs from the next."""


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
STARTS = _names("scheduler_start_s worker_start_s nanny_start_s nanny_revoke_s")
"""Of Python, too, where they are not measured."""
KEPT = _names(
    "cores slice_s balance_s stolen_per_s stolen_s network_delay_s network_jitter_s request_timeout_s reconnect_s "
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
        """Of a parameter; None where it is kept."""
        for names, factor in ((PYTHON | STARTS, self.python), (ETCD, self.etcd), (DISK, self.disk)):
            if name in names:
                return factor
        return None


def scale(profile: Profile, name: str, binary: Server, tell: Tell, *, brief: bool = False) -> Profile:
    """`profile`, which is called `name`, at this machine's speed. `tell` hears of each cell.

    `brief`: from two cells, and starts are multiplied as Python's costs are. Raises EtcdServerError, ExperimentError;
    KeyError where the profile does not hold the cells.
    """
    began = time.monotonic()
    before, own_before = environment.machine_load(began), own_cpu_s()
    found: dict[Cell, list[Seen]] = {cell: [] for cell in (BRIEF if brief else CELLS)}
    for _ in range(1 if brief else ROUNDS):
        with EmbeddedEtcd(server=binary) as etcd:
            _one_round(found, etcd, tell)
    book = Book()
    if not brief:
        tell("starts")
        with EmbeddedEtcd(server=binary) as etcd:
            starts.processes(book, etcd, rounds=1)
    book.put("cores", float(psutil.cpu_count() or 1), "", "this machine")
    seen = {cell: cells.together(rounds) for cell, rounds in found.items()}
    factors = compare(profile.about["cells"], seen)
    about = {
        **environment.describe(),
        "etcd": {"version": binary.version_text, "durable": binary.durable},
        "load": environment.disturbance(before, environment.machine_load(time.monotonic()), own_cpu_s() - own_before),
        "scaled": {"profile": name, "when": profile.about.get("when"), **msgspec.to_builtins(factors)},
        "took_s": round(time.monotonic() - began, 1),
        "when": book.when,
        "cells": [server.row(cell, one) for cell, one in seen.items()],
        "fit": profile.about.get("fit", []),
    }
    return multiplied(profile, factors, about, book.found)


def _one_round(found: dict[Cell, list[Seen]], etcd: EmbeddedEtcd, tell: Tell) -> None:
    """Every cell once, for as long as in a calibration."""
    place = Place(",".join(etcd.endpoints), "/calibrate/", etcd.pid(), etcd.metrics_url())
    with Caller(place) as caller:
        tell("a server at rest")
        caller.at_rest(server.CELL_S)
        tell(SETTLES.name)
        caller.measure(SETTLES, server.CELL_S)
        for cell, seen in found.items():
            if cell == COMPARED_BEFORE:
                tell("compares")
                caller.compare_cost(2 * server.CELL_S)
            tell(cell.name)
            seen.append(caller.measure(cell, server.CELL_S))


def compare(known: Sequence[Mapping[str, float | str]], found: Mapping[Cell, Seen]) -> Factors:
    """From the rows that a profile keeps of its cells, and the same cells here.

    Raises KeyError where one is missing.
    """
    rows = {str(row["cell"]): row for row in known}
    pairs = [(cell, server.row(cell, seen), rows[cell.name]) for cell, seen in found.items()]

    def ratios(what: str, *, alone: bool = False) -> list[float]:
        return [
            float(here[what]) / float(there[what]) for cell, here, there in pairs if cell.concurrency == 1 or not alone
        ]

    def mean(what: str) -> float:
        return round(float(gmean(ratios(what))), 3)

    # The disk's is a median: in cells with long rests a single slow fsync is a tenth of all.
    disk = round(median(ratios("fsync_ms", alone=True)), 3)
    return Factors(mean("client_cpu_ms"), mean("etcd_cpu_ms"), disk, mean("p50_ms"))


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
