import math
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from core.machine.messages import TRACE_COLUMNS
from experiments import trace
from experiments.trace import COLUMNS, MOMENTS, STAGES, SpoolError, Spools, Tasks, join, read_spool, stages

A, B = "a" * 32, "b" * 32


def tasks(ids: list[str], **more: object) -> Tasks:
    count = len(ids)
    fields = {"intended": np.full(count, 100.0), "service_s": np.ones(count), "priority": np.full(count, 5)}
    return Tasks(ids=ids, **(fields | more))  # type: ignore[arg-type]


def spool_of(task_id: str, times: tuple[float, ...], attempt: int = 1) -> Spools:
    """One task that did it all, with ten moments (the first, intended, is not in a spool)."""
    _, submitted, enqueued, assign_sent, assigned, received, started, finished, committed, observed = times
    spools = Spools()
    spools.add("client-1", "submitted", [(task_id, attempt, (submitted, enqueued))])
    spools.add("scheduler-1", "assigned", [(task_id, attempt, (assign_sent, assigned))])
    spools.add("worker-1", "received", [(task_id, attempt, (received,))])
    spools.add("worker-1", "executed", [(task_id, attempt, (started, finished))])
    spools.add("worker-1", "committed", [(task_id, attempt, (committed,))])
    spools.add("client-1", "observed", [(task_id, attempt, (observed,))])
    return spools


def test_one_task_has_every_moment_counted_from_the_start() -> None:
    times = tuple(100.0 + step for step in range(10))
    joined = join(spool_of(A, times), tasks([A], outcomes={A: ("succeeded", 1)}), start=100.0)
    row = joined.trace.iloc[0]
    assert tuple(joined.trace.columns) == COLUMNS
    assert [row[moment] for moment in MOMENTS] == list(range(10))
    assert (row["worker"], row["scheduler"], row["outcome"], row["final"]) == (
        "worker-1",
        "scheduler-1",
        "succeeded",
        True,
    )
    assert (joined.executed_twice, joined.committed_twice) == (0, 0)


def test_a_watch_that_beats_the_acknowledgement_counts_and_the_raw_value_stays() -> None:
    #        intended submitted enq  sent assigned recv started fin  committed observed
    times = (100.0, 101.0, 104.0, 103.0, 107.0, 105.0, 106.0, 108.0, 110.0, 109.0)
    row = join(spool_of(A, times), tasks([A]), start=100.0).trace.iloc[0]
    assert (row["enqueued"], row["enqueued_raw"]) == (3.0, 4.0)
    assert (row["assigned"], row["assigned_raw"]) == (5.0, 7.0)
    assert (row["committed"], row["committed_raw"]) == (9.0, 10.0)
    assert all(stages(join(spool_of(A, times), tasks([A]), start=100.0).trace)[list(STAGES)].iloc[0] >= 0)


def test_stages_add_up_exactly() -> None:
    rng = np.random.default_rng(1)
    ids = [f"{number:032x}" for number in range(1000)]
    start = 123_456.789
    moments = start + np.cumsum(rng.exponential(0.1, (1000, 10)), axis=1)
    spools = Spools()
    for kind, columns in TRACE_COLUMNS.items():
        picked = moments[:, [MOMENTS.index(column) for column in columns]]
        spools.add("x-1", kind, [(ids[i], 1, tuple(picked[i])) for i in range(1000)])
    result = stages(join(spools, tasks(ids, intended=moments[:, 0]), start).trace)
    for row, total in zip(result[list(STAGES)].to_numpy(), result["total"], strict=True):
        left_to_right = 0.0
        for value in row:
            left_to_right += value
        assert left_to_right == total
        assert math.fsum(row) == total
    assert (result["overhead"] + result["execution"] == result["total"]).all()


def test_a_killed_workers_moments_are_null_and_the_second_attempt_is_final() -> None:
    spools = spool_of(A, tuple(110.0 + step for step in range(10)), attempt=2)
    spools.add("scheduler-1", "assigned", [(A, 1, (102.0, 103.0))])
    spools.add("worker-2", "received", [(A, 1, (104.0,))])
    joined = join(spools, tasks([A], outcomes={A: ("succeeded", 2)}), start=100.0)
    first, second = joined.trace.iloc[0], joined.trace.iloc[1]
    assert (first["outcome"], first["worker"], first["final"]) == ("lost", "worker-2", False)
    assert np.isnan(first["finished"])
    assert np.isnan(first["observed"])
    assert (second["outcome"], second["final"], second["observed"]) == ("succeeded", True, 19.0)
    assert (joined.executed_twice, joined.committed_twice) == (0, 0)


