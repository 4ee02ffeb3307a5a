"""What real processes recorded, replayed through fresh machines: the same code gives the same commands."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from core.client import Client
from core.etcd.embedded import EmbeddedEtcd
from core.machine.replay import replay
from core.settings import Dispatch, SchedulerSettings, WorkerSettings
from tests.cluster import TTL_S, Cluster, until

COUNT = 200
PATIENCE_S = 40.0


def steps(lines: list[bytes]) -> Iterator[tuple[str, list[str]]]:
    """The kinds of event and commands of each step."""
    for line in lines[1:]:
        event, _, commands = msgspec.json.decode(line)
        yield event["type"], [command["type"] for command in commands]


def record(etcd: EmbeddedEtcd, namespace: str, folder: Path, dispatch: Dispatch) -> dict[str, list[bytes]]:
    """Run two schedulers and two workers through failures, large payloads, a crash and a drain: their recordings."""
    scheduler = SchedulerSettings(lease_ttl_s=TTL_S, dispatch=dispatch, window=64, poll_interval_s=0.05)
    worker = WorkerSettings(lease_ttl_s=TTL_S, slots=4, dispatch=dispatch, poll_interval_s=0.05)
    endpoints = ",".join(etcd.endpoints)
    names = ("scheduler-1", "scheduler-2", "worker-1", "worker-2")
    with Cluster(endpoints, namespace, scheduler=scheduler, worker=worker) as cluster:
        for name in names:
            cluster.start(name, more=("--record-file", str(folder / name)))
        with Client(endpoints, namespace=cluster.namespace) as client:
            handles = client.submit_many("echo", [None] * COUNT)
            handles += client.submit_many("fail", [{"times": 1}] * 5, max_attempts=2)
            handles += client.submit_many("echo", ["x" * 10_000] * 5)
            handles += client.submit_many("sleep", [{"duration_s": 0.3}] * 8, priority=0)
            until(lambda: cluster.look().running > 0, "tasks to run")
            before = cluster.ids("worker-2")
            cluster.worker_process("worker-2").kill()
            for handle in handles:
                handle.result(PATIENCE_S)
        until(lambda: cluster.ids("worker-2") not in ([], before), "the nanny to start worker-2 again")
        cluster.drain()
        return {name: (folder / name).read_bytes().splitlines(keepends=True) for name in names}


@pytest.mark.parametrize("dispatch", ["watch", "poll"])
def test_real_recordings_replay_without_a_difference(
    etcd: EmbeddedEtcd, namespace: str, tmp_path: Path, dispatch: Dispatch
) -> None:
    recordings = record(etcd, namespace, tmp_path, dispatch)
    seen: Counter[str] = Counter()
    for name, lines in recordings.items():
        # The crashed worker's successor appends a recording of its own.
        starts = [number for number, line in enumerate(lines) if line.startswith(b'{"machine"')]
        assert len(starts) == (2 if name == "worker-2" else 1)
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            part = lines[start:end]
            count, mismatch = replay(part)
            assert mismatch is None, f"{name}: {mismatch}"
            assert count == len(part) - 1
            for event, commands in steps(part):
                seen.update([event, *commands])
    # Else the comparison above would be of nothing.
    for kind in ("AssignDone", "CompleteDone", "TasksFetched", "PromoteDone", "RequeueDone", "Drain", "Stop"):
        assert seen[kind], f"the recordings hold no {kind}: {seen}"

    lines = recordings["scheduler-1"]
    assigning = next(number for number, line in enumerate(lines) if number and b'"type":"Assign"' in line)
    event, moment, commands = msgspec.json.decode(lines[assigning])
    for command in commands:
        if command["type"] == "Assign":
            command["batch"] += 1
    tampered = [*lines[:assigning], msgspec.json.encode([event, moment, commands]) + b"\n", *lines[assigning + 1 :]]
    _, mismatch = replay(tampered)
    assert mismatch is not None
    assert mismatch.step == assigning
    assert mismatch.recorded != mismatch.replayed


def test_a_line_that_was_cut_by_a_kill_is_left_out(etcd: EmbeddedEtcd, namespace: str, tmp_path: Path) -> None:
    with Cluster(",".join(etcd.endpoints), namespace) as cluster:
        cluster.start("scheduler-1", more=("--record-file", str(tmp_path / "recording")))
        cluster.drain()
    lines = (tmp_path / "recording").read_bytes().splitlines(keepends=True)
    assert replay([*lines[:3], lines[3][:-10]]) == (2, None)
