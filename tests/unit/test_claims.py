import json
from pathlib import Path
from typing import Any

import pytest

from experiments import claims, metrics, phrases, scenario


def fig(value: float) -> dict[str, Any]:
    return {"value": value, "low": value * 0.99, "high": value * 1.01, "n": 2}


def run(root: Path, name: str, **figures: Any) -> None:
    metrics.write({"real": figures, "sim": figures}, root / name / "metrics.json")


def latencies(**means: float) -> dict[str, Any]:
    return {
        "latency_s": {
            stage: {"mean": fig(value), "p50": fig(value), "p95": fig(value * 1.5), "p99": fig(value * 2)}
            for stage, value in means.items()
        }
    }


def good(root: Path) -> None:
    for workers in (1, 3, 5, 10):
        run(root, f"scaling-{workers}", steady_throughput_per_s=fig(9.9 * workers))
    run(root, "scaling-poll-100-rate", steady_throughput_per_s=fig(20.0))
    run(root, "latency-watch", **latencies(enqueue=0.002, ready_wait=0.001, assign=0.004, pull=0.001, overhead=0.008))
    run(root, "latency-poll", **latencies(enqueue=0.002, ready_wait=0.05, assign=0.002, pull=0.25, overhead=0.31))
    run(root, "burst", submitted=2000, completed=2000, lost=0, makespan_s=fig(3.0))


def verdicts(root: Path) -> dict[str, claims.Verdict]:
    return {each.id: each for each in claims.evaluate(root)}


def test_every_claim_has_a_rule_and_every_rule_a_claim() -> None:
    assert {claim.id for claim in claims.load()} == set(claims.RULES)


def test_every_claim_is_borne_on_by_a_scenario() -> None:
    known = {claim.id for claim in claims.load()}
    named = {each for name in scenario.names() for each in scenario.load(name).claims}
    assert known == named


def test_without_runs_nothing_is_judged(tmp_path: Path) -> None:
    assert {(each.verdict, each.measured, tuple(each.evidence)) for each in verdicts(tmp_path).values()} == {
        ("not run", "", ())
    }


def test_good_runs_hold_and_name_their_evidence(tmp_path: Path) -> None:
    good(tmp_path)
    got = verdicts(tmp_path)
    assert {one for one, each in got.items() if each.verdict == "holds"} == {"LAT-1", "LAT-2", "LAT-4", "BUR-1"}
    for one in ("THR-1", "THR-2", "SCA-1"):
        assert got[one].verdict == "holds only if"
        assert got[one].condition.startswith("dispatch is by watch")
    assert got["LAT-5"].condition.startswith("tasks wait for polls")
    assert got["LAT-3"].condition.startswith("the typical task is meant")
    assert got["BUR-1"].measured == "1,000 at once: all done in 3.00 s (n = 2)"
    assert got["SCA-1"].evidence == ["scaling-1", "scaling-3", "scaling-5", "scaling-10", "scaling-poll-100-rate"]
    assert got["SCA-1"].measured == ("watch 9.90 / 29.7 / 49.5 / 99.0/s; poll, fixed rate, 3 workers 20.0/s (n = 2)")
    assert got["LAT-2"].measured == "p50 50.0 ms; p95 75.0 ms (n = 2)"
    assert got["SCA-1"].predicted == got["SCA-1"].measured


@pytest.mark.parametrize(
    ("name", "figures", "claim"),
    [
        ("scaling-10", {"steady_throughput_per_s": fig(80.0)}, "SCA-1"),
        ("scaling-1", {"steady_throughput_per_s": fig(11.5)}, "THR-1"),
        ("latency-watch", latencies(enqueue=0.006), "LAT-1"),
        ("latency-poll", latencies(ready_wait=0.09), "LAT-2"),
        ("latency-poll", latencies(pull=0.4), "LAT-4"),
        ("latency-poll", latencies(overhead=1.2), "LAT-5"),
        ("burst", {"submitted": 10, "completed": 9, "lost": 0, "makespan_s": fig(3.0)}, "BUR-1"),
        ("burst", {"submitted": 10, "completed": 10, "lost": 1, "makespan_s": fig(3.0)}, "BUR-1"),
    ],
)
def test_bad_runs_fail(tmp_path: Path, name: str, figures: dict[str, Any], claim: str) -> None:
    good(tmp_path)
    run(tmp_path, name, **figures)
    assert verdicts(tmp_path)[claim].verdict == "does not hold"


def test_without_the_polling_run_watch_alone_decides(tmp_path: Path) -> None:
    run(tmp_path, "scaling-1", steady_throughput_per_s=fig(9.9))
    got = verdicts(tmp_path)
    assert (got["THR-1"].verdict, got["SCA-1"].verdict) == ("holds", "not run")


def test_claims_file_is_written_beside_the_runs(tmp_path: Path) -> None:
    good(tmp_path)
    written = json.loads(claims.write(tmp_path).read_text())
    assert [row["id"] for row in written] == [claim.id for claim in claims.load()]
    assert set(written[0]) == {"id", "section", "claim", "measured", "predicted", "verdict", "condition", "evidence"}


def test_an_interval_is_shown_from_three_repetitions_on(tmp_path: Path) -> None:
    good(tmp_path)
    run(tmp_path, "scaling-1", steady_throughput_per_s=fig(9.9) | {"n": 3})
    assert verdicts(tmp_path)["THR-1"].measured.startswith("watch 9.90/s (9.80 to 10.0, n = 3); poll")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (9.9951, "10.0"), (0.01234, "0.0123"), (3873.1, "3,870"), (-2.5, "\N{MINUS SIGN}2.50")],
)
def test_claims_show_three_digits(value: float, text: str) -> None:
    assert phrases.digits(value) == text
