from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import metrics
from experiments.metrics import LATENCIES, Counts, figure, of_repetition, summarise
from experiments.trace import MOMENTS, STAGES

NONE = pd.DataFrame({"time_s": [], "component": [], "cpu_s": [], "rss_bytes": []})


def trace_of(commits: list[float], *, intended: list[float] | None = None, service_s: float = 1.0) -> pd.DataFrame:
    """Tasks that are started a second before they are committed and spend no time anywhere else but waiting."""
    count = len(commits)
    frame = pd.DataFrame({moment: np.array(commits) - 1.0 for moment in MOMENTS})
    for moment in ("finished", "committed", "observed"):
        frame[moment] = np.array(commits)
    for moment in ("intended", "submitted", "enqueued"):
        frame[moment] = np.zeros(count) if intended is None else np.array(intended)
    frame["index"] = range(count)
    frame["final"] = True
    frame["outcome"] = "succeeded"
    frame["service_s"] = service_s
    return frame


def counts(**more: int) -> Counts:
    return Counts(**({"submitted": 0, "lost": 0, "executed_twice": 0, "committed_twice": 0} | more))


def waves(slots: int, number: int, period_s: float) -> list[float]:
    return [period_s * (1 + wave) for wave in range(number) for _ in range(slots)]


@pytest.mark.parametrize("number", [5, 10, 20])
def test_waves_of_one_second_on_thirty_slots_make_thirty_a_second(number: int) -> None:
    result = of_repetition(trace_of(waves(30, number, 1.0)), NONE, counts(), slots=30)
    assert result["steady_throughput_per_s"] == pytest.approx(30.0)
    assert result["slot_efficiency"] == pytest.approx(1.0)
    assert result["throughput_per_s"] == pytest.approx(30.0)
    assert result["makespan_s"] == pytest.approx(number)


def test_a_slot_that_waits_half_as_long_as_it_works_is_two_thirds_efficient() -> None:
    result = of_repetition(trace_of(waves(10, 5, 1.5)), NONE, counts(), slots=10)
    assert result["steady_throughput_per_s"] == pytest.approx(20 / 3)
    assert result["slot_efficiency"] == pytest.approx(2 / 3)


def test_a_late_straggler_does_not_change_the_steady_figure() -> None:
    commits = [index / 100 for index in range(1000)]
    late = [*commits[:-1], 500.0]
    steady = [
        of_repetition(trace_of(each), NONE, counts(), slots=1)["steady_throughput_per_s"] for each in (commits, late)
    ]
    assert steady[0] == steady[1] == pytest.approx(100.0)


def test_latencies_leave_out_the_warm_up() -> None:
    slow_start = trace_of([9.0, 9.0, 11.0, 12.0], intended=[0.0, 1.0, 10.0, 11.0])
    total = of_repetition(slow_start, NONE, counts(), slots=1, warmup_s=5.0)["latency_s"]["total"]
    assert total["mean"] == total["p50"] == total["p99"] == 1.0


def test_stages_of_the_mean_add_up_to_the_mean_total() -> None:
    result = of_repetition(trace_of([1.0, 2.0, 5.0]), NONE, counts(), slots=1)["latency_s"]
    assert tuple(result) == LATENCIES
    assert sum(result[stage]["mean"] for stage in STAGES) == pytest.approx(result["total"]["mean"])
    assert result["overhead"]["mean"] == pytest.approx(result["total"]["mean"] - 1.0)
    assert result["dispatch"]["mean"] == pytest.approx(np.mean([0.0, 1.0, 4.0]))


def test_unfinished_tasks_are_not_completed_and_count_as_submitted() -> None:
    trace = trace_of([1.0, 2.0])
    trace.loc[1, "outcome"] = ""
    trace.loc[1, ["committed", "observed"]] = np.nan
    result = of_repetition(trace, NONE, counts(submitted=2, lost=1), slots=1)
    assert (result["submitted"], result["completed"], result["lost"]) == (2, 1, 1)
    assert result["makespan_s"] == 1.0
    assert result["steady_throughput_per_s"] is None


def test_tasks_that_failed_are_completed_and_counted_as_failed() -> None:
    trace = trace_of([1.0, 2.0, 3.0])
    trace.loc[1, "outcome"] = "failed"
    result = of_repetition(trace, NONE, counts(submitted=3), slots=1)
    assert (result["completed"], result["failed"]) == (3, 1)


def test_nothing_completed_gives_nulls_not_nans(tmp_path: Path) -> None:
    trace = trace_of([1.0])
    trace["outcome"] = ""
    summary = summarise([of_repetition(trace, NONE, counts(submitted=1), slots=1)])
    assert summary["throughput_per_s"] == {"value": None, "low": None, "high": None, "n": 0}
    metrics.write({"real": summary}, tmp_path / "metrics.json")
    assert "NaN" not in (tmp_path / "metrics.json").read_text()
    assert metrics.read(tmp_path / "metrics.json")["real"] == summary


