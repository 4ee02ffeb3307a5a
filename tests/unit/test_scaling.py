"""A profile at another machine's speed: every cost is multiplied, once, by the right number, and nothing else is."""

import pytest

from experiments.calibration import scaling, server
from experiments.calibration.cells import Seen
from experiments.calibration.scaling import DISK, ETCD, KEPT, PYTHON, STARTS, Factors, compare, multiplied
from sim.parameters import REFERENCE, Parameter, Values, load

FACTORS = Factors(python=2.0, etcd=3.0, disk=5.0, latency=7.0)


def test_every_parameter_of_the_model_is_in_one_group() -> None:
    groups = (PYTHON, ETCD, DISK, STARTS, KEPT)
    assert sorted(name for group in groups for name in group) == sorted(Values.__struct_fields__)


def test_the_reference_holds_the_cells() -> None:
    assert {cell.name for cell in scaling.CELLS} <= {row["cell"] for row in load(REFERENCE).about["cells"]}


def test_costs_are_multiplied_and_say_so() -> None:
    known = load(REFERENCE)
    started = Parameter(0.5, "s", "measured", "now")
    got = multiplied(known, FACTORS, {}, {"worker_start_s": started})
    before, after = known.values(), got.values()
    assert after.send_s == pytest.approx(2 * before.send_s, rel=1e-3)
    assert after.etcd_apply_s == pytest.approx(3 * before.etcd_apply_s, rel=1e-3)
    assert after.etcd_fsync_s == pytest.approx(5 * before.etcd_fsync_s, rel=1e-3)
    assert after.write_times[0].quantiles_s[3] == pytest.approx(7 * before.write_times[0].quantiles_s[3], rel=1e-3)
    assert (after.cold_idle_s, after.etcd_fsync_residuals) == (before.cold_idle_s, before.etcd_fsync_residuals)
    assert after.worker_start_s == 0.5, "measured"
    assert after.scheduler_start_s == pytest.approx(2 * before.scheduler_start_s, rel=1e-3), "not measured"
    assert got.parameters["send_s"].source.endswith("; scaled by 2.00")
    assert got.parameters["cold_idle_s"] == known.parameters["cold_idle_s"]


def test_factors_are_those_between_the_cells() -> None:
    """Twice the client's and three times the server's CPU time, five times the disk's time, half the speed."""
    seen = {
        cell: Seen((0.002,) * 4, client_cpu_s=0.001, server_cpu_s=0.002, puts_per_fsync=1.0, fsync_s=0.0005)
        for cell in scaling.CELLS
    }
    here = [server.row(cell, one) for cell, one in seen.items()]
    there = [
        row
        | {"client_cpu_ms": 0.5, "etcd_cpu_ms": 2 / 3, "p50_ms": 1.0, "fsync_ms": 0.1 if "8 x" not in str(row) else 9.0}
        for row in here
    ]
    there[2] |= {"fsync_ms": 0.001}  # one slow fsync in a cell that has few
    got = compare(there, seen)
    assert (got.python, got.etcd, got.disk, got.latency) == pytest.approx((2.0, 3.0, 5.0, 2.0), abs=2e-3)
    with pytest.raises(KeyError):
        compare(there[1:], seen)
