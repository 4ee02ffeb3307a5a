"""Numbers as a reader wants them: three significant digits, the interval beside the value, a unit.

What is printed of a known number carries its sources (`reports.provenance`); `digits` alone gives the bare text.
"""

import math
from typing import Any

from reports.estimate import MIN_FOR_INTERVAL, Estimate
from reports.language import gettext
from reports.provenance import sourced

MISSING = "—"
MINUS = "\N{MINUS SIGN}"
NBSP = "\N{NO-BREAK SPACE}"
EN_DASH = "\N{EN DASH}"
DIGITS = 3
"""Significant digits; repetitions differ by more than the fourth."""


SMALLEST_PLAIN = 1e-4
"""Smaller numbers are written with a power of ten."""
SMALLEST_TIME_S = 1e-5
"""Less than a clock read and the writing of a moment take: no stage can be known better."""
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def decimals(value: float, digits: int = DIGITS) -> int:
    """Decimal places that show `value` with that many significant digits; negative: rounded to tens, hundreds."""
    return 0 if value == 0 else digits - 1 - math.floor(math.log10(abs(value)))


def fixed(value: float, places: int) -> str:
    """`value` rounded to `places` decimals, with a thousands separator and a true minus sign."""
    rounded = round(value, places)
    text = f"{abs(rounded):,.{max(places, 0)}f}"
    return f"{MINUS}{text}" if rounded < 0 else text


def number(value: float | None, places: int = DIGITS) -> str:
    """Three significant digits: 0.0123, 29.7, 8,430. A dash for nothing, ∞ for infinity."""
    return _with_source(digits(value, places), value)


def _with_source(text: str, *values: float | None) -> str:
    return text if text == MISSING else sourced(text, *values)


def digits(value: float | None, places: int = DIGITS) -> str:
    """As `number`, but bare: for figures, and for parts of a longer text."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if 0 < abs(value) < SMALLEST_PLAIN:
        mantissa, _, exponent = f"{value:.{places - 1}e}".partition("e")
        return f"{mantissa.replace('-', MINUS)} · 10{str(int(exponent)).translate(SUPERSCRIPT)}"
    # Rounding can carry (0.9996 -> 1.00), so the places are counted on the rounded value.
    rounded = float(f"{value:.{places - 1}e}")
    return fixed(rounded, decimals(rounded, places))


def integer(value: Any) -> str:
    """A count, in full: 10,000."""
    return MISSING if value is None else _with_source(f"{round(float(value)):,}", value)


def plain(value: float | None) -> str:
    """A setting as it was written: 0.05, 3, 10,000."""
    if value is None:
        return MISSING
    return _with_source(f"{value:,.0f}" if value == round(value) else f"{float(value):g}", value)


def value_of(estimate: Estimate | None, scale: float = 1.0) -> str:
    """The bare value of a figure."""
    return MISSING if estimate is None or estimate.value is None else number(estimate.value * scale)


def interval(estimate: Estimate | None, scale: float = 1.0) -> str:
    """`29.6 [29.4, 29.8]` with an interval, `29.6 (29.5-29.7)`, with a dash, for two values, `29.6` with one."""
    if estimate is None or estimate.value is None:
        return MISSING
    if estimate.low is None or estimate.high is None:
        return number(estimate.value * scale)
    return _with_source(_bounded(estimate, estimate.low, estimate.high, scale), estimate.value)


def _bounded(estimate: Estimate, lowest: float, highest: float, scale: float) -> str:
    assert estimate.value is not None
    places = decimals(float(f"{estimate.value * scale:.{DIGITS - 1}e}"))
    value, low, high = (fixed(part * scale, places) for part in (estimate.value, lowest, highest))
    if estimate.n >= MIN_FOR_INTERVAL:
        return f"{value}{NBSP}[{low},{NBSP}{high}]"
    return value if low == high else f"{value}{NBSP}({low}{EN_DASH}{high})"


def milliseconds(estimate: Estimate | None) -> str:
    """The value of a figure in seconds, as milliseconds without the unit; what is under 10 µs is only said to be."""
    if estimate is not None and estimate.value is not None and 0 < estimate.value < SMALLEST_TIME_S:
        return sourced(f"<{NBSP}{digits(SMALLEST_TIME_S * 1000)}", estimate.value)
    return value_of(estimate, 1000.0)


def duration(seconds: float | None) -> str:
    """A duration with the unit that fits: 340 µs, 3.21 ms, 12.4 s."""
    if seconds is None or math.isnan(seconds):
        return MISSING
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if abs(seconds) * scale >= 1 or seconds == 0:
            return sourced(f"{digits(seconds * scale)}{NBSP}{unit}", seconds)
    return sourced(f"{digits(seconds * 1e6)}{NBSP}µs", seconds)


def percent(fraction: float | None) -> str:
    """A share: 98.7 %."""
    if fraction is None or math.isnan(fraction):
        return MISSING
    return sourced(_per_cent(fixed(fraction * 100, 1)), fraction)


def _per_cent(text: str) -> str:
    return gettext("{value}\N{NO-BREAK SPACE}%", value=text)


def signed_percent(fraction: float | None) -> str:
    """A signed error: `+0.4 %`; a negative one starts with a minus sign, not a hyphen."""
    if fraction is None or math.isnan(fraction):
        return MISSING
    text = fixed(fraction * 100, 1)
    return sourced(_per_cent(text if fraction < 0 and text != "0.0" else f"+{text}"), fraction)


def error_of(real: Estimate | None, sim: Estimate | None) -> float | None:
    """Signed relative error of the model against the real system; None if either is missing or real is zero."""
    if real is None or sim is None or not real.value or sim.value is None:
        return None
    return sim.value / real.value - 1


def count_of(estimate: Estimate | None) -> str:
    """How many repetitions stand behind a figure."""
    return MISSING if estimate is None else _with_source(str(estimate.n), estimate.value)


def spread_of(estimate: Estimate | None) -> float | None:
    """Half the distance of the bounds relative to the value: how far the real system differs from itself."""
    if estimate is None or not estimate.value or estimate.low is None or estimate.high is None:
        return None
    return abs((estimate.high - estimate.low) / 2 / estimate.value)
