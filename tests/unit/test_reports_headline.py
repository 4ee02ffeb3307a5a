"""The first page says what the runs say: agreement by a printed rule, and why polling is slower."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments import summary
from reports import headline, tables_claims, tables_deployment, tables_setting
from reports.estimate import Estimate
from reports.runs import Runs, load_runs
from tests.unit.reports_synthetic import Toy, write_runs

POLLED = (
    Toy("scaling-3", count=60),
    Toy("scaling-poll-095-rate", service_s=0.95, dispatch="poll", count=60),
    Toy("scaling-poll-100-rate", dispatch="poll", count=60),
    Toy("scaling-poll-100-delay", dispatch="poll", ticker="delay", count=60),
)


def scaled_model(root: Path, name: str, factor: float) -> None:
    """Make the model's throughputs `factor` times the real ones."""
    file = root / name / "metrics.json"
    data: dict[str, Any] = json.loads(file.read_text())
    for key in ("throughput_per_s", "steady_throughput_per_s"):
        data["sim"][key] = {"value": data["real"][key]["value"] * factor, "low": None, "high": None, "n": 1}
    file.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("factor", "word"),
    [(1.04, "agrees"), (0.85, "has the right size"), (1.3, "does not agree"), (0.5, "does not agree")],
)
def test_agreement_is_judged_by_the_worst_error_of_a_group(tmp_path: Path, factor: float, word: str) -> None:
    root = write_runs(tmp_path, (Toy("scaling-1", 1, count=30), Toy("scaling-3", count=60)), repetitions=1)
    scaled_model(root, "scaling-1", 1.0)
    scaled_model(root, "scaling-3", factor)
    throughput = headline.agreement(load_runs(root))[0]
    assert throughput.word == word
    assert throughput.errors.endswith("in 2 scenarios")


def test_the_story_of_polling_finds_the_case_that_misses_its_tick(tmp_path: Path) -> None:
    story = headline.poll_story(load_runs(write_runs(tmp_path, POLLED, repetitions=1)))
    assert story is not None
    assert (story.critical.name, story.critical.cycle_s) == ("scaling-poll-100-rate", 1.5)
    assert story.early is not None
    assert (story.early.name, story.early.cycle_s) == ("scaling-poll-095-rate", 1.0)
    assert story.delayed is not None
    assert story.delayed.name == "scaling-poll-100-delay"


def test_without_the_critical_case_there_is_no_story(tmp_path: Path) -> None:
    assert headline.poll_story(load_runs(write_runs(tmp_path, POLLED[:2], repetitions=1))) is None


def mixed(root: Path, counts: tuple[int, ...]) -> Runs:
    toys = tuple(Toy(f"scaling-{index}", 1, count=20) for index in range(len(counts)))
    write_runs(root, toys, repetitions=1)
    for toy, n in zip(toys, counts, strict=True):
        file = root / toy.name / "metrics.json"
        data = json.loads(file.read_text())
        for world in ("real", "sim"):
            data[world]["throughput_per_s"] = {"value": 10.0, "low": 9.0, "high": 11.0, "n": n}
        file.write_text(json.dumps(data))
    return load_runs(root)


@pytest.mark.parametrize(
    ("counts", "n", "notation", "bars"),
    [
        ((1,), "n = 1", "single values", "no bars, as n = 1"),
        ((1, 2), "n = 1 or 2", "mean (the two values) where n = 2", "bars span the two values where n = 2"),
        ((5, 5), "n = 5", "mean [95 % interval]", "bars are 95 % intervals"),
        ((2, 5), "n = 2 to 5", "mean [95 % interval], (the two values) where n = 2",
         "bars are 95 % intervals, span the two values where n = 2"),
    ],
)  # fmt: skip
def test_captions_say_what_the_repetitions_allow(
    tmp_path: Path, counts: tuple[int, ...], n: str, notation: str, bars: str
) -> None:
    scenarios = list(mixed(tmp_path, counts).scenarios.values())
    assert (headline.repetitions(scenarios), headline.notation(scenarios), headline.bars(scenarios)) == (
        n,
        notation,
        bars,
    )


