"""Random numbers: one named stream for each purpose, so that a new draw somewhere leaves all others as they are.

Names are hashed by CRC-32, which is the same in every process; numbers are drawn in blocks, because one draw at a time
costs thirty times more.
"""

import zlib
from collections.abc import Sequence

import numpy as np

_FIRST_BLOCK, _LARGEST_BLOCK = 16, 4096
"""A thousand workers each have streams of which they use a few numbers; others use millions."""


class Stream:
    """Uniform numbers in [0, 1), and what is made of them."""

    __slots__ = ("_at", "_block", "_generator")

    def __init__(self, seed: int, name: str) -> None:
        self._generator = np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))
        self._block: list[float] = []
        self._at = 0

    def random(self) -> float:
        at = self._at
        if at == len(self._block):
            size = min(_LARGEST_BLOCK, max(_FIRST_BLOCK, 4 * at))
            self._block = self._generator.random(size).tolist()
            at = 0
        self._at = at + 1
        return self._block[at]

    def quantile(self, quantiles: Sequence[float]) -> float:
        """A number from a distribution given by its equally spaced quantiles (minimum first, maximum last)."""
        place = self.random() * (len(quantiles) - 1)
        low = int(place)
        return quantiles[low] + (place - low) * (quantiles[low + 1] - quantiles[low])

    def integer(self, below: int) -> int:
        return int(self.random() * below)


class Streams:
    """All streams of a run, made when first asked for."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, Stream] = {}

    def __getitem__(self, name: str) -> Stream:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Stream(self._seed, name)
        return stream
