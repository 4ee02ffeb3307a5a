"""The benchmarks' table: goals, what the gate says beside them, and that every row is defined once."""

import datetime as dt

import pytest

from experiments import baseline
from experiments.baseline import Baseline, Recorded
from tests.bench.figures import BACKLOG_RATIOS, BASELINE, FIGURES, RATIOS, Figure, Ledger, render


@pytest.mark.parametrize(
    ("figure", "value", "expected"),
    [
        (Figure("rate", at_least=10), 10.0, "met"),
        (Figure("rate", at_least=10), 9.9, "missed"),
        (Figure("cost", at_most=10), 10.0, "met"),
        (Figure("cost", at_most=10), 10.1, "missed"),
        (Figure("for comparison"), 1.0, ""),
    ],
)
def test_a_goal_is_met_or_missed(figure: Figure, value: float, expected: str) -> None:
    assert figure.verdict(value) == expected


def ledger() -> Ledger:
    one = Ledger(backlog=50_000)
    for number, key in enumerate(FIGURES):
        one.figure(key, [number, number + 1_000_000.0, number + 2_000_000.0])
    for key in RATIOS:
        one.ratio(key, 10.0)
    one.note("a line under the table")
    return one


def test_every_row_is_whole() -> None:
    text = render(ledger(), [], colour=False)
    lines = text.splitlines()
    for number, figure in enumerate(FIGURES.values()):
        name = figure.name.format(backlog=50_000, model_tasks=100_000)
        (line,) = [one for one in lines if one.startswith(f" {name}  ")]
        assert figure.text(number + 1_000_000.0) in line
        assert line.rstrip().endswith(figure.verdict(number + 1_000_000.0))
    assert "\u2026" not in text  # how rich marks what it cut
    assert "\x1b" not in text
    assert lines[-1] == "a line under the table"


def test_a_ratio_stands_beside_what_was_recorded() -> None:
    day = dt.date(2024, 5, 17)
    one = Recorded(better="higher", margin=0.2, mean=20.0, deviation=1.0, n=3, renewed=day, reason="first")
    measured = ledger()
    findings = baseline.judge(Baseline({}, {"slot_efficiency": one}), measured.ratios)
    (line,) = [one for one in render(measured, findings, colour=False).splitlines() if "slot_efficiency" in one]
    assert line.split("  ")[-1].strip() == "beyond"
    assert "recorded 20 +- 1, 3" in line
    assert ">= 16" in line
    assert "\x1b[31mbeyond" in render(measured, findings, colour=True)


def test_a_median_counts_unless_all_samples_together_say_it() -> None:
    one = Ledger(backlog=0)
    one.figure("burst", [1.0, 2.0, 9.0])
    assert (one.figures["burst"].value, one.figures["burst"].high, one.figures["burst"].count) == (2.0, 9.0, 3)
    one.figure("start", [1.0, 2.0], value=1.7, count=300)
    assert (one.figures["start"].value, one.figures["start"].low, one.figures["start"].count) == (1.7, 1.0, 300)
    one.figure("start_tail", [3.0, 4.0], value=5.0, count=300)
    assert one.figures["start_tail"].high == 5.0  # a tail of all samples may lie beyond those of the parts


def test_what_the_gate_leaves_out_without_the_long_backlog_exists() -> None:
    assert set(BACKLOG_RATIOS) <= set(RATIOS)


def test_the_recorded_baseline_is_usable_and_complete() -> None:
    if not BASELINE.exists():
        pytest.skip("nothing is recorded yet")
    recorded = baseline.read(BASELINE)
    assert set(recorded.ratios) == set(RATIOS)
    assert {name: one.better for name, one in recorded.ratios.items()} == {n: r.better for n, r in RATIOS.items()}