def test_zero_service_time_has_no_slot_bound() -> None:
    result = of_repetition(trace_of(waves(10, 5, 0.1), service_s=0.0), NONE, counts(), slots=10)
    assert result["slot_efficiency"] is None
    assert result["steady_throughput_per_s"] == pytest.approx(100)


def test_cpu_is_the_growth_over_the_run_by_component() -> None:
    resources = pd.DataFrame(
        [
            (0.0, "worker-1", 5.0, 10e6),
            (0.0, "worker-2", 1.0, 20e6),
            (0.0, "etcd-1", 7.0, 50e6),
            (9.0, "worker-1", 6.0, 30e6),
            (9.0, "worker-2", 1.5, 20e6),
            (9.0, "etcd-1", 9.5, 40e6),
        ],
        columns=["time_s", "component", "cpu_s", "rss_bytes"],  # as in runs of old
    )
    result = of_repetition(trace_of(waves(10, 5, 1.0)), resources, counts(), slots=10)
    assert result["cpu_s_per_1000"] == pytest.approx(4.0 * 1000 / 50)
    assert result["cpu_s_per_1000_of"]["worker"] == pytest.approx(1.5 * 1000 / 50)
    assert result["cpu_share_of"]["worker"] == pytest.approx(1 / 9)  # of the busiest
    assert result["rss_peak_mb_of"] == {"client": None, "scheduler": None, "worker": 30.0, "etcd": 50.0}
    assert set(result["pss_peak_mb_of"].values()) == {None}
    assert set(result["disk_write_bytes_per_task_of"].values()) == {None}


def test_memory_by_share_and_bytes_written_for_each_task() -> None:
    nan = float("nan")
    resources = pd.DataFrame(
        [
            (0.0, "worker-1", 0.0, 10e6, 8e6, 0.0, 1000.0),
            (0.0, "worker-2", 0.0, 10e6, 9e6, 0.0, 0.0),
            (2.0, "worker-1", 0.5, 30e6, nan, 0.0, 1500.0),
            (4.0, "worker-1", 1.0, 20e6, 12e6, 0.0, 6000.0),
            (4.0, "worker-2", 3.0, 20e6, 11e6, 0.0, 5000.0),
        ],
        columns=list(metrics.RESOURCE_COLUMNS),
    )
    result = of_repetition(trace_of(waves(10, 5, 1.0)), resources, counts(), slots=10)
    assert result["pss_peak_mb_of"] == {"client": None, "scheduler": None, "worker": 12.0, "etcd": None}
    assert result["disk_write_bytes_per_task_of"]["worker"] == pytest.approx(10_000 / 50)
    assert result["cpu_share_of"]["worker"] == pytest.approx(0.75)


def test_the_longest_queue_counts_what_is_acknowledged_and_not_started() -> None:
    trace = trace_of([2.0, 3.0, 4.0, 5.0], intended=[0.0, 0.5, 0.9, 3.5])  # started a second before
    assert of_repetition(trace, NONE, counts(), slots=1)["queue_depth_max"] == 3
    trace.loc[0, "enqueued"] = np.nan  # the call stands in for the acknowledgement
    assert of_repetition(trace, NONE, counts(), slots=1)["queue_depth_max"] == 3
    trace.loc[2, ["enqueued", "submitted"]] = np.nan  # never submitted
    assert of_repetition(trace, NONE, counts(), slots=1)["queue_depth_max"] == 2


def test_a_task_that_is_run_again_waited_once() -> None:
    trace = trace_of([2.0, 3.0, 9.0], intended=[0.0, 0.0, 0.0])
    trace["index"], trace["final"] = [0, 1, 1], [True, False, True]
    assert of_repetition(trace, NONE, counts(), slots=1)["queue_depth_max"] == 2


def test_tasks_that_never_start_wait_for_ever() -> None:
    trace = trace_of([2.0, 3.0, 9.0], intended=[0.0, 0.0, 5.0])
    trace.loc[1, "started"] = np.nan
    assert of_repetition(trace, NONE, counts(), slots=1)["queue_depth_max"] == 2
    assert of_repetition(trace[:0], NONE, counts(), slots=1)["queue_depth_max"] is None


def test_interval_is_students_t() -> None:
    assert figure([10.0]) == {"value": 10.0, "low": None, "high": None, "n": 1}
    got = figure([9.0, 10.0, 11.0])
    assert got["n"] == 3
    assert got["high"] - got["value"] == pytest.approx(4.302653 / 3**0.5, rel=1e-6)  # t table: 2 degrees, 97.5 %
    assert got["value"] - got["low"] == pytest.approx(got["high"] - got["value"])
    assert figure([None, 3.0])["n"] == 1


def test_summary_sums_counts_and_averages_figures() -> None:
    each = [
        of_repetition(trace_of(waves(10, 5, period)), NONE, counts(submitted=50), slots=10) for period in (1.0, 2.0)
    ]
    summary = summarise(each)
    assert (summary["submitted"], summary["completed"]) == (100, 100)
    assert summary["makespan_s"]["value"] == pytest.approx(7.5)
    assert summary["latency_s"]["total"]["p50"]["n"] == 2
