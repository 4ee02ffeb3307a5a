"""The benchmarks' gate: what passes, what fails, and what a renewal keeps."""

import datetime as dt
from pathlib import Path

import pytest

from experiments import baseline
from experiments.baseline import FAILURES, Baseline, Recorded, Rule, judge, renew

DAY = dt.date(2024, 5, 17)
RULES = {"speed": Rule("higher", 0.2), "cost": Rule("lower", 0.1)}


def recorded(better: baseline.Better = "higher", mean: float = 10.0, deviation: float = 0.0) -> Recorded:
    return Recorded(better=better, margin=0.2, mean=mean, deviation=deviation, n=3, renewed=DAY, reason="first")


def verdict(one: Recorded, measured: float) -> str:
    (finding,) = judge(Baseline({}, {"it": one}), {"it": measured})
    return finding.verdict


@pytest.mark.parametrize(
    ("measured", "expected"),
    [(10.0, "within"), (8.0, "within"), (7.99, "beyond"), (12.0, "within"), (12.1, "better"), (0.0, "beyond")],
)
def test_higher_is_better(measured: float, expected: str) -> None:
    assert verdict(recorded("higher"), measured) == expected


@pytest.mark.parametrize(
    ("measured", "expected"),
    [(10.0, "within"), (12.0, "within"), (12.01, "beyond"), (8.0, "within"), (7.9, "better")],
)
def test_lower_is_better(measured: float, expected: str) -> None:
    assert verdict(recorded("lower"), measured) == expected


def test_the_wider_of_margin_and_deviations_counts() -> None:
    assert recorded(deviation=0.1).limit == pytest.approx(8.0)  # the margin
    assert recorded(deviation=1.0).limit == pytest.approx(7.0)  # three deviations
    assert recorded("lower", deviation=1.0).limit == pytest.approx(13.0)


def test_what_is_not_a_number_does_not_pass() -> None:
    assert verdict(recorded("higher"), float("nan")) == "beyond"
    assert verdict(recorded("lower"), float("nan")) == "beyond"


def test_rows_that_only_one_side_knows_fail() -> None:
    findings = judge(Baseline({}, {"old": recorded()}), {"new": 1.0})
    assert [(one.name, one.verdict) for one in findings] == [("old", "not measured"), ("new", "not recorded")]
    assert all(one.verdict in FAILURES for one in findings)
    assert "this run did not measure it" in str(findings[0])
    assert "the baseline does not know it" in str(findings[1])


def test_what_is_excused_is_neither_asked_for_nor_judged() -> None:
    assert judge(Baseline({}, {"it": recorded()}), {}, excused={"it"}) == []
    assert judge(Baseline({}, {"it": recorded()}), {"it": 0.1}, excused={"it"}) == []
    assert judge(Baseline(), {"it": 0.1}, excused={"it"}) == []


def test_a_finding_says_which_by_how_much_and_the_limit() -> None:
    (finding,) = judge(Baseline({}, {"it": recorded()}), {"it": 5.0})
    assert str(finding) == "it: 5 is 50% below the recorded 10 (limit 8, higher is better): beyond"


def test_renewal_counts_each_run_once_and_says_why() -> None:
    runs = [{"speed": 9.0, "cost": 2.0}, {"speed": 11.0}]
    new = renew(Baseline(), RULES, runs, reason=" faster ", today=DAY, machine={"cores": 2})
    speed, cost = new.ratios["speed"], new.ratios["cost"]
    assert (speed.mean, speed.deviation, speed.n) == (10.0, 1.414, 2)
    assert (cost.mean, cost.deviation, cost.n) == (2.0, 0.0, 1)
    assert (speed.better, speed.margin, cost.better) == ("higher", 0.2, "lower")
    assert (speed.reason, speed.renewed, new.machine) == ("faster", DAY, {"cores": 2})


def test_renewal_keeps_an_edited_margin_and_drops_what_no_longer_exists() -> None:
    edited = Recorded(better="higher", margin=0.5, mean=1.0, deviation=0.0, n=1, renewed=DAY, reason="x")
    old = Baseline({}, {"speed": edited, "gone": recorded()})
    new = renew(old, RULES, [{"speed": 4.0, "cost": 1.0}], reason="y", today=DAY, machine={})
    assert list(new.ratios) == ["speed", "cost"]
    assert (new.ratios["speed"].margin, new.ratios["speed"].mean) == (0.5, 4.0)


def test_renewal_of_some_leaves_the_others_as_they_were() -> None:
    old = Baseline({}, {"speed": recorded(mean=3.0), "cost": recorded("lower")})
    later = DAY + dt.timedelta(days=1)
    new = renew(old, RULES, [{"speed": 4.0, "cost": 9.0}], reason="y", today=later, machine={}, only={"speed"})
    assert new.ratios["cost"] == old.ratios["cost"]
    assert (new.ratios["speed"].mean, new.ratios["speed"].renewed) == (4.0, later)


@pytest.mark.parametrize(
    ("reason", "runs", "only", "words"),
    [
        ("  ", [{"speed": 1.0, "cost": 1.0}], (), "needs its reason"),
        ("y", [{"speed": 1.0}], (), "no run measured cost"),
        ("y", [{"speed": 1.0, "cost": float("nan")}], (), "no run measured cost"),
        ("y", [{"speed": 1.0, "cost": 1.0}], ("sped",), "there is no ratio sped"),
    ],
)
def test_renewal_refuses(reason: str, runs: list[dict[str, float]], only: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        renew(Baseline(), RULES, runs, reason=reason, today=DAY, machine={}, only=only)


def test_file_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "baseline.toml"
    new = renew(Baseline(), RULES, [{"speed": 1.23456, "cost": 2.0}], reason='a "b"', today=DAY, machine={"cores": 2})
    baseline.write(new, path)
    assert baseline.read(path) == new
    assert [one.name for one in tmp_path.iterdir()] == ["baseline.toml"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no baseline at .*make bench-record"),
        ("[ratios", "is not usable"),
        ("[ratios.it]\nbetter = 'sideways'\nmargin = 0.1\n", "is not usable.*sideways"),
        ("[ratio]\n", "is not usable.*ratio"),
    ],
)
def test_a_missing_or_broken_file_is_one_sentence(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "baseline.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        baseline.read(path)
    assert "\n" not in str(caught.value)


def test_a_folder_in_place_of_the_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read the baseline"):
        baseline.read(tmp_path)
