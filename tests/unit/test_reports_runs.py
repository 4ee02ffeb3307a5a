"""Saved runs are read back as written; what is broken is named, what is missing is missing."""

import json
from pathlib import Path

import pytest

from reports import facts, selection
from reports.estimate import Estimate
from reports.runs import ReportError, Runs, Scenario, load_runs
from tests.unit.reports_synthetic import Toy, write_runs

POLLED = tuple(
    Toy(f"scaling-x{number}", workers=workers, service_s=service, dispatch="poll", ticker=ticker, count=20)
    for number, (workers, service, ticker) in enumerate(
        [(1, 1.0, "rate"), (3, 0.95, "rate"), (3, 1.0, "rate"), (3, 1.0, "delay")]
    )
)


def scenario(service_s: float, pull_s: float = 0.5, dispatch: str = "poll") -> Scenario:
    spec = {
        "name": "one",
        "topology": {"workers": 3, "slots": 10, "dispatch": dispatch, "worker_poll_interval_s": pull_s},
        "workload": {"service": {"distribution": "constant", "value_s": service_s}},
    }
    return Scenario(Path("one"), spec, {})


@pytest.mark.parametrize(
    ("service_s", "bound"), [(0.95, 30.0), (1.0, 20.0), (1.05, 20.0), (0.3, 60.0), (1.5, 15.0), (0.1, 60.0)]
)
def test_the_tick_bound_counts_whole_ticks_and_a_multiple_misses_one(service_s: float, bound: float) -> None:
    assert scenario(service_s).tick_bound_per_s == pytest.approx(bound)


def test_bounds_exist_only_where_they_mean_something() -> None:
    assert scenario(1.0, dispatch="watch").tick_bound_per_s is None
    assert scenario(0.0).slot_bound_per_s is None
    assert scenario(1.0).slot_bound_per_s == pytest.approx(30.0)


def test_scenarios_are_grouped_by_what_they_vary_not_by_name(tmp_path: Path) -> None:
    runs = load_runs(write_runs(tmp_path, (Toy("scaling-3", count=20), *POLLED), repetitions=1))
    assert [one.name for one in selection.scaling(runs)] == ["scaling-3", "scaling-x0", "scaling-x2"]
    assert [one.name for one in selection.polling(runs)] == ["scaling-x1", "scaling-x2", "scaling-x3"]


def test_figures_are_found_by_their_dotted_key(tmp_path: Path) -> None:
    runs = load_runs(write_runs(tmp_path, (Toy("scaling-1", count=20),), repetitions=3))
    one = runs.scenarios["scaling-1"]
    found = one.get("real", "latency_s.dispatch.p50")
    assert found is not None
    assert found.n == 3
    assert found.low is not None
    assert found.value is not None
    assert found.low < found.value
    assert one.get("sim", "latency_s.dispatch.p17") is None
    assert one.get("real", "completed") == Estimate(60.0, n=1)


def test_latencies_leave_out_the_warm_up_and_attempts_that_did_not_end_the_task(tmp_path: Path) -> None:
    root = write_runs(tmp_path, (Toy("latency", count=100, rate_per_s=50.0, service_s=0.01),), repetitions=1)
    file = root / "latency" / "scenario.toml"
    file.write_text(file.read_text().replace("warmup_s = 0.0", "warmup_s = 1.0"))
    one = load_runs(root).scenarios["latency"]
    assert len(one.latencies("real", "dispatch")) == 50
    trace = next(one.traces("real"))
    trace.loc[99, "final"] = False
    trace.to_parquet(one.repetitions("real")[0] / "trace.parquet")
    assert len(one.latencies("real", "dispatch")) == 49


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("one/metrics.json", "{", "one/metrics.json is not valid JSON"),
        ("one/metrics.json", "[]", "must hold an object"),
        ("one/scenario.toml", "name = ", "one/scenario.toml is not valid TOML"),
        ("claims.json", "{}", "claims.json must hold a JSON array"),
        ("environment.json", "\xff", "environment.json is not valid JSON"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, file: str, content: str, said: str) -> None:
    write_runs(tmp_path, (Toy("one", count=20),), repetitions=1)
    (tmp_path / file).write_bytes(content.encode("latin-1"))
    with pytest.raises(ReportError, match=said.replace("/", ".")):
        load_runs(tmp_path)


