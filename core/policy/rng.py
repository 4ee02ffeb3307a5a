"""Randomness as decisions may use it."""

from typing import Protocol


class Rng(Protocol):
    """The part of `random.Random` that decisions may use; seeded by the driver, recorded with the run."""

    def random(self) -> float: ...