def test_evidence_names_the_section_that_treats_the_claim_and_the_paths() -> None:
    shown = tables_claims.evidence("3.1", ["scaling-1", "scaling-10/metrics.json"])
    assert shown == "@sec:scaling: `scaling-1`, `scaling-10/metrics.json`"
    assert tables_claims.evidence("7.2", []) == "@sec:burst"
    assert tables_claims.evidence("99", None) == "—"


def test_figures_in_a_claim_are_not_torn_from_their_unit() -> None:
    assert tables_claims.claim_value("p50 2.5 ms (n = 2)") == "p50 2.5\xa0ms (n\xa0=\xa02)"


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(4.33e-7, "s/item", ("433", "ns/item")), (0.000609, "s", ("609", "µs")), (2.98, "s", ("2.98", "s")),
     (2.0, "", ("2", "")), (0.0, "s", ("0", "s"))],
)  # fmt: skip
def test_parameters_have_a_unit_that_leaves_no_zeros_in_front(value: float, unit: str, shown: tuple[str, str]) -> None:
    assert tables_setting.scaled(value, unit) == shown


MORE = {"a_s": "", "b_s": "; plus the building of it"}
"""What follows the errors in a source."""


def test_the_date_of_the_parameters_is_a_column_only_if_it_differs(tmp_path: Path) -> None:
    root = write_runs(tmp_path, POLLED[:1], repetitions=1)
    entry = {"value": 1e-3, "unit": "s", "source": "x", "when": "2026-03-04T10:00Z", "error": 0.1}
    file = root / "calibration.json"
    file.write_text(json.dumps({"a": entry, "b": entry}))
    assert tables_setting.dates(load_runs(root)) == ["2026-03-04 10:00 UTC"]
    assert "when" not in tables_setting.calibration(load_runs(root), "c")
    file.write_text(json.dumps({"a": entry, "b": entry | {"when": "2026-03-05"}}))
    assert "| 2026-03-05 |" in tables_setting.calibration(load_runs(root), "c")


def test_how_well_a_fit_is_is_said_once(tmp_path: Path) -> None:
    root = write_runs(tmp_path, POLLED[:1], repetitions=1)
    assert tables_setting.fit_errors(load_runs(root)) is None
    source = "fitted on the model, 9 transactions in 2 cells; mean error: heard 5%, client CPU 18%"
    entries = {name: {"value": 1e-3, "unit": "s", "source": source + more} for name, more in MORE.items()}
    (root / "calibration.json").write_text(json.dumps(entries))
    runs = load_runs(root)
    shown = tables_setting.calibration(runs, "c")
    assert "mean error" not in shown
    assert shown.count("fitted on the model") == 2
    assert shown.count("plus the building of it") == 1
    assert "heard" in (tables_setting.fit_errors(runs) or "")


def test_the_median_wait_is_told_in_puts(tmp_path: Path) -> None:
    root = write_runs(tmp_path, (Toy("latency-watch", count=50, rate_per_s=50.0, service_s=0.05),), repetitions=1)
    one = load_runs(root).scenarios["latency-watch"]
    assert tables_setting.puts_in_dispatch(one) is None
    (root / "latency-watch/real/0/environment.json").write_text('{"etcd": {"put_p50_ms": 2.0}}')
    one = load_runs(root).scenarios["latency-watch"]
    wait = one.get("real", "latency_s.dispatch.p50") or Estimate()
    assert wait.value is not None
    assert tables_setting.puts_in_dispatch(one) == (2.0, wait.value * 1000 / 2.0)


