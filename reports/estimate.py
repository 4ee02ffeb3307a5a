"""A figure as the report shows it, and the one rule for what stands beside the mean."""

import msgspec

MIN_FOR_INTERVAL = 3
T_OF_TWO = 12.706204736432095
"""Student's t for 95 % and two values: their interval is this many times as wide as their distance."""


class Estimate(msgspec.Struct, frozen=True):
    """A mean over `n` repetitions. The bounds: 95 % interval where n >= 3, the two values where n = 2, else none.

    Value and bounds are `Known` numbers where they were read from a run. `metrics.json` has an interval for two
    repetitions too. It is 13 times as wide as the two values are apart, which says nothing about the system: `shown`
    puts the values in its place.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0

    def shown(self) -> "Estimate":
        """As read from `metrics.json`, made to follow the rule above."""
        if self.n >= MIN_FOR_INTERVAL or self.value is None or self.high is None:
            return self
        half = (self.high - self.value) / T_OF_TWO  # the lower bound may have been cut off at zero
        return Estimate(self.value, self.value - half, self.value + half, self.n)