def test_an_execution_whose_result_came_too_late_is_counted() -> None:
    spools = spool_of(A, tuple(110.0 + step for step in range(10)), attempt=2)
    spools.add("worker-2", "executed", [(A, 1, (104.0, 105.0))])
    joined = join(spools, tasks([A]), start=100.0)
    assert (joined.executed_twice, joined.committed_twice) == (1, 0)


def test_a_retry_after_a_failure_is_no_second_execution() -> None:
    spools = spool_of(A, tuple(110.0 + step for step in range(10)), attempt=2)
    spools.add("worker-2", "executed", [(A, 1, (104.0, 105.0))])
    spools.add("worker-2", "committed", [(A, 1, (106.0,))])
    joined = join(spools, tasks([A]), start=100.0)
    assert joined.trace["outcome"].iloc[0] == "retried"
    assert (joined.executed_twice, joined.committed_twice) == (0, 0)


def test_a_second_commit_of_one_attempt_is_counted() -> None:
    spools = spool_of(A, tuple(110.0 + step for step in range(10)))
    spools.add("worker-2", "committed", [(A, 1, (121.0,))])
    assert join(spools, tasks([A]), start=100.0).committed_twice == 1


def test_a_task_that_nobody_saw_still_has_a_row_and_foreign_tasks_have_none() -> None:
    joined = join(spool_of(B, tuple(range(10))), tasks([A]), start=100.0)
    assert joined.trace["id"].tolist() == [A]
    assert joined.trace["submitted"].isna().all()


def test_handed_back_and_assigned_again_keeps_the_assignment_that_counted() -> None:
    spools = spool_of(A, tuple(110.0 + step for step in range(10)))
    spools.add("scheduler-2", "assigned", [(A, 1, (104.0, 105.0))])
    row = join(spools, tasks([A]), start=100.0).trace.iloc[0]
    assert (row["assign_sent"], row["scheduler"]) == (13.0, "scheduler-1")


def test_closed_load_is_due_when_it_is_submitted() -> None:
    joined = join(
        spool_of(A, tuple(100.0 + step for step in range(10))), tasks([A], intended=np.array([np.nan])), 100.0
    )
    assert joined.trace["intended"].iloc[0] == 1.0


def line(kind: str, rows: list[object]) -> bytes:
    return msgspec.json.encode({"component": "worker-1", "kind": kind, "rows": rows}) + b"\n"


def test_spool_files_are_read_and_a_truncated_last_line_is_dropped(tmp_path: Path) -> None:
    whole = line("executed", [[A, 1, [104.0, 105.0]]])
    (tmp_path / "worker-1.spool.jsonl").write_bytes(whole + line("executed", [[B, 1, [1.0, 2.0]]])[:-20])
    spools = Spools()
    spools.read(tmp_path)
    result = join(spools, tasks([A, B]), start=100.0).trace
    assert result["started"].iloc[0] == 4.0
    assert np.isnan(result["started"].iloc[1])


@pytest.mark.parametrize("damage", [b"\x00\xff\n", b'{"component": "w", "kind": "naps", "rows": []}\n'])
def test_damage_before_the_last_line_is_an_error_that_names_the_line(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "worker-1.spool.jsonl"
    path.write_bytes(damage + line("executed", []))
    with pytest.raises(SpoolError, match=r"worker-1\.spool\.jsonl, line 1"):
        list(read_spool(path))


def test_parquet_is_the_same_bytes_twice_and_reads_back(tmp_path: Path) -> None:
    frame = join(spool_of(A, tuple(100.0 + step for step in range(10))), tasks([A, B]), 100.0).trace
    trace.write(frame, tmp_path / "one.parquet")
    trace.write(frame.copy(), tmp_path / "two.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    again = trace.read(tmp_path / "one.parquet")
    assert list(again.columns) == list(COLUMNS)
    assert again["observed"].iloc[0] == 9.0
    assert pd.isna(again["observed"].iloc[1])
    assert again["worker"].tolist() == ["worker-1", ""]
