"""The client of a curve, a process of its own, and the watchers.

    python -m experiments.curves_load load '{"endpoints": ..., "namespace": ...}'
    python -m experiments.curves_load watch '{...}'

The load reads a line for each round: a `Round` has it make the tasks (and submit them, where a backlog is asked for)
and say {"ready": true}; any line then has it begin. It ends the round with an `Outcome`. A watcher says {"ready": true}
and watches the outcomes of all tasks. Both end when their input does.
"""

import gc
import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from core.client import Client, Handle
from core.etcd.errors import EtcdUnreachable, EtcdUnsupported
from core.kv import keys
from core.kv.requests import Found, Get
from core.machine.messages import Watch
from core.model import TaskSpec
from core.runtime.calls import perform
from core.runtime.link import EtcdLink
from experiments import workload
from experiments.curves_rules import Steady, steady
from experiments.schema import Scenario

SAMPLE_S = 0.002
"""Between two looks at how many tasks are open: a thousand of them in a round of two seconds."""
FOLLOWED = 200
"""Tasks of a backlog that are followed, evenly spread over those that are timed: each stands for its share."""
CHUNK = 20_000
"""Tasks of a backlog submitted at once: what is under way stays small."""
CALL_TIMEOUT_S = 60.0


class Place(msgspec.Struct, frozen=True):
    endpoints: str
    namespace: str


class Round(msgspec.Struct, frozen=True):
    """What to submit. `drain`: beforehand, and this many completions count. `timeout_s` from the begin on."""

    scenario: Scenario
    timeout_s: float
    drain: int | None = None


class Outcome(msgspec.Struct, frozen=True):
    """One round. Times are monotonic seconds; `offered_per_s`: how fast submits were acknowledged."""

    elapsed_s: float
    steady: Steady
    offered_per_s: float | None
    unfinished: int


def load(place: Place, lines: "queue.SimpleQueue[bytes]") -> None:
    while True:
        order = msgspec.json.decode(lines.get(), type=Round)
        specs = list(workload.draw(order.scenario, 0, base_ms=int(time.time() * 1000)).specs(time.time()))
        gc.collect()
        gc.freeze()  # the tasks of this round are not looked through while it is timed
        with Client(place.endpoints, namespace=place.namespace, name="client-1") as client:
            if order.drain is None:
                say({"ready": True})
                lines.get()
                outcome = _burst(client, specs, order)
            else:
                _submit_backlog(place, specs)
                picked = np.unique(np.linspace(0, order.drain - 1, FOLLOWED).astype(int))
                for index in picked:
                    client.follow(client.handle(specs[index].id))
                say({"ready": True})
                lines.get()
                outcome = _drain(client, len(picked), order)
        gc.unfreeze()
        say({"outcome": msgspec.to_builtins(outcome)})


def _burst(client: Client, specs: Sequence[TaskSpec], order: Round) -> Outcome:
    acknowledged_at: list[float] = []

    def wait_acknowledged(handle: Handle) -> None:
        handle.acknowledged(order.timeout_s)
        acknowledged_at.append(time.monotonic())

    began = time.monotonic()
    handles = client.submit_specs(specs)
    waiter = threading.Thread(target=wait_acknowledged, args=(handles[-1],), daemon=True)
    waiter.start()
    times, done = _watch_pending(client, len(specs), began, order.timeout_s)
    waiter.join(order.timeout_s)
    offered = len(specs) / max(acknowledged_at[0] - began, 1e-9) if acknowledged_at else None
    return _outcome(times, done, len(specs), 1.0, offered)


def _drain(client: Client, followed: int, order: Round) -> Outcome:
    times, done = _watch_pending(client, followed, time.monotonic(), order.timeout_s)
    assert order.drain is not None
    return _outcome(times, done, followed, order.drain / followed, None)


def _watch_pending(client: Client, total: int, began: float, timeout_s: float) -> tuple[list[float], list[int]]:
    """How many of `total` tasks had ended at which moments, until all have."""
    times, done = [began], [0]
    while done[-1] < total and time.monotonic() < began + timeout_s:
        time.sleep(SAMPLE_S)
        client.check()
        done.append(total - client.pending)
        times.append(time.monotonic())
    return times, done


def _outcome(times: list[float], done: list[int], total: int, scale: float, offered: float | None) -> Outcome:
    found = steady(np.array(times), np.array(done, dtype=float), done[-1])
    scaled = msgspec.structs.replace(found, rate_per_s=found.rate_per_s * scale)
    return Outcome(times[-1] - times[0], scaled, offered, total - done[-1])


def _submit_backlog(place: Place, specs: Sequence[TaskSpec]) -> None:
    """With a client of its own, which forgets them all when it is closed."""
    with Client(place.endpoints, namespace=place.namespace, name="client-2") as client:
        for first in range(0, len(specs), CHUNK):
            part = specs[first : first + CHUNK]
            client.submit_specs(part, follow=False)[-1].acknowledged(CALL_TIMEOUT_S)
            say({"submitted": first + len(part)})


def watch(place: Place, lines: "queue.SimpleQueue[bytes]") -> None:
    with EtcdLink(place.endpoints, place.namespace, lambda _: None) as link:
        now = perform(link.send, _revision(), CALL_TIMEOUT_S)
        link.watch(Watch("outcomes", keys.DONE, keys.prefix_end(keys.DONE), now + 1))
        say({"ready": True})
        lines.get()


def _revision() -> Any:
    found = yield Get(keys.DONE, keys.prefix_end(keys.DONE), count_only=True)
    assert isinstance(found, Found), found
    return found.revision


def say(words: dict[str, Any]) -> None:
    try:
        os.write(1, msgspec.json.encode(words) + b"\n")
    except BrokenPipeError:  # the runner is gone
        os._exit(1)


def _read(lines: "queue.SimpleQueue[bytes]") -> None:
    for line in iter(sys.stdin.buffer.readline, b""):
        lines.put(line)
    os._exit(0)  # the runner is done with us, or gone


def main(kind: str, argument: str) -> int:
    place = msgspec.json.decode(argument, type=Place)
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines,), name="stdin", daemon=True).start()
    try:
        {"load": load, "watch": watch}[kind](place, lines)
    except (EtcdUnreachable, EtcdUnsupported, RuntimeError, TimeoutError) as error:
        say({"error": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
