"""A slow disk: flushes wait as long as asked, each by itself; the helper goes with its program."""

import json
import subprocess
import sys
import time

import psutil
import pytest

from core.etcd import slow_flush
from core.etcd.binary import EtcdServerError, Server
from core.etcd.embedded import EmbeddedEtcd
from core.etcd.store import EtcdStore
from core.kv.requests import Put, Txn
from core.model import SchedulerRecord
from experiments import etcd_metrics

DELAY_S = 0.05
GONE_TIMEOUT_S = 20.0

PROGRAM = """
import json, os, sys, tempfile, threading, time

def took(call):
    before = time.perf_counter()
    call()
    return time.perf_counter() - before

with tempfile.TemporaryFile() as file:
    def write():
        os.write(file.fileno(), b"x")
    def together():
        threads = [threading.Thread(target=os.fdatasync, args=(file.fileno(),)) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    found = {"pid": os.getpid(), "write": took(write), "fsync": took(lambda: os.fsync(file.fileno())),
             "fdatasync": took(lambda: os.fdatasync(file.fileno())), "together": took(together)}
print(json.dumps(found), flush=True)
sys.stdin.read()
"""


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(slow_flush.command(DELAY_S, [*argv]), check=False, capture_output=True, text=True, timeout=20)


def helpers_of(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children() if "--serve" in child.cmdline()]


@pytest.fixture(scope="module", autouse=True)
def supported() -> None:
    if not slow_flush.supported():
        pytest.skip(slow_flush.UNSUPPORTED)


def test_every_flush_waits_by_itself_and_nothing_else_does() -> None:
    argv = slow_flush.command(DELAY_S, [sys.executable, "-c", PROGRAM])
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        found = json.loads(program.stdout.readline())
        assert found["pid"] == program.pid
        (helper,) = helpers_of(psutil.Process(program.pid))
        program.kill()
        psutil.wait_procs([helper], timeout=GONE_TIMEOUT_S)
        assert not helper.is_running()
    assert found["write"] < DELAY_S
    assert found["fsync"] >= DELAY_S
    assert found["fdatasync"] >= DELAY_S
    assert DELAY_S <= found["together"] < 4 * DELAY_S


def test_an_unknown_program_is_a_sentence() -> None:
    done = run("/no/such/program")
    assert (done.returncode, done.stderr) == (1, "cannot run /no/such/program: No such file or directory\n")


def test_etcd_on_a_slow_disk(durable_server: Server) -> None:
    """Its own account of its fsyncs says so, also after a restart."""
    with EmbeddedEtcd(server=durable_server, flush_delay_s=DELAY_S) as etcd:
        for _ in range(2):
            before = etcd_metrics.read_all({"etcd-1": etcd.metrics_url()})
            store = EtcdStore(etcd.endpoints[0], "/slow/")
            try:
                began = time.monotonic()
                store.call(Txn((), (Put("one", SchedulerRecord("one")),)))
                assert time.monotonic() - began >= DELAY_S
            finally:
                store.close()
            after = etcd_metrics.read_all({"etcd-1": etcd.metrics_url()})
            (member,) = etcd_metrics.between(before, after)
            fsyncs, fsync_s = member.used(lambda at: at.fsyncs), member.used(lambda at: at.fsync_s)
            assert fsyncs
            assert fsync_s is not None
            assert fsync_s >= DELAY_S * fsyncs
            etcd.restart()
        helpers = helpers_of(psutil.Process(etcd.pid()))
        assert len(helpers) == 1
    psutil.wait_procs(helpers, timeout=GONE_TIMEOUT_S)
    assert not helpers[0].is_running()


def test_where_it_is_not_possible_the_error_says_so(durable_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: float, argv: list[str]) -> list[str]:
        program = "import platform, runpy, sys; platform.machine = lambda: 'riscv64'; sys.argv = sys.argv[1:]; "
        program += "runpy.run_path(sys.argv[0], run_name='__main__')"
        return [sys.executable, "-I", "-S", "-c", program, slow_flush.__file__, "0.01", *argv]

    monkeypatch.setattr(slow_flush, "command", never)
    with pytest.raises(EtcdServerError, match="flushes cannot be delayed here"):
        EmbeddedEtcd(server=durable_server, flush_delay_s=0.01)
