"""The load generator, a process of its own: submits the tasks of one repetition when they are due.

The load is open: what is due is submitted, however far behind the system is, and latency counts from the time that was
intended. (Closed load, on request, keeps a number of tasks in flight instead.)

    python -m experiments.load '{"scenario": {...}, "repetition": 0, "endpoints": ..., ...}'

It says {"ready": true} when it is connected; {"start": s} on standard input starts it at that monotonic second. Then it
says {"submitted": n, "pending": n} now and then, and at the end {"unfinished": n}. When its input ends it stops.
"""

import os
import queue
import select
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from core.client import Client, Handle
from core.etcd.errors import EtcdUnreachable, EtcdUnsupported
from core.model import TaskSpec
from experiments import workload
from experiments.components import config_of
from experiments.schema import Scenario

POLL_S = 0.02
SAY_EVERY_S = 0.5
NAME = "client-1"


class Job(msgspec.Struct, frozen=True):
    """What to submit, and where."""

    scenario: Scenario
    repetition: int
    endpoints: str
    namespace: str
    trace_dir: str
    quiet_s: float
    """Given up is what is left when no task has ended for so long."""
    base_ms: int = workload.BASE_MS
    """Where the ids start (`workload.draw`)."""


def main(argument: str) -> int:
    job = msgspec.json.decode(argument, type=Job)
    load = workload.draw(job.scenario, job.repetition, base_ms=job.base_ms)
    specs = list(load.specs(time.time()))  # before the clock starts
    if select.select([sys.stdin], [], [], 0)[0]:  # nobody speaks to us before we are ready: the runner is gone
        return 1
    try:
        client = Client(
            job.endpoints,
            namespace=job.namespace,
            settings=config_of(job.scenario.topology, job.scenario.settings).client,
            trace_dir=Path(job.trace_dir),
            name=NAME,
        )
    except (ValueError, EtcdUnreachable, EtcdUnsupported) as error:
        say({"error": str(error)})
        return 1
    with client:
        say({"ready": True})
        order = sys.stdin.readline()
        if not order:
            os._exit(1)
        start = float(msgspec.json.decode(order)["start"])
        threading.Thread(target=_end_with_parent, daemon=True).start()
        time.sleep(max(start - time.monotonic(), 0.0))
        patience = Patience(job.quiet_s)
        if load.in_flight is None:
            submit_open(client, specs, load.intended_s, start)
            unfinished = wait_all(client, len(specs), patience)
        else:
            unfinished = submit_closed(client, specs, load.in_flight, patience)
    say({"unfinished": unfinished})
    return 0


def say(words: dict[str, Any]) -> None:
    try:
        os.write(1, msgspec.json.encode(words) + b"\n")
    except BrokenPipeError:  # the runner is gone, and nobody wants this load any more
        os._exit(1)


def submit_open(client: Client, specs: list[TaskSpec], intended_s: workload.Floats, start: float) -> None:
    """Submit each task at its time, and what has become due meanwhile together with it."""
    told = 0.0
    for first, last in _due(intended_s, start):
        client.submit_specs(specs[first:last])
        if time.monotonic() - told > SAY_EVERY_S:
            told = time.monotonic()
            say({"submitted": last, "pending": client.pending})


def _due(intended_s: workload.Floats, start: float) -> Iterator[tuple[int, int]]:
    first = 0
    while first < len(intended_s):
        time.sleep(max(start + float(intended_s[first]) - time.monotonic(), 0.0))
        due = np.searchsorted(intended_s, time.monotonic() - start, side="right")
        last = max(int(due), first + 1)  # sleep may end a rounding error early
        yield first, last
        first = last


class Patience:
    """Lasts while tasks end, and `quiet_s` longer."""

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._ended = -1
        self._until = 0.0

    def lasts(self, ended: int) -> bool:
        """So many tasks have ended by now."""
        if ended != self._ended:
            self._ended, self._until = ended, time.monotonic() + self._quiet_s
        return time.monotonic() < self._until


def submit_closed(client: Client, specs: list[TaskSpec], in_flight: int, patience: Patience) -> int:
    """Keep `in_flight` tasks unfinished: for those that have ended, the next are submitted, together.

    Returns how many did not end. They, too, are over when the client is closed.
    """
    ended: queue.SimpleQueue[Handle] = queue.SimpleQueue()
    told, submitted, left, room = 0.0, 0, len(specs), in_flight
    while left:
        for handle in client.submit_specs(specs[submitted : submitted + room]):
            handle.add_done_callback(ended.put)
            submitted += 1
        room = 0
        with suppress(queue.Empty):
            ended.get(timeout=SAY_EVERY_S)
            room = 1 + _at_hand(ended)
        left -= room
        if time.monotonic() - told > SAY_EVERY_S:
            told = time.monotonic()
            say({"submitted": submitted, "pending": client.pending})
        if not patience.lasts(len(specs) - left):
            break
    client.check()  # it may have ended, and not its tasks
    return left


def _at_hand(ended: "queue.SimpleQueue[Handle]") -> int:
    """How many more have ended."""
    count = 0
    with suppress(queue.Empty):
        while True:
            ended.get_nowait()
            count += 1
    return count


def wait_all(client: Client, submitted: int, patience: Patience) -> int:
    """Until every outcome is known, or the patience is over; how many are not known."""
    told = time.monotonic()
    while client.pending and patience.lasts(submitted - client.pending):
        client.check()
        time.sleep(POLL_S)
        if time.monotonic() - told > SAY_EVERY_S:
            told = time.monotonic()
            say({"submitted": submitted, "pending": client.pending})
    return client.pending


def _end_with_parent() -> None:
    sys.stdin.readline()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
