"""Mistakes and garbage: one clear sentence and an exit code, and nothing is lost."""

import socket
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from etcd3.etcdrpc import rpc_pb2, rpc_pb2_grpc
from typer.testing import CliRunner

from core.cli import app
from core.client import Client
from core.etcd.embedded import EmbeddedEtcd
from core.kv import keys
from core.model import MAX_PAYLOAD_BYTES
from core.settings import SchedulerSettings, WorkerSettings
from tests.cluster import Cluster, Ledger, tandem

NOWHERE = "127.0.0.1:1"
TASK_ID = "01a20a43eafa73e3a7971f0b21a43b29"
COMMANDS = (("status",), ("submit",), ("scheduler",), ("task", TASK_ID), ("up",))


def sentence(*arguments: str, code: int) -> str:
    """What a mistake makes a command say: one line on stderr, nothing on stdout. Runs in this process: it is faster."""
    done = CliRunner().invoke(app, arguments, env={"TANDEM_ETCD_ENDPOINTS": None, "TANDEM_NAMESPACE": None})
    assert done.exit_code == code, done
    assert done.stdout == ""
    assert done.stderr.startswith("tandem: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return str(done.stderr)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_no_etcd(command: tuple[str, ...]) -> None:
    text = sentence(*command, "--etcd-endpoints", NOWHERE, code=3)
    assert f"no etcd answers at {NOWHERE}" in text
    assert "--etcd-endpoints host:port" in text


def test_no_etcd_for_a_worker() -> None:
    """Its nanny does not try again and again what never worked."""
    done = tandem("worker", "--etcd-endpoints", NOWHERE)
    assert done.returncode == 3
    assert done.stderr.startswith(f"tandem: no etcd answers at {NOWHERE}")
    assert done.stderr.count("\n") == 1, done.stderr


def test_something_else_at_the_endpoint() -> None:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        endpoint = f"127.0.0.1:{mute.getsockname()[1]}"
        assert f"no etcd answers at {endpoint}" in sentence("status", "--etcd-endpoints", endpoint, code=3)


class OldEtcd(rpc_pb2_grpc.MaintenanceServicer):  # type: ignore[misc]
    def Status(self, request: object, context: object) -> object:  # noqa: ARG002
        return rpc_pb2.StatusResponse(version="3.3.27")


@pytest.fixture
def old_etcd() -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    rpc_pb2_grpc.add_MaintenanceServicer_to_server(OldEtcd(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_old_etcd(old_etcd: str) -> None:
    text = sentence("status", "--etcd-endpoints", old_etcd, code=3)
    assert "etcd 3.3.27" in text
    assert "needs 3.4 or newer" in text


MISTAKES = [
    (("status", "--etcd-endpoints", "host:99999"), "'99999' is not a port from 1 to 65535"),
    (("scheduler", "--etcd-endpoints", ":2379"), "'' is not a host name or address"),
    (("status", "--namespace", "x"), "namespace 'x' must start with '/'"),
    (("submit", "--payload", "{"), "--payload is not JSON"),
    (("submit", "--queue", "a/b"), "queue 'a/b' is not a valid name"),
    (("submit", "--type", "a b"), "task type 'a b' is not a valid name"),
    (("worker", "--queue", "a/b"), "queue 'a/b' is not a valid name"),
    (("worker", "--name", "a/b"), "worker 'a/b' is not a valid name"),
    (("scheduler", "--name", "a/b"), "scheduler 'a/b' is not a valid name"),
    (("worker", "--app", "nosuchmodule:app"), "No module named 'nosuchmodule'"),
    (("up", "--app", "nosuchmodule:app"), "No module named 'nosuchmodule'"),
    (("worker", "--app", "broken:app"), "--app 'broken:app': ZeroDivisionError"),
    (("worker", "--app", "broken"), "not of the form module:name"),
    (("worker", "--app", "os:path"), "path is no Handlers object in os"),
    (("scheduler", "--placement", "best"), "placement 'best' is neither one of least_loaded nor of the form"),
    (("up", "--placement", "broken:app"), "placement 'broken:app': ZeroDivisionError"),
    (("scheduler", "--config", "typo.toml"), "typo.toml: Object contains unknown field `windw` - at `$.scheduler`"),
    (("up", "--config", "typo.toml"), "unknown field `windw` - at `$.scheduler`"),
    (("worker", "--config", "malformed.toml"), "malformed.toml: "),
    (("worker", "--config", "short.toml"), "Expected `float` >= 2.0 - at `$.worker.lease_ttl_s`"),
    (("worker", "--config", "absent.toml"), "cannot read settings file absent.toml: No such file"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "broken.py").write_text("app = 1 / 0\n")
    (folder / "typo.toml").write_text("[scheduler]\nwindw = 1\n")
    (folder / "malformed.toml").write_text("[worker\n")
    (folder / "short.toml").write_text("[worker]\nlease_ttl_s = 0.5\n")
    return folder


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=lambda value: value if isinstance(value, str) else "")
def test_mistakes(arguments: tuple[str, ...], words: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    if arguments[0] != "up" and "--etcd-endpoints" not in arguments:
        arguments = (*arguments, "--etcd-endpoints", NOWHERE)
    if arguments[0] == "worker":
        arguments = (*arguments, "--nanny-fd", "0")  # as its nanny calls it
    assert words in sentence(*arguments, code=2)


# --- garbage under the namespace ---

GARBAGE_ID = "f" * 32
BEHIND_ALL = "9" * 13
GARBAGE: dict[bytes, bytes] = {
    **{f"{prefix}not-ours".encode(): b"\x00\xff garbage" for prefix in ("ready/", "run/", "later/", "task/", "dead/")},
    **{f"{prefix}!".encode(): b"" for prefix in ("ready/", "run/", "later/", "task/", "worker/", "scheduler/")},
    b"worker/intruder": b"[1, 2, 3]",
    b"scheduler/intruder": b'{"kind": "worker", "name": 5}',
    b"worker/\xff\xfe": b'{"kind": "worker", "name": "x", "slots": 5}',
    f"ready/default/5/{GARBAGE_ID}".encode(): b"not json",
    f"ready/default/0/{'0' * 32}".encode(): b'{"kind": "nothing of ours"}',
    b"ready/\xff/5/" + GARBAGE_ID.encode(): b'{"kind": "marker"}',
    f"ready/default/5/{GARBAGE_ID}/more".encode(): b"{}",
    f"run/gone.1/{GARBAGE_ID}".encode(): b"\xff",
    f"run/gone.1/{'e' * 32}".encode(): b'{"kind": "task", "spec": {"id": "x", "type": "y"}}',
    f"later/{'0' * 13}/{GARBAGE_ID}".encode(): b"[" * 5000,
    f"later/{'9' * 400}/{GARBAGE_ID}".encode(): b"{}",
    f"later/{'9' * 5000}/{GARBAGE_ID}".encode(): b"{}",
    f"task/{GARBAGE_ID}".encode(): b'"a string"',
    f"task/{'e' * 32}".encode(): b'{"kind": "marker"}',
    f"dead/default/{GARBAGE_ID}".encode(): b"",
    b"zebra": b"unknown prefix",
    b"aardvark/1": b"unknown prefix",
    b"\xff\x00\xff": b"not text at all",
    b"": b"the namespace itself",
}


def write(cluster: Cluster, garbage: dict[bytes, bytes]) -> None:
    stub = rpc_pb2_grpc.KVStub(cluster.store.channel)
    for key, value in garbage.items():
        stub.Put(rpc_pb2.PutRequest(key=cluster.namespace.encode() + key, value=value), timeout=10)


def untouched(cluster: Cluster, garbage: dict[bytes, bytes]) -> None:
    stub = rpc_pb2_grpc.KVStub(cluster.store.channel)
    for key, value in garbage.items():
        found = stub.Range(rpc_pb2.RangeRequest(key=cluster.namespace.encode() + key), timeout=10).kvs
        assert [(kv.value, kv.version) for kv in found] == [(value, 1)], key


@pytest.mark.parametrize("dispatch", ["watch", pytest.param("poll", marks=pytest.mark.slow_faults)])
def test_garbage_under_the_namespace(etcd: EmbeddedEtcd, namespace: str, dispatch: str) -> None:
    """Before the start and while everything runs: it is named and left alone, and all tasks complete."""
    worker = WorkerSettings(lease_ttl_s=2.0, slots=2, dispatch=dispatch, poll_interval_s=0.1)  # type: ignore[arg-type]
    scheduler = SchedulerSettings(lease_ttl_s=2.0, dispatch=dispatch, reconcile_interval_s=0.1)  # type: ignore[arg-type]
    with Cluster(",".join(etcd.endpoints), namespace, worker=worker, scheduler=scheduler) as cluster:
        half = len(GARBAGE) // 2
        before, after = dict(list(GARBAGE.items())[half:]), dict(list(GARBAGE.items())[:half])
        write(cluster, before)
        with Client(cluster.endpoints, namespace=cluster.namespace) as client:
            retried = client.submit("fail", {"times": 1}, max_attempts=2)
            cluster.start("scheduler-1", "worker-1")
            write(cluster, after)
            (worker_id,) = cluster.ids("worker-1")
            mine = {keys.run(worker_id, GARBAGE_ID).encode(): b"garbage for this very worker"}
            write(cluster, mine)
            handles = client.submit_many("echo", range(50))
            assert [handle.result(30) for handle in handles] == list(range(50))
            assert retried.result(30) == {"times": 1}
        done = tandem("status", "--etcd-endpoints", cluster.endpoints, "--namespace", cluster.namespace, "--json")
        assert done.returncode == 0, done.stderr
        foreign = cluster.look().foreign
        named = {key.decode("utf-8", "backslashreplace") for key in (*GARBAGE, *mine)}
        assert named == set(foreign)
        text = tandem("status", "--etcd-endpoints", cluster.endpoints, "--namespace", cluster.namespace)
        assert text.returncode == 0, text.stderr
        assert f"{len(named)} keys under {cluster.namespace} are not Tandem's" in text.stdout
        untouched(cluster, {**GARBAGE, **mine})
        cluster.drain()
        for name in cluster.processes:
            assert "Traceback" not in cluster.log(name)


def test_unknown_task_type(etcd: EmbeddedEtcd, namespace: str) -> None:
    """Most often a typing mistake: refused with the list of what there is, and submitted all the same if asked."""
    with Cluster(",".join(etcd.endpoints), namespace) as cluster:
        cluster.start("worker-1")
        where = ("--etcd-endpoints", cluster.endpoints, "--namespace", cluster.namespace)
        text = sentence("submit", "--type", "ecko", *where, code=2)
        assert "no live worker has a handler for 'ecko' (there are: cpu, echo, fail, sleep)" in text
        assert cluster.look().ready == {}
        too_large = "x" * (MAX_PAYLOAD_BYTES - 1)
        assert f"{MAX_PAYLOAD_BYTES} are allowed" in sentence("submit", "--payload", f'"{too_large}"', *where, code=2)
        assert cluster.look().ready == {}
        assert CliRunner().invoke(app, ["submit", "--type", "ecko", "--force", *where]).exit_code == 0
        assert cluster.look().ready == {"default": 1}
        assert cluster.look().unserved == ("ecko",)
        waits = CliRunner().invoke(app, ["submit", "--type", "echo", *where])
        assert "no scheduler is there: what is submitted waits until one comes" in waits.stderr
        cluster.drain()


def test_another_clusters_keys_are_none_of_ours(etcd: EmbeddedEtcd, namespace: str) -> None:
    """Two namespaces, one the beginning of the other's name, don't see each other."""
    with Cluster(",".join(etcd.endpoints), f"/{namespace}/") as one, Cluster(one.endpoints, f"/{namespace}-2/") as two:
        with Client(one.endpoints, namespace=one.namespace) as client, Ledger(one.store):
            client.submit("echo")
        assert one.look().ready == {"default": 1}
        assert two.look().ready == {}
        assert not one.look().foreign
