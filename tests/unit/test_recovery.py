"""From a fault to the restart of what was lost by it."""

import math

import pandas as pd
import pytest

from experiments import recovery
from experiments.schema import Fault

DEATHS = (
    Fault(kind="host_kill", at_s=5.0, target="worker-2"),
    Fault(kind="host_kill", at_s=1.0, target="worker-1"),
)


def attempts(*rows: tuple[int, int, bool, str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["index", "attempt", "final", "outcome", "worker", "started"])


ROWS = attempts(
    (0, 1, False, "lost", "worker-1", 0.5),
    (0, 2, True, "succeeded", "worker-2", 3.2),
    (1, 1, False, "lost", "", math.nan),  # assigned to a dead worker: nobody received it
    (1, 2, True, "succeeded", "worker-2", 3.5),
    (2, 1, False, "lost", "worker-2", math.nan),
    (2, 2, True, "succeeded", "worker-1", 7.0),
    (3, 1, False, "retried", "worker-1", 0.6),  # failed and tried again: no loss
    (3, 2, True, "succeeded", "worker-1", 4.9),
    (4, 1, True, "succeeded", "worker-1", 0.1),
)


def test_recovery_ends_when_the_last_lost_task_has_started_again() -> None:
    assert recovery.until_all(ROWS, DEATHS) == pytest.approx((2.5 + 2.0) / 2)
    assert recovery.until_all(ROWS[ROWS["index"] < 2], DEATHS) == pytest.approx(2.5)  # nothing lost with the second
    assert recovery.until_all(ROWS[ROWS["index"] == 4], DEATHS) is None
    assert recovery.until_all(ROWS, ()) is None


def test_figures_are_over_the_lost_tasks() -> None:
    assert recovery.figures(ROWS, DEATHS) == pytest.approx({"p50": 2.2, "p95": 2.47, "max": 2.5})
    assert recovery.figures(ROWS, ()) == {"p50": None, "p95": None, "max": None}


def test_a_task_belongs_to_the_fault_on_its_own_worker() -> None:
    soon = (DEATHS[1], Fault(kind="worker_kill", at_s=3.0, target="worker-2"))
    found = recovery.restarts(ROWS[ROWS["index"] == 0], soon)
    assert found[["fault", "recovery_s"]].to_numpy().tolist() == [[0, pytest.approx(2.2)]]
    nobody = recovery.restarts(ROWS[ROWS["index"] == 1], soon)
    assert nobody[["fault", "recovery_s"]].to_numpy().tolist() == [[1, pytest.approx(0.5)]]


def test_a_loss_that_no_fault_explains_does_not_count() -> None:
    elsewhere = attempts((0, 1, False, "lost", "worker-3", 0.5), (0, 2, True, "succeeded", "worker-1", 9.0))
    assert recovery.until_all(elsewhere, DEATHS) is None


def test_a_restart_that_is_lost_in_its_turn_before_it_starts_goes_on() -> None:
    rows = attempts(
        (0, 1, False, "lost", "worker-1", 0.5),
        (0, 2, False, "lost", "", math.nan),
        (0, 3, True, "succeeded", "worker-3", 6.0),
    )
    assert recovery.restarts(rows, DEATHS[1:])["recovery_s"].tolist() == [5.0]  # once, although it was lost twice
    both = recovery.restarts(rows, DEATHS).sort_values("fault")
    assert both.to_numpy().tolist() == [[0, 5.0], [1, 1.0]]  # each fault cost it an attempt


@pytest.mark.parametrize(
    ("kind", "counts"), [("worker_kill", True), ("worker_stop", True), ("partition", True), ("worker_drain", False)]
)
def test_workers_that_hang_or_are_cut_off_lose_tasks_too(kind: str, counts: bool) -> None:
    fault = Fault(kind=kind, at_s=1.0, target="worker-1")  # type: ignore[arg-type]
    assert (recovery.until_all(ROWS[ROWS["index"] == 0], [fault]) is not None) == counts


def test_a_trace_read_from_a_file_is_as_good() -> None:
    """Its names come back as categories."""
    rows = ROWS.astype({"worker": "category", "outcome": "category"})
    assert recovery.figures(rows, DEATHS) == recovery.figures(ROWS, DEATHS)
