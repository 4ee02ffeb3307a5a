"""The server and its client: measured on the real etcd, then fitted on the model of it."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.etcd.binary import Server
from core.etcd.embedded import EmbeddedEtcd
from experiments import environment, etcd_metrics
from experiments.calibration import cells, decisions, fit, holes
from experiments.calibration.book import Book
from experiments.calibration.caller import Caller
from experiments.calibration.cells import Cell, Seen
from experiments.calibration.costs import ByteCost, CompareCost, Read, WatchCost
from experiments.calibration.etcd import COMPARED_CELL, PAYLOAD_BYTES, Place
from experiments.calibration.unknowns import UNKNOWNS, solve
from experiments.world import Tell
from sim.parameters import Values, WriteTimes

QUANTILES = 21
LEVELS = np.linspace(0.0, 0.999, 251)
"""Fine enough for the slowest in a hundred."""
SHAPE_FROM = (Cell(1, 1), Cell(1, 1, 0.003, 1), Cell(1, 1, 0.03, 1))
ROUNDS = 5
"""A disturbance of some seconds meets each cell in one of them; medians forget it."""
WATCHED = (1, 10, 100)
"""Changes in a message, about."""
HOLES_S = 2.0
"""In each round, on every core: neighbours come and go within seconds."""
CELL_S, CELL_QUICK_S = 0.8, 0.3
"""In each round."""
LARGE = 100
"""Puts in a transaction from which on half the time is enough."""
NETWORK_S = 25e-6
"""One way on loopback: half of what a bare exchange of bytes over TCP takes on machines like this one."""


@dataclass(slots=True)
class Found:
    """What all rounds together have seen."""

    seen: dict[Cell, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    reads: dict[int, list[Read]] = field(default_factory=lambda: defaultdict(list))
    costs: list[WatchCost] = field(default_factory=list)
    bytes: list[ByteCost] = field(default_factory=list)
    compares: list[CompareCost] = field(default_factory=list)
    commits: int = 0
    commit_s: float = 0.0
    holes: list[float] = field(default_factory=list)
    stolen_s: float = 0.0
    busy_s: float = 0.0
    """Of all cores, since the first round began."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a profile keeps besides its parameters: the cells as seen, the fit, times for the coarse models."""

    cells: list[dict[str, float | str]]
    fit: list[dict[str, float | str]]
    times: tuple[WriteTimes, ...]


def steps(*, quick: bool) -> int:
    """How often `watch_server` says what it does."""
    return (1 if quick else ROUNDS) * (len(cells.rests()) + len(cells.writes()) + 5)


def watch_server(server: Server, tell: Tell, cores: int, *, quick: bool) -> Found:
    """All cells in rounds. Raises EtcdServerError."""
    found = Found()
    rounds = 1 if quick else ROUNDS
    before = environment.machine_load(time.monotonic())
    for number in range(rounds):

        def say(what: str, number: int = number) -> None:
            tell(f"etcd: round {number + 1} of {rounds}: {what}")

        with EmbeddedEtcd(server=server) as etcd:  # a fresh one: what a server remembers must not add up
            one_round(found, etcd, say, quick=quick)
        say("holes in time")
        found.holes += holes.watch(cores, HOLES_S)
    after = environment.machine_load(time.monotonic())
    found.stolen_s, found.busy_s = after.stolen_s - before.stolen_s, after.busy_s - before.busy_s
    return found


def one_round(found: Found, etcd: EmbeddedEtcd, tell: Tell, *, quick: bool) -> None:
    """Every cell once, rests first, then compares while keys have few revisions (as tasks have), large ones last."""
    seconds = CELL_QUICK_S if quick else CELL_S
    place = Place(",".join(etcd.endpoints), "/calibrate/", etcd.pid(), etcd.metrics_url())
    with Caller(place) as caller:

        def measure(cell: Cell) -> None:
            tell(cell.name)
            found.seen[cell].append(caller.measure(cell, seconds if cell.batch < LARGE else seconds / 2))

        tell("a server at rest")
        caller.at_rest(seconds)
        for cell in cells.rests():
            measure(cell)
        tell("compares")
        found.compares.append(caller.compare_cost(2 * seconds))
        for cell in cells.writes():
            measure(cell)
        tell("reads and watches")
        for keys in (1, 30, 300, 1000):
            found.reads[keys].append(caller.reads(keys, 40))
        found.costs += [caller.watch_cost(batch, 8, seconds / 2) for batch in WATCHED]
        tell("payloads")  # last: what they leave behind keeps the server busy
        found.bytes.append(caller.byte_cost(seconds / 2))
    reading = etcd_metrics.read(etcd.metrics_url())
    found.commits += int(reading.commits)
    found.commit_s += reading.commit_s


