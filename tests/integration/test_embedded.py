"""The embedded server against real processes: data survives kills, and nothing is left behind however we end."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.etcd import embedded
from core.etcd.binary import EtcdServerError, Origin, Server
from core.etcd.embedded import EmbeddedEtcd
from core.etcd.host import free_ports, listens

GONE_TIMEOUT_S = 20.0

PARENT = """
import signal, sys
from core.etcd.embedded import EmbeddedEtcd

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, by all descendants
with EmbeddedEtcd() as etcd:
    print(etcd.pid(), etcd.directory, flush=True)
    if sys.argv[1] == "raise":
        raise RuntimeError("crash")
    if sys.argv[1] == "hang":
        signal.pause()
"""


def call(etcd: EmbeddedEtcd, path: str, body: dict[str, Any], member: int = 1) -> dict[str, Any]:
    """One call of etcd's JSON gateway: independent of our own client."""
    host, _, port = etcd.endpoints[member - 1].partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request("POST", path, json.dumps(body))
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    assert isinstance(answer, dict)
    return answer


def put_once_elected(etcd: EmbeddedEtcd, key: str, value: str, member: int) -> None:
    """The member that was killed may have led: until there is another leader, etcd refuses."""
    deadline = time.monotonic() + 20.0
    while True:
        try:
            put(etcd, key, value, member)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def put(etcd: EmbeddedEtcd, key: str, value: str, member: int = 1) -> None:
    text = {"key": b64encode(key.encode()).decode(), "value": b64encode(value.encode()).decode()}
    assert "header" in call(etcd, "/v3/kv/put", text, member)


def get(etcd: EmbeddedEtcd, key: str, member: int = 1) -> str | None:
    answer = call(etcd, "/v3/kv/range", {"key": b64encode(key.encode()).decode()}, member)
    return b64decode(answer["kvs"][0]["value"]).decode() if "kvs" in answer else None


@pytest.fixture
def own(durable_server: Server) -> Iterator[EmbeddedEtcd]:
    with EmbeddedEtcd(server=durable_server) as server:
        yield server


def test_killed_and_restarted_it_has_its_data_and_its_address(own: EmbeddedEtcd) -> None:
    endpoints, first = own.endpoints, own.pid()
    for number in range(50):
        put(own, f"key-{number}", "value")
    own.kill()
    assert not own.running()
    assert not psutil.pid_exists(first)
    own.restart()
    assert own.endpoints == endpoints
    assert own.pid() != first
    assert [get(own, f"key-{number}") for number in range(50)] == ["value"] * 50


def test_it_is_started_as_promised(etcd: EmbeddedEtcd) -> None:
    arguments = psutil.Process(etcd.pid()).cmdline()
    for wanted in ("--auto-compaction-mode=periodic", "--auto-compaction-retention=1m", "--max-txn-ops=4096"):
        assert wanted in arguments
    assert not any("unsafe" in argument for argument in arguments)
    key = b64encode(b"max-txn-ops").decode()
    reads = [{"requestRange": {"key": key}}] * etcd.max_txn_ops
    assert call(etcd, "/v3/kv/txn", {"success": reads})["succeeded"]
    assert "too many operations" in call(etcd, "/v3/kv/txn", {"success": [*reads, reads[0]]})["error"]


def test_a_stopped_member_stands_still_at_once(own: EmbeddedEtcd) -> None:
    """Without waiting for it, one in 400 is still running: so many tries find that nine times in ten."""
    process = psutil.Process(own.pid())
    for _ in range(1000):
        own.stop()
        assert process.status() == psutil.STATUS_STOPPED
        own.resume()


def test_a_stopped_member_hangs_and_a_resumed_one_answers(own: EmbeddedEtcd) -> None:
    own.stop()
    assert psutil.Process(own.pid()).status() == psutil.STATUS_STOPPED
    assert own.running()
    answered = threading.Event()

    def write() -> None:
        put(own, "late", "but here")
        answered.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert not answered.wait(0.3)
    own.resume()
    assert answered.wait(10)
    thread.join()
    assert get(own, "late") == "but here"


