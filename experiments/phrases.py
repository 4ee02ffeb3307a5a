"""Figures and enumerations as the claims say them."""

import math
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


def join(parts: Sequence[str]) -> str:
    """One after the other; an n that is the same for all of them is said once."""
    shown = [part for part in parts if part]
    tails = {part[part.rfind(" (n = ") :] if " (n = " in part else "" for part in shown}
    if len(shown) > 1 and len(tails) == 1:
        tail = tails.pop()
        shown = [*(part.removesuffix(tail) for part in shown[:-1]), shown[-1]]
    return "; ".join(shown)