def test_a_broken_trace_is_named(tmp_path: Path) -> None:
    one = load_runs(write_runs(tmp_path, (Toy("one", count=20),), repetitions=1)).scenarios["one"]
    file = one.repetitions("real")[0] / "trace.parquet"
    next(one.traces("real")).drop(columns="started").to_parquet(file)
    with pytest.raises(ReportError, match="lacks the column 'started'"):
        list(one.traces("real"))
    file.write_bytes(b"no parquet")
    with pytest.raises(ReportError, match="not a readable Parquet file"):
        list(one.traces("real"))


def test_nothing_to_report_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no finished runs"):
        load_runs(tmp_path)
    with pytest.raises(ReportError, match="no folder"):
        load_runs(tmp_path / "absent")


def with_environment(root: Path, **changes: object) -> Runs:
    file = root / "environment.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return load_runs(root)


def test_warnings_are_raised_for_a_server_that_loses_writes_and_for_a_disturbed_machine(tmp_path: Path) -> None:
    root = write_runs(tmp_path, (Toy("one", count=20),), repetitions=1)
    assert facts.warnings(load_runs(root)) == []
    (lost,) = facts.warnings(with_environment(root, etcd={"version": "3.5.1", "durable": False, "warning": "no fsync"}))
    assert "3.5.1" in lost
    assert "not durable: no fsync." in lost
    (unknown,) = facts.warnings(with_environment(root, etcd={}))
    assert "do not say" in unknown
    with_environment(root, etcd={"durable": True})
    (root / "one/real/0/environment.json").write_text('{"load": {"disturbed": true, "disturbed_rule": "over 10 %"}}')
    (noise,) = facts.warnings(load_runs(root))
    assert noise == "1 of 1 real run was disturbed: over 10 %."


def disturb(root: Path, repetitions: dict[str, float]) -> None:
    for place, cores in repetitions.items():
        name, _, repetition = place.partition("/")
        facts = {"cores": 2, "foreign_cores": cores, "disturbed": True, "disturbance": "other processes"}
        (root / name / "real" / repetition / "environment.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("repetitions", "said"),
    [
        ({"a/0": 1.2}, "1 of 4 real runs was disturbed (a): other processes used 1.2 of 2 cores meanwhile"),
        (
            {"a/0": 1.2, "a/1": 0.54, "b/0": 1.0, "b/1": 1.0},
            "All 4 real runs were disturbed: other processes used 0.54 to 1.2 of 2 cores meanwhile",
        ),
        ({}, None),
    ],
)
def test_disturbed_runs_are_told_in_one_sentence(tmp_path: Path, repetitions: dict[str, float], said: str) -> None:
    root = write_runs(tmp_path, (Toy("a", count=20), Toy("b", count=20)), repetitions=2)
    disturb(root, repetitions)
    assert facts.disturbance(load_runs(root)) == said


def test_a_model_without_measured_parameters_is_told(tmp_path: Path) -> None:
    root = write_runs(tmp_path, (Toy("one", count=20),), repetitions=1)
    assert not facts.uncalibrated(load_runs(root))
    file = root / "one" / "sim" / "0" / "environment.json"
    file.write_text('{"model": {"profile": "round figures, not calibrated"}}')
    assert facts.uncalibrated(load_runs(root))


def test_the_date_is_that_of_the_runs_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    runs = load_runs(write_runs(tmp_path, (Toy("one", count=20),), repetitions=1))
    assert facts.build_timestamp(runs) == 1772600767
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000")
    assert facts.build_timestamp(runs) == 1000
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(ReportError, match="SOURCE_DATE_EPOCH"):
        facts.build_timestamp(runs)


def test_a_commit_with_changes_is_marked(tmp_path: Path) -> None:
    root = write_runs(tmp_path, (Toy("one", count=20),), repetitions=1)
    assert facts.commit_of(load_runs(root)) == "0123456789ab"
    assert facts.commit_of(with_environment(root, uncommitted_changes=True)) == "0123456789ab*"