def test_a_cluster_works_without_one_of_its_members(durable_server: Server) -> None:
    with EmbeddedEtcd(members=3, server=durable_server) as cluster:
        assert len(set(cluster.endpoints)) == 3
        cluster.stop(3)
        cluster.resume(3)
        cluster.kill(2)
        put_once_elected(cluster, "key", "written by two", member=1)
        cluster.restart(2)
        assert get(cluster, "key", member=2) == "written by two"
        leader = cluster.leader()
        assert leader is not None
        cluster.kill(leader)
        assert cluster.leader() != leader
        with pytest.raises(ValueError, match="numbered from 1 to 3"):
            cluster.pid(4)


def test_closing_ends_everything(durable_server: Server) -> None:
    server = EmbeddedEtcd(server=durable_server)
    watched = [psutil.Process(server.pid())]
    server.stop()  # a stopped server must not survive either
    server.close()
    server.close()
    assert_gone(watched, server.directory)


def assert_gone(processes: list[psutil.Process], directory: Path) -> None:
    """Waits for processes to end; the directory goes before the supervisor does, so it must be gone by then."""
    _, alive = psutil.wait_procs(processes, timeout=GONE_TIMEOUT_S)
    assert not alive
    assert not directory.exists()


def start_parent(behaviour: str) -> tuple[subprocess.Popen[str], list[psutil.Process], Path]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, behaviour],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    line = parent.stdout.readline()
    assert line, parent.communicate()[1]
    pid, directory = line.split()
    try:
        server = psutil.Process(int(pid))
        return parent, [server, *server.parents()[:1]], Path(directory)
    except psutil.NoSuchProcess:  # with "raise" it may be over already
        return parent, [], Path(directory)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_survives_a_killed_parent(number: signal.Signals) -> None:
    parent, children, directory = start_parent("hang")
    assert len(children) == 2
    assert directory.is_dir()
    parent.send_signal(number)
    parent.communicate(timeout=GONE_TIMEOUT_S)
    assert parent.returncode == -number
    assert_gone(children, directory)


def test_nothing_survives_ctrl_c() -> None:
    parent, children, directory = start_parent("hang")
    assert os.getpgid(children[0].pid) != parent.pid  # the terminal's signal goes to us alone: we may still need etcd
    os.killpg(parent.pid, signal.SIGINT)  # what a terminal does
    _, errors = parent.communicate(timeout=GONE_TIMEOUT_S)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert not directory.exists()  # removed before the parent ended
    assert_gone(children, directory)


def test_nothing_survives_an_exception() -> None:
    parent, children, directory = start_parent("raise")
    _, errors = parent.communicate(timeout=GONE_TIMEOUT_S)
    assert errors.rstrip().endswith("RuntimeError: crash")
    assert_gone(children, directory)


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux")
def test_a_killed_supervisor_takes_its_servers_along(durable_server: Server) -> None:
    with EmbeddedEtcd(server=durable_server) as server:
        process = psutil.Process(server.pid())
        process.parent().kill()
        psutil.wait_procs([process], timeout=GONE_TIMEOUT_S)
        assert not process.is_running()
        with pytest.raises(EtcdServerError, match="is gone"):
            server.restart()
    assert not server.directory.exists()


def test_ports_taken_by_others_are_left_to_them(etcd: EmbeddedEtcd, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other is an etcd too, and healthy: it must not be mistaken for ours."""
    taken = int(etcd.endpoints[0].partition(":")[2])
    offers = [[taken, free_ports(1)[0]], free_ports(2)]
    monkeypatch.setattr(embedded, "free_ports", lambda _: offers.pop(0))
    with EmbeddedEtcd() as second:
        assert not offers
        assert set(second.endpoints).isdisjoint(etcd.endpoints)
        assert listens(second.pid(), int(second.endpoints[0].partition(":")[2]))
    assert etcd.running()


def test_a_server_that_cannot_start_says_why(durable_server: Server, tmp_path: Path) -> None:
    with pytest.raises(EtcdServerError, match=r"ended at once with status .*(?s:.*)no-such-flag"):
        EmbeddedEtcd(server=durable_server, directory=tmp_path, flags=["--no-such-flag=1"])
    assert list(tmp_path.iterdir()) == []
    broken = Server(tmp_path / "missing", (3, 5, 16), Origin.ENVIRONMENT)
    with pytest.raises(EtcdServerError, match="No such file"):
        EmbeddedEtcd(server=broken, directory=tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(EtcdServerError, match="No such file"):
        EmbeddedEtcd(server=durable_server, directory=tmp_path / "missing")
