"""The load generator: it waits as long as tasks end, and gives up what does not, in both kinds of load."""

import json
import threading

import pytest
from msgspec import Raw

from core.client import Client
from core.etcd.embedded import EmbeddedEtcd
from core.model import TaskSpec
from experiments.load import Patience, submit_closed, wait_all
from tests.cluster import Cluster, until

QUIET_S, PATIENCE_S = 1.0, 30.0
SPECS = [TaskSpec(f"{number + 1:032x}", "echo") for number in range(5)]


def test_tasks_that_never_end_are_given_up(idle: Client, capfd: pytest.CaptureFixture[str]) -> None:
    idle.submit_specs(SPECS)
    assert wait_all(idle, len(SPECS), Patience(QUIET_S)) == 5
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert said[-1] == {"submitted": 5, "pending": 5}


def test_closed_load_of_tasks_that_never_end_is_given_up(idle: Client, capfd: pytest.CaptureFixture[str]) -> None:
    assert submit_closed(idle, SPECS, 2, Patience(QUIET_S)) == 5
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert said[-1] == {"submitted": 2, "pending": 2}


def test_closed_load_goes_on_as_long_as_tasks_end(etcd: EmbeddedEtcd, namespace: str) -> None:
    """Five tasks of 0.4 s in turn take twice as long as no single one may."""
    payload = Raw(b'{"duration_s": 0.4}')
    with Cluster(",".join(etcd.endpoints), namespace, slots=1) as cluster:
        cluster.start("scheduler-1", "worker-1")
        specs = [TaskSpec(spec.id, "echo", payload=payload) for spec in SPECS]
        with Client(cluster.endpoints, namespace=cluster.namespace) as client:
            assert submit_closed(client, specs, 3, Patience(QUIET_S)) == 0
        cluster.drain()


def test_the_end_of_the_client_is_not_taken_for_that_of_its_tasks(idle: Client) -> None:
    def close() -> None:
        until(lambda: idle.pending == 2, "both tasks are submitted")
        idle.close()

    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(RuntimeError, match="closed"):
        submit_closed(idle, SPECS[:2], 2, Patience(PATIENCE_S))
    closer.join(PATIENCE_S)


def test_patience_begins_anew_with_each_task_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    patience = Patience(10.0)
    lasts = []
    for now, ended in ((0.0, 0), (9.0, 0), (9.5, 1), (19.0, 1), (19.5, 1), (19.6, 2)):  # noqa: B007 - the clock's
        lasts.append(patience.lasts(ended))
    assert lasts == [True, True, True, True, False, True]