def conclude(book: Book, found: Found, tell: Tell, *, cores: int, quick: bool, disturbed: bool) -> Kept:
    """From what was seen to parameters.

    `disturbed`: the shape of the waits would be that of somebody else's load, so it is left out.
    """
    seen = {cell: cells.together(rounds) for cell, rounds in found.seen.items()}
    _disk(book, seen)
    if disturbed:
        del book.found["etcd_fsync_residuals"]
    commit_s = found.commit_s / max(found.commits, 1)
    book.put("etcd_commit_s", commit_s, "s", f"/metrics: mean commit of the backend, n = {found.commits}")
    book.put("network_delay_s", NETWORK_S, "s", "an exchange of bytes over loopback, halved")
    _reads(book, found.reads)
    _watches(book, found.costs)
    _bytes(book, found.bytes)
    _compares(book, found.compares)
    holes.conclude(book, found.holes, found.stolen_s, found.busy_s)
    tell("fitting: the model does the same, and its costs are moved until it looks like the server")
    rows = _fit(book, seen, cores, quick=quick)
    return Kept([row(cell, one) for cell, one in seen.items()], rows, write_times(book, seen))


def _disk(book: Book, seen: dict[Cell, Seen]) -> None:
    """The wait for the disk from writes one after the other: beside others the server waits for a core as well."""
    alone = {cell: one for cell, one in seen.items() if cell.concurrency == 1 and not cell.sequence}
    logs = fit.line([cell.batch for cell in alone], [one.fsync_s for one in alone.values()])
    count = sum(len(one.latencies_s) for one in alone.values())
    book.line("etcd_fsync_s", "etcd_fsync_item_s", logs, f"/metrics: mean fsync by puts a fsync, {count} transactions")
    shape = np.quantile(np.concatenate([_waits(seen[cell], logs.a) for cell in SHAPE_FROM]), LEVELS)
    shape /= ((shape[1:] + shape[:-1]) / 2).mean()
    book.put(
        "etcd_fsync_residuals",
        tuple(float(f"{ratio:.4g}") for ratio in shape),
        "ratio",
        "quantiles 0 to 0.999 of single puts, at once and after rests, without what is not the disk, over their mean",
    )


def _waits(seen: Seen, fsync_s: float) -> NDArray[np.float64]:
    """Waits for the disk: the median of what is not the disk is taken off, the rest is the disk's doing."""
    times = np.array(seen.latencies_s)
    rest: NDArray[np.float64] = times - (np.median(times) - fsync_s)
    return rest.clip(min=fsync_s / 4)


def _reads(book: Book, reads: dict[int, list[Read]]) -> None:
    server = fit.line(list(reads), [median(one.etcd_cpu_s for one in rows) for rows in reads.values()])
    book.line("etcd_read_s", "etcd_read_item_s", server, "CPU time of the server by keys read")
    client = fit.line(list(reads), [median(one.client_cpu_s for one in rows) for rows in reads.values()])
    book.put("reply_item_s", client.b, "s/item", "CPU time of the client by keys read", client.error)


def _fit(book: Book, seen: dict[Cell, Seen], cores: int, *, quick: bool) -> list[dict[str, float | str]]:
    known = {name: parameter.value for name, parameter in book.found.items() if name in Values.__struct_fields__}
    base = msgspec.structs.replace(Values(), **(known | {"cores": cores}))
    solution = solve(base, seen, quick=quick)
    count = sum(len(one.latencies_s) for one in seen.values())
    errors = ", ".join(f"{name} {error:.0%}" for name, error in solution.errors.items())
    for one in UNKNOWNS:
        source = f"fitted on the model, {count} transactions in {len(seen)} cells; mean error: {errors}"
        book.put(one.name, solution.values[one.name], one.unit, source, solution.uncertainty[one.name])
    built = decisions.procedures()
    for name, add in (("send_s", built.a), ("send_item_s", built.b)):
        parameter = book.found[name]
        assert isinstance(parameter.value, float)
        source = f"{parameter.source}; plus the building of it"
        book.put(name, parameter.value + add, parameter.unit, source, parameter.error)
    return solution.rows


