"""Whoever is told to wait for etcd does so, says so, and gives up when told."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from core.etcd.embedded import EmbeddedEtcd
from core.etcd.errors import EtcdUnreachable
from core.runtime import waiting
from core.runtime.waiting import wait_for_etcd
from tests.cluster import PATIENCE_S, environment, tandem


@pytest.fixture
def late(etcd: EmbeddedEtcd) -> Iterator[tuple[str, threading.Event]]:
    """An address where nobody listens until the event is set; from then on, connections are passed on to etcd."""
    door = socket.socket()
    door.bind(("127.0.0.1", 0))
    opened = threading.Event()
    sockets = [door]

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def serve() -> None:
        opened.wait()
        try:
            door.listen()
            while True:
                ours, _ = door.accept()
                host, _, port = etcd.endpoints[0].rpartition(":")
                theirs = socket.create_connection((host, int(port)))
                sockets.extend((ours, theirs))
                for pair in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()
        except OSError:
            return

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    yield f"127.0.0.1:{door.getsockname()[1]}", opened
    opened.set()
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
    server.join(PATIENCE_S)


def test_it_waits_until_etcd_serves_and_says_so(late: tuple[str, threading.Event]) -> None:
    endpoints, opened = late
    said: list[str] = []

    def tell(text: str) -> None:
        said.append(text)
        opened.set()  # it has noticed: now etcd may come

    wait_for_etcd(endpoints, PATIENCE_S, tell)
    assert len(said) == 2
    assert "does not serve yet; waiting up to" in said[0]
    assert endpoints in said[0]
    assert "serves, after" in said[1]


def test_it_says_nothing_where_etcd_is_there(etcd: EmbeddedEtcd) -> None:
    said: list[str] = []
    wait_for_etcd(",".join(etcd.endpoints), PATIENCE_S, said.append)
    assert not said


def test_it_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "TELL_EVERY_S", 0.1)
    monkeypatch.setattr(waiting, "LOOK_EVERY_S", 0.01)
    said: list[str] = []
    with pytest.raises(EtcdUnreachable, match=r"127\.0\.0\.1:1"):
        wait_for_etcd("127.0.0.1:1", 0.5, said.append)
    assert len(said) >= 3  # not only at the start


def test_a_mistake_in_the_endpoints_is_not_waited_for() -> None:
    with pytest.raises(ValueError, match="not a host name"):
        wait_for_etcd("a b", PATIENCE_S, lambda _: None)


def test_submit_scheduler_and_worker_wait(late: tuple[str, threading.Event], namespace: str) -> None:
    """All three are started before etcd; the client says what it waits for, and gets its result."""
    endpoints, opened = late
    where = ("--etcd-endpoints", endpoints, "--namespace", f"/{namespace}/", "--etcd-wait", str(PATIENCE_S))
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "core.cli", kind, *where], env=environment(), stderr=subprocess.PIPE, text=True
        )
        for kind in ("scheduler", "worker")
    ]
    try:
        first = [process.stderr.readline() for process in processes if process.stderr is not None]
        assert all("does not serve yet" in line for line in first), first
        opened.set()
        done = tandem("submit", "--wait", "--count", "3", *where, timeout_s=PATIENCE_S)
        assert done.returncode == 0, done.stderr
        assert "3 succeeded" in done.stdout
    finally:
        for process in processes:
            process.terminate()
        codes = [process.wait(PATIENCE_S) for process in processes]
        for process in processes:
            if process.stderr is not None:
                process.stderr.close()
    assert codes == [0, 0]


def test_a_mistake_in_the_order_shows_before_the_wait() -> None:
    done = tandem("submit", "--payload", "{", "--etcd-endpoints", "127.0.0.1:1", "--etcd-wait", str(10 * PATIENCE_S))
    assert done.returncode == 2
    assert "not JSON" in done.stderr
