"""The figures show what the data say, whatever the data."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports import selection
from reports.figures import burst, latency, scaling
from reports.figures.style import COLOUR, save
from reports.runs import load_runs
from tests.unit.reports_synthetic import Toy, write_runs


def trace(**moments: list[float]) -> pd.DataFrame:
    columns = ("submitted", "enqueued", "started", "finished", "committed")
    return pd.DataFrame({name: moments.get(name, [np.nan] * len(moments["submitted"])) for name in columns})


def test_queue_depth_is_the_time_average_of_waiting_and_running_tasks() -> None:
    # Two tasks: one waits 0..2 and runs 2..6, the other waits 0..4 and runs 4..8.
    data = burst.depth(trace(submitted=[0, 0], enqueued=[0, 0], started=[2, 4], finished=[6, 8], committed=[6, 8]), 4)
    assert data["time_s"].tolist() == [1, 3, 5, 7]
    assert data["waiting"].tolist() == [2, 1, 0, 0]
    assert data["running"].tolist() == [0, 1, 2, 1]


def test_queue_depth_survives_killed_processes() -> None:
    data = burst.depth(trace(submitted=[0, 1], enqueued=[np.nan, 1], started=[1, np.nan], finished=[4, np.nan]), 4)
    assert data["waiting"].tolist() == pytest.approx([1, 1, 1, 1])
    assert data["running"].tolist() == pytest.approx([0, 1, 1, 1])


def test_the_curve_passes_through_the_quantiles() -> None:
    values, shares = latency.curve(pd.Series(range(1, 1001)))
    assert values[np.searchsorted(shares, 0.5)] == pytest.approx(500, abs=3)
    assert (values[-1], shares[-1]) == (1000, 1)
    assert (np.diff(values) >= 0).all()


def test_stage_means_leave_out_the_execution_and_add_up_to_the_overhead(tmp_path: Path) -> None:
    toys = (Toy("latency-watch", count=50, rate_per_s=50.0, service_s=0.05),)
    one = load_runs(write_runs(tmp_path, toys, repetitions=1)).scenarios["latency-watch"]
    means = latency.stage_means([one])
    overhead = one.get("real", "latency_s.overhead.mean")
    assert overhead is not None
    assert "execution" not in means.columns
    assert means.loc[("watch", "real")].sum() == pytest.approx(overhead.value)


def test_real_and_model_keep_their_colours_and_both_are_drawn(tmp_path: Path) -> None:
    toys = (Toy("scaling-1", 1, count=20), Toy("scaling-3", count=60))
    runs = load_runs(write_runs(tmp_path, toys, repetitions=2))
    left = scaling.figure(scaling.points(selection.scaling(runs))).axes[0]
    lines = {str(line.get_label()): line for line in left.get_lines()}
    drawn: dict[str, Any] = {str(bars.get_label()): bars[0] for bars in left.containers}
    assert drawn["watch, real"].get_color() == COLOUR["real"]
    assert drawn["watch, model"].get_color() == COLOUR["sim"]
    assert drawn["watch, real"].get_marker() != drawn["watch, model"].get_marker()
    assert np.asarray(lines["slot bound"].get_ydata()).tolist() == [10.0, 30.0]


def test_a_saved_figure_depends_on_nothing_but_its_data(tmp_path: Path) -> None:
    data = {("watch", "real"): pd.Series([0.001, 0.002]), ("poll", "sim"): pd.Series([0.1, 0.3])}
    first, second = (save(latency.ecdf(data), tmp_path / f"{n}.svg").read_bytes() for n in range(2))  # type: ignore[arg-type]
    assert first == second
    assert b"<dc:date>" not in first
    assert b"<text" not in first


def test_a_burst_of_tasks_without_duration_shows_completions(tmp_path: Path) -> None:
    toys = (Toy("burst", count=100), Toy("burst-short", count=200, service_s=0.0))
    runs = load_runs(write_runs(tmp_path, toys, repetitions=1))
    panels = burst.figure(list(runs.scenarios.values())).axes
    assert [axes.get_ylabel() for axes in panels[2:]] == ["tasks running", "completed (tasks/s)"]
    drawn = panels[3].get_lines()[0].get_ydata()
    completed = burst.rate(next(runs.scenarios["burst-short"].traces("real")))["completed_per_s"]
    assert np.asarray(drawn).tolist() == completed.tolist()


def test_completions_per_second_add_up_to_all_tasks() -> None:
    data = burst.rate(trace(submitted=[0, 0, 0], committed=[1, 2, 2]), 4)
    assert data["time_s"].tolist() == [0.25, 0.75, 1.25, 1.75]
    assert (data["completed_per_s"] * 0.5).tolist() == [0, 0, 1, 2]


def test_the_distributions_have_a_panel_for_each_mode_that_no_straggler_flattens() -> None:
    usual = pd.Series(np.linspace(0.001, 0.01, 999))
    values = {("watch", "real"): pd.concat([usual, pd.Series([5.0])]), ("poll", "sim"): usual * 50}
    watch, poll = latency.ecdf(values).axes  # type: ignore[arg-type]
    assert watch.get_xlim()[1] < 15
    assert 400 < poll.get_xlim()[1] < 600