def _watches(book: Book, costs: Sequence[WatchCost]) -> None:
    book.put("etcd_watch_delay_s", 0.0, "s", "watchers are told before the answer leaves")
    rows = [[cost for cost in costs if cost.batch == batch and cost.messages] for batch in WATCHED]
    messages = sum(cost.messages for cost in costs)
    changes = [median(cost.changes / cost.messages for cost in row) for row in rows]
    line = fit.line(changes, [max(0.0, median(cost.cpu_s / cost.messages for cost in row)) for row in rows])
    source = f"what watching adds to a busy client's CPU time, {messages} messages"
    book.put("watch_item_s", line.b, "s/item", source, line.error)
    server = fit.line(changes, [max(0.0, median(cost.server_cpu_s / cost.messages for cost in row)) for row in rows])
    source = f"what a watcher adds to the server's CPU time, {messages} messages"
    book.line("etcd_watch_s", "etcd_watch_item_s", server, source)


def _bytes(book: Book, costs: Sequence[ByteCost]) -> None:
    source = f"what {PAYLOAD_BYTES} bytes add to each of ten puts, eight callers; median of {len(costs)}: "
    for name, what, seconds in (
        ("send_byte_s", "CPU time of the client", [one.send_s for one in costs]),
        ("etcd_byte_s", "CPU time of the server", [one.write_s for one in costs]),
        ("etcd_fsync_byte_s", "the mean fsync in /metrics", [one.fsync_s for one in costs]),
        ("etcd_commit_byte_s", "the mean commit of the backend in /metrics", [one.commit_s for one in costs]),
        ("heard_byte_s", "CPU time of who watches", [one.heard_s for one in costs]),
        ("etcd_watch_byte_s", "CPU time of the server that tells a watcher", [one.told_s for one in costs]),
    ):
        book.put(name, max(0.0, median(seconds)), "s/byte", source + what)


def _compares(book: Book, costs: Sequence[CompareCost]) -> None:
    source = f"what a compare adds to a put, {COMPARED_CELL.batch} in a transaction; median of {len(costs)}: "
    for name, what, seconds in (
        ("send_compare_s", "CPU time of the client", [one.send_s for one in costs]),
        ("etcd_compare_s", "CPU time of the server", [one.check_s for one in costs]),
    ):
        book.put(name, max(0.0, median(seconds)), "s/compare", source + what)


def write_times(book: Book, seen: dict[Cell, Seen]) -> tuple[WriteTimes, ...]:
    """The server's part of each latency: without what the client and the network take."""
    rows = []
    for cell, one in seen.items():
        if cell.sequence:
            continue
        own_s = book.value("send_s") + book.value("reply_s") + book.value("send_item_s") * cell.batch + 2 * NETWORK_S
        times = np.maximum(np.array(one.latencies_s) - own_s, book.value("etcd_fsync_s"))
        quantiles = np.quantile(times, np.linspace(0, 0.999, QUANTILES))
        rows.append(WriteTimes(cell.batch, cell.concurrency, tuple(float(f"{time:.4g}") for time in quantiles)))
    return tuple(rows)


def row(cell: Cell, seen: Seen) -> dict[str, float | str]:
    """A row for the record: what was seen, to judge the fit by."""
    places = max(1, cell.sequence)
    return {
        "cell": cell.name,
        "n": len(seen.latencies_s),
        "p50_ms": round(seen.quantile_s(0.5, 0, places) * 1000, 3),
        "p99_ms": round(seen.quantile_s(0.99, 0, places) * 1000, 3),
        "client_cpu_ms": round(seen.client_cpu_s * 1000, 4),
        "etcd_cpu_ms": round(seen.server_cpu_s * 1000, 4),
        "puts_per_fsync": round(seen.puts_per_fsync, 2),
        "fsync_ms": round(seen.fsync_s * 1000, 4),
        **({"listener_cpu_ms": round(seen.listener_cpu_s * 1000, 4)} if cell.watched else {}),
    }
