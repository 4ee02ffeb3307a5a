"""Records to bytes and back: the claim is 100,000 operations a second each."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec import Raw

from core.kv import codec
from core.model import Marker, TaskSpec
from tests.bench.figures import Ledger
from tests.bench.meters import reference_s

MARKER = Marker(TaskSpec("0" * 32, "echo", payload=Raw(b'{"duration_s":1.0}'), submitted_at=1.0))
ITERATIONS, ROUNDS = 10_000, 15
SINGLE = 20_000
"""Calls timed one by one, for the tail; the clock adds some 50 ns to each."""


@pytest.mark.parametrize("direction", ["encode", "decode"])
def test_codec(benchmark: Any, ledger: Ledger, direction: str) -> None:
    """One marker, as it stands in etcd."""
    encoded = codec.encode(MARKER)
    cases: dict[str, tuple[Callable[[Any], object], object, object]] = {
        "encode": (codec.encode, MARKER, encoded),
        "decode": (codec.decode, encoded, MARKER),
    }
    call, argument, expected = cases[direction]
    cpu_s: list[float] = []
    references_s: list[float] = []

    def in_turn() -> None:
        references_s.append(reference_s())
        started = time.thread_time()
        for _ in range(ITERATIONS):
            call(argument)
        cpu_s.append((time.thread_time() - started) / ITERATIONS)

    assert benchmark.pedantic(call, (argument,), iterations=ITERATIONS, rounds=ROUNDS, warmup_rounds=1) == expected
    for _ in range(ROUNDS):
        in_turn()
    ledger.figure(direction, [1 / seconds for seconds in benchmark.stats["data"]])
    ledger.ratio(f"{direction}_over_reference", min(references_s) / 1000 / min(cpu_s))
    p50_s, p99_s = np.quantile([_timed_s(call, argument) for _ in range(SINGLE)], (0.5, 0.99))
    benchmark.extra_info.update(
        claims=["SER-1"],
        n=ITERATIONS * ROUNDS,
        bytes=len(encoded),
        rate_per_s=1 / statistics.median(benchmark.stats["data"]),
        p50_s=float(p50_s),
        p99_s=float(p99_s),
    )


def _timed_s(call: Callable[[Any], object], argument: object) -> float:
    before = time.perf_counter()
    call(argument)
    return time.perf_counter() - before
