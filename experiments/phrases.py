"""Figures and enumerations as the claims say them."""

import math
import re
from collections.abc import Sequence

MIN_FOR_INTERVAL = 3
SIGNIFICANT = 3


def digits(value: float) -> str:
    """Three significant digits, with a thousands separator and a true minus sign: 0.0123, 29.7, 3,870."""
    rounded = float(f"{value:.{SIGNIFICANT - 1}e}")
    if rounded == 0:
        return "0"
    places = max(SIGNIFICANT - 1 - math.floor(math.log10(abs(rounded))), 0)
    return f"{rounded:,.{places}f}".replace("-", "\N{MINUS SIGN}")


_COUNT = re.compile(r" \(n = \d+\)")


def join(parts: Sequence[str]) -> str:
    """One after the other; an n that is the same for all that they say is said once, at the end."""
    shown = [part for part in parts if part]
    counts: list[set[str]] = [set(_COUNT.findall(part)) for part in shown]
    if shown and all(counts) and len(set.union(*counts)) == 1:
        return "; ".join(_COUNT.sub("", part) for part in shown) + counts[0].pop()
    return "; ".join(shown)
