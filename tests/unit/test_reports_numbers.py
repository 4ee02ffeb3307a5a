"""Numbers are rounded for a reader and never lie about their sign, size or interval."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import numbers
from reports.estimate import Estimate


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (29.6666, "29.7"), (9.9987, "10.0"), (0.00012345, "0.000123"), (0.0000123, "1.23 · 10⁻⁵"),
        (8432.1, "8,430"), (100.4, "100"),
        (99.96, "100"), (-3.14159, "\N{MINUS SIGN}3.14"), (None, "—"), (math.nan, "—"), (math.inf, "∞"),
    ],
)  # fmt: skip
def test_three_significant_digits(value: float | None, text: str) -> None:
    assert numbers.number(value) == text


@given(st.floats(min_value=1e-4, max_value=1e9))
def test_the_shown_number_is_within_half_a_unit_of_the_third_digit(value: float) -> None:
    shown = float(numbers.number(value).replace(",", ""))
    assert abs(shown - value) <= 0.5000001 * 10 ** (math.floor(math.log10(value)) - 2)


def test_an_interval_has_as_many_places_as_its_value() -> None:
    assert numbers.interval(Estimate(29.6123, 29.4, 29.8456, 3)).replace("\xa0", " ") == "29.6 [29.4, 29.8]"
    assert numbers.interval(Estimate(0.00312, 0.003, 0.0033, 3), 1000).replace("\xa0", " ") == "3.12 [3.00, 3.30]"


def test_two_repetitions_show_their_two_values_instead_of_an_interval() -> None:
    values = (29.4, 29.8)  # their 95 % interval by Student's t is 29.6 +- 12.706 * 0.2
    read = Estimate(29.6, 29.6 - 12.706204736 * 0.2, 29.6 + 12.706204736 * 0.2, 2).shown()
    assert (read.low, read.high) == pytest.approx(values)
    assert numbers.interval(read).replace("\xa0", " ") == "29.6 (29.4\N{EN DASH}29.8)"
    assert numbers.spread_of(read) == pytest.approx(0.2 / 29.6)
    cut_at_zero = Estimate(1.0, 0.0, 1.0 + 12.706204736 * 0.5, 2).shown()
    assert (cut_at_zero.low, cut_at_zero.high) == pytest.approx((0.5, 1.5))
    assert numbers.interval(Estimate(29.6, 29.6, 29.6, 2)) == "29.6"


def test_a_single_repetition_shows_no_interval() -> None:
    assert numbers.interval(Estimate(29.6123, None, None, 1)) == "29.6"
    assert numbers.interval(None) == numbers.interval(Estimate()) == "—"


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.004, "+0.4 %"), (-0.12, "\N{MINUS SIGN}12.0 %"), (-0.0001, "+0.0 %"), (None, "—")]
)
def test_errors_carry_their_sign(fraction: float | None, text: str) -> None:
    assert numbers.signed_percent(fraction).replace("\xa0", " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.34, "12.3 s"), (0.0032, "3.20 ms"), (0.00034, "340 µs"), (0.0, "0 s"), (None, "—")]
)
def test_durations_choose_their_unit(seconds: float | None, text: str) -> None:
    assert numbers.duration(seconds).replace("\xa0", " ") == text


def test_the_error_of_the_model_is_relative_to_the_real_system() -> None:
    assert numbers.error_of(Estimate(10.0), Estimate(11.0)) == pytest.approx(0.1)
    assert numbers.error_of(Estimate(0.0), Estimate(11.0)) is None
    assert numbers.error_of(None, Estimate(1.0)) is None
    assert numbers.spread_of(Estimate(10.0, 9.0, 11.0, 3)) == pytest.approx(0.1)
