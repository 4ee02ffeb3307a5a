"""Records to bytes and back: the claim is 100,000 operations a second each."""

from typing import Any

import pytest
from msgspec import Raw

from core.kv import codec
from core.model import Marker, TaskSpec
from tests.bench.figures import Ledger
from tests.bench.meters import reference_s

MARKER = Marker(TaskSpec("0" * 32, "echo", payload=Raw(b'{"duration_s":1.0}'), submitted_at=1.0))
ITERATIONS, ROUNDS = 10_000, 15


@pytest.mark.parametrize("direction", ["encode", "decode"])
def test_codec(benchmark: Any, ledger: Ledger, direction: str) -> None:
    """One marker, as it stands in etcd."""
    encoded = codec.encode(MARKER)
    reference = min(reference_s() for _ in range(5))
    how = {"iterations": ITERATIONS, "rounds": ROUNDS, "warmup_rounds": 1}
    if direction == "encode":
        assert benchmark.pedantic(codec.encode, (MARKER,), **how) == encoded
    else:
        assert benchmark.pedantic(codec.decode, (encoded,), **how) == MARKER
    rates = [1 / seconds for seconds in benchmark.stats["data"]]
    ledger.figure(direction, rates)
    ledger.ratio(f"{direction}_over_reference", max(rates) * reference / 1000)
