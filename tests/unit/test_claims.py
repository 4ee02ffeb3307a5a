import json
from pathlib import Path
from typing import Any

import pytest

from experiments import claims, phrases, scenario
from tests.unit.claim_runs import COUNTS, fig, good, latencies, run, verdicts


def test_every_claim_has_a_rule_and_every_rule_a_claim() -> None:
    assert {claim.id for claim in claims.load()} == set(claims.RULES)


BY_OTHER_MEANS = {"QUE-1", "QUE-2", "QUE-3", "SER-1", "MET-1", "MET-2"}
"""Benchmarks, and commands as they were tried."""


@pytest.mark.parametrize("quick", [False, True])
def test_every_claim_is_borne_on_by_a_scenario(*, quick: bool) -> None:
    known = {claim.id for claim in claims.load()} - BY_OTHER_MEANS
    forms = [scenario.both(name)[1 if quick else 0] for name in scenario.names()]
    assert known == {each for one in forms if one is not None for each in one.claims}


def test_without_runs_nothing_is_judged(tmp_path: Path) -> None:
    assert {(each.verdict, each.measured, tuple(each.evidence)) for each in verdicts(tmp_path).values()} == {
        ("not run", "", ())
    }


def test_good_runs_hold_and_name_their_evidence(tmp_path: Path) -> None:
    good(tmp_path)
    got = verdicts(tmp_path)
    assert {one for one, each in got.items() if each.verdict == "holds"} == {
        "LAT-1", "LAT-2", "LAT-4", "BUR-1", "RES-3", "BOT-1",
    }  # fmt: skip
    for one in ("THR-1", "THR-2", "SCA-1"):
        assert got[one].verdict == "holds only if"
        assert got[one].condition.startswith("dispatch is by watch")
    assert got["LAT-5"].condition.startswith("tasks wait for polls")
    assert got["LAT-3"].condition.startswith("the typical task is meant")
    assert got["BUR-1"].measured == "1,000 at once: all done in 3.00 s; 1,000 at once: all done in 3.00 s (n = 2)"
    assert got["RES-3"].measured.startswith("3.00 KB for each write")
    assert got["BOT-1"].evidence == ["scaling-10", "burst-short", "ablation-baseline", "latency-watch"]
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
        ("burst", COUNTS | {"completed": 99, "makespan_s": fig(3.0)}, "BUR-1"),
        ("burst", COUNTS | {"lost": 1, "makespan_s": fig(3.0)}, "BUR-1"),
        (
            "latency-watch",
            {
                "etcd": {key: fig(2e4) for key in ("bytes_in_per_task", "bytes_out_per_task")}
                | {"proposals_per_task": fig(3)}
            },
            "RES-3",
        ),
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
    told = {"stated", "claim", "measured", "predicted", "verdict", "condition"}
    assert set(written[0]) == {"id", "section", "evidence", *told}


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