@pytest.mark.parametrize(("there_ms", "alike"), [(2.1, True), (1.0, False), (4.0, False)])
def test_whether_the_parameters_are_of_a_machine_as_fast_as_this_one(
    tmp_path: Path, there_ms: float, alike: bool
) -> None:
    root = write_runs(tmp_path, POLLED[:1], repetitions=1)
    name = next(iter(load_runs(root).scenarios))
    assert tables_setting.speeds(load_runs(root)) is None
    (root / "calibrated.json").write_text(json.dumps({"put_p50_ms": there_ms}))
    assert tables_setting.speeds(load_runs(root)) is None, "no run says how fast it is here"
    (root / name / "real/0/environment.json").write_text('{"etcd": {"put_p50_ms": 2.0}}')
    found = tables_setting.speeds(load_runs(root))
    assert found is not None
    assert (found.there_ms, found.here_ms, found.alike, found.scaled) == (there_ms, 2.0, alike, {})


def test_parameters_that_were_scaled_say_by_how_much(tmp_path: Path) -> None:
    root = write_runs(tmp_path, POLLED[:1], repetitions=1)
    name = next(iter(load_runs(root).scenarios))
    about = {
        "cells": [{"cell": "1 x 1 puts", "p50_ms": 2.1}],
        "scaled": {"profile": "reference", "python": 1.5, "etcd": 1.25, "disk": 3.0, "latency": 2.0},
    }
    (root / "calibrated.json").write_text(json.dumps(summary.speed(about)))
    (root / name / "real/0/environment.json").write_text('{"etcd": {"put_p50_ms": 2.0}}')
    found = tables_setting.speeds(load_runs(root))
    assert found is not None
    assert found.scaled == {"python": 1.5, "etcd": 1.25, "disk": 3.0}


CLAIM = {
    "id": "THR-1", "section": "2.1", "stated": "one worker: about 10/s", "claim": "One worker ...",
    "measured": "watch 9.91/s (n = 3); poll 6.6/s", "predicted": "", "verdict": "holds only if",
    "condition": "dispatch is by watch", "evidence": ["scaling-1", "scaling-poll-100-rate"],
}  # fmt: skip


def test_at_a_glance_a_claim_is_its_first_figure_a_word_and_a_run() -> None:
    row = str(tables_claims.headline([CLAIM], "Glance.")).splitlines()[4]
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "**THR-1** one worker: about 10/s",
        "watch 9.91/s (n\xa0=\xa03)",
        "—",
        "[**holds on a condition**]{.verdict-partly}",
        "`scaling-1`",
    ]


def test_a_claim_without_a_run_shows_none_at_a_glance() -> None:
    row = str(tables_claims.headline([CLAIM | {"verdict": "not run", "evidence": [], "measured": ""}], "Glance."))
    assert "| — | — | [**not run**]{.verdict-open} | — |" in row


FIGURES = {
    "submitted": 150, "completed": 150, "lost": 0, "throughput_per_s": 29.526, "enqueue_p50_s": 0.0208,
}  # fmt: skip


def test_both_deployments_stand_beside_each_other(tmp_path: Path) -> None:
    write_runs(tmp_path, (Toy("scaling-3"),), repetitions=1)
    step = {"command": "tandem-bench run scaling-3 --quick --deployed", "figures": FIGURES}
    steps = [{"command": "docker-compose up -d"}, step, {"command": "tandem-bench run other", "figures": {}}]
    trial = {"compose": "docker-compose", "version": "1.29.2", "steps": steps}
    (tmp_path / "containers.json").write_text(json.dumps({"date": "2026-11-26T00:14:36+00:00", "trials": [trial]}))
    runs = load_runs(tmp_path)
    assert tables_deployment.tried_on(runs) == "2026-11-26"
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in str(tables_deployment.deployments(runs, "Both.")).splitlines()
        if line.startswith("| `")
    ]
    assert [row[:2] for row in rows] == [
        ["`scaling-3`", "processes, this machine"],
        ["`scaling-3`", "containers, docker-compose 1.29.2"],
    ]
    assert rows[1][2:] == ["150", "0", "29.5", "20.8"]
    assert all(cell != "—" for cell in rows[0])


def test_without_a_trial_there_is_nothing_to_compare(tmp_path: Path) -> None:
    write_runs(tmp_path, (Toy("scaling-3"),), repetitions=1)
    assert tables_deployment.runs_in_containers(load_runs(tmp_path)) == []
