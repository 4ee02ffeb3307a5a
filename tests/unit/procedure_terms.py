"""What the tests of procedures share."""

from random import Random

from hypothesis import Phase, settings
from hypothesis import strategies as st
from msgspec import Raw

from core.model import INLINE_PAYLOAD_BYTES
from tests.hostile import World

HOSTILE = settings(max_examples=150, deadline=None, derandomize=True, phases=[Phase.generate])
RNG = st.integers(0, 2**32).map(Random)
COUNTS = st.integers(1, 9)
BIG = Raw(b'"' + b"x" * INLINE_PAYLOAD_BYTES + b'"')


def written(world: World, prefix: str) -> list[tuple[str, object, int]]:
    """Everything that was ever put under a prefix: (key, value, revision)."""
    return [(w.key, w.after.value, w.revision) for w in world.kv.history if w.after and w.key.startswith(prefix)]
