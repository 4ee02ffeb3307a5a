"""Records to bytes and back: the claim is 100,000 operations a second each."""

from typing import Any

import pytest
from msgspec import Raw

from core.kv import codec
from core.model import Marker, TaskSpec

MARKER = Marker(TaskSpec("0" * 32, "echo", payload=Raw(b'{"duration_s":1.0}'), submitted_at=1.0))


@pytest.mark.parametrize("direction", ["encode", "decode"])
def test_codec(benchmark: Any, row: list[tuple[str, str, str]], direction: str) -> None:
    """One marker, as it stands in etcd."""
    encoded = codec.encode(MARKER)
    if direction == "encode":
        assert benchmark(codec.encode, MARKER) == encoded
    else:
        assert benchmark(codec.decode, encoded) == MARKER
    rate = 1 / benchmark.stats["median"]
    row.append((f"{direction} a task, operations/s", f"{rate:,.0f}", ">= 100,000"))
