"""What the benchmarks measure with, and what they measure against in the same run."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import psutil

from core.client import Client
from core.etcd.embedded import EmbeddedEtcd
from core.etcd.store import EtcdStore
from core.kv import codec
from core.kv.requests import Put, Response, Txn, TxnDone
from core.model import DeadRecord, Marker, TaskRecord
from core.specs import make_spec
from experiments import etcd_metrics
from experiments.components import Components

PUT_BATCH, PUT_FLIGHTS, PUT_TOTAL = 256, 4, 25_600
"""Bare puts in batches: operations a transaction, transactions under way, puts in all (a fraction of a second)."""
REFERENCE_ROUNDS = 20_000

PROPOSALS, SENT, RECEIVED = "etcd_proposals", "etcd_sent_bytes", "etcd_received_bytes"


@dataclass(frozen=True)
class System:
    """1 scheduler, 3 workers x 10 slots, etcd: processes of their own; and the client, in this process."""

    etcd: EmbeddedEtcd
    components: Components
    client: Client
    puts: EtcdStore
    """For bare puts, in a namespace that nobody watches."""

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds used so far. The workers' nannies (their parents) are told apart."""
        used = {"client": _cpu_s(psutil.Process())}
        for name in self.components.names:
            processes = self.components.processes(name)
            owners = ["nannies", "workers"] if name.startswith("worker") else ["scheduler"]
            for owner, process in zip(owners, processes, strict=False):
                used[owner] = used.get(owner, 0.0) + _cpu_s(process)
        used["etcd"] = _cpu_s(psutil.Process(self.etcd.pid()))
        return used

    def etcd_counters(self) -> dict[str, float]:
        """Some of the server's own counters."""
        reading = etcd_metrics.read(self.etcd.metrics_url())
        return {PROPOSALS: reading.proposals, SENT: reading.sent_bytes, RECEIVED: reading.received_bytes}


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def difference(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: after[name] - before.get(name, 0.0) for name in after}


def memory_mb(components: Components, name: str) -> tuple[float, float]:
    """Resident and proportional memory (the latter counts what is shared only in part) of a component."""
    rss = pss = 0
    for process in components.processes(name):
        info = process.memory_full_info()
        rss += info.rss
        pss += getattr(info, "pss", info.rss)
    return rss / 1e6, pss / 1e6


# --- what figures are set against --------------------------------------------------------------------------------


def task_bytes() -> int:
    """What a submit of an `echo` task stores: its record and its marker."""
    spec = make_spec("echo")
    return len(codec.encode(TaskRecord(spec))) + len(codec.encode(Marker(spec)))


def put_s(store: EtcdStore, size: int) -> float:
    """One bare put of `size` bytes, one call."""
    request = Txn((), (Put("key", DeadRecord("x" * size)),))
    started = time.perf_counter()
    answer = store.call(request)
    seconds = time.perf_counter() - started
    assert isinstance(answer, TxnDone)
    return seconds


def batched_puts_per_s(store: EtcdStore) -> float:
    """What etcd, its wire format and one Python process can do here, with nothing of a scheduler in it."""
    record = DeadRecord("x" * (task_bytes() // 2))
    done = threading.Semaphore(PUT_FLIGHTS)
    answers: list[Response] = []

    def reply(answer: Response) -> None:
        answers.append(answer)
        done.release()

    started = time.perf_counter()
    for first in range(0, PUT_TOTAL, PUT_BATCH):
        done.acquire()
        store.send(Txn((), tuple(Put(f"key/{first + one:032x}", record) for one in range(PUT_BATCH))), reply)
    for _ in range(PUT_FLIGHTS):
        done.acquire()
    seconds = time.perf_counter() - started
    assert all(isinstance(answer, TxnDone) for answer in answers)
    return PUT_TOTAL / seconds


class _Row(msgspec.Struct):
    """Fixed: the reference must not change when the product's records do."""

    name: str
    number: int
    tags: tuple[str, ...]
    ratio: float = 0.0


def reference_s() -> float:
    """CPU seconds of 1,000 rounds of a fixed loop of Python and msgspec: how fast this machine runs such code now."""
    encoder, decoder = msgspec.json.Encoder(), msgspec.json.Decoder(_Row)
    table: dict[str, _Row] = {}
    started = time.thread_time()
    for number in range(REFERENCE_ROUNDS):
        row = _Row(f"row-{number % 1000:04d}", number, ("a", "b"), number / 7)
        row = decoder.decode(encoder.encode(row))
        table[row.name] = row
        if row.number % 100 == 99:
            sorted(table.values(), key=lambda one: one.ratio)[:10].clear()
    return (time.thread_time() - started) * 1000 / REFERENCE_ROUNDS
