"""How long the loss of a host goes unnoticed: until its lease has run out and etcd has looked.

The last keepalive before a kill at a random moment is between nothing and TTL / 3 old, evenly; etcd looks at leases
every 0.5 s, so an expired one waits for the rest of an interval, evenly. Time to detection = TTL - age + rest.
"""

import numpy as np
import pytest
from scipy import stats

from core.settings import SchedulerSettings, WorkerSettings
from sim.component import Component
from sim.config import Fault, SimConfig
from sim.run import simulate
from tests.sim.model import FREE, assert_within, free, load, moments, places

TTL_S = 4.0
RENEWAL_S = TTL_S / 3
LOOK_S = FREE.etcd_expiry_interval_s
WORKERS = 10
REPLICATIONS = 20
SHORTER, LONGER = min(LOOK_S, RENEWAL_S), max(LOOK_S, RENEWAL_S)
DETECTION = stats.trapezoid(
    SHORTER / (SHORTER + LONGER), LONGER / (SHORTER + LONGER), loc=TTL_S - RENEWAL_S, scale=RENEWAL_S + LOOK_S
)
"""TTL - age + rest: the sum of two independent uniform numbers has a trapezoid for its density."""


def detections(seed: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every host but the last is lost at a random moment; its task is assigned again when that is known."""
    rng = np.random.default_rng(seed)
    start = Component.start

    def late(self: Component, delay_s: float | None = None) -> None:
        start(self, float(rng.uniform(0.0, LOOK_S)))  # leases begin anywhere between two looks

    with monkeypatch.context() as patched:
        patched.setattr(Component, "start", late)
        kills = {f"worker-{number}": 1.0 + float(rng.uniform(0.0, 3 * RENEWAL_S)) for number in range(1, WORKERS)}
        result = simulate(
            SimConfig(
                load([1000.0] * WORKERS),
                workers=WORKERS,
                scheduler=SchedulerSettings(lease_ttl_s=3000.0),
                worker=WorkerSettings(lease_ttl_s=TTL_S),
                faults=[Fault("host_kill", at_s, worker) for worker, at_s in kills.items()],
                values=FREE,
                limit_s=20.0,
            )
        )
    first = places(result, "received")
    again = moments(result, "assigned", attempt=2)
    return [again[task_id] - kills[worker] for task_id, worker in first.items() if worker in kills]


def test_the_loss_of_a_host_is_noticed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [detections(seed, monkeypatch) for seed in range(REPLICATIONS)]
    assert [len(mine) for mine in times] == [WORKERS - 1] * REPLICATIONS
    everything = np.concatenate(times)
    assert everything.min() >= TTL_S - RENEWAL_S - 1e-9
    assert everything.max() <= TTL_S + LOOK_S + 1e-9
    assert stats.kstest(everything, DETECTION.cdf).pvalue > 0.01
    assert_within([float(np.mean(mine)) for mine in times], DETECTION.mean(), 0.03)
    assert np.isclose(DETECTION.mean(), TTL_S - RENEWAL_S / 2 + LOOK_S / 2)


STARTS = {"nanny_start_s": 1.0, "worker_start_s": 2.0, "nanny_revoke_s": 4.0, "nanny_restart_s": 0.25}


def test_a_nanny_revokes_once_there_is_a_leader_again() -> None:
    """The worker dies while etcd elects: its task runs again long before the lease of 60 s has run out."""
    faults = [Fault("etcd_kill", 2.0, "etcd-leader", 30.0), Fault("worker_kill", 2.2, "worker-1")]
    values = free(etcd_members=3, nanny_revoke_s=0.1, nanny_restart_s=0.1, worker_start_s=0.1)
    settings = WorkerSettings(lease_ttl_s=60.0)
    result = simulate(
        SimConfig(load([1000.0] * 2), workers=2, worker=settings, faults=faults, values=values, limit_s=20.0)
    )
    (again,) = moments(result, "assigned", attempt=2).values()
    assert 2.0 + 0.95 * values.etcd_election_timeout_s < again < 2.0 + 2 * values.etcd_election_timeout_s + 1.0


@pytest.mark.parametrize(("fault", "away_s"), [
    (Fault("worker_kill", 20.0, "worker-1"), 4.0 + 0.25 + 2.0),
    (Fault("host_kill", 20.0, "worker-1", 30.0), 30.0 + 1.0 + 2.0),
])  # fmt: skip
def test_only_a_host_that_comes_back_starts_a_nanny_too(fault: Fault, away_s: float) -> None:
    """A task that comes while the only worker is away waits for the next life of it."""
    one = load([0.5], [21.0])
    result = simulate(SimConfig(one, workers=1, faults=[fault], values=free(**STARTS)))
    (received,) = moments(result, "received").values()
    assert received == pytest.approx(20.0 + away_s, abs=1e-6)
