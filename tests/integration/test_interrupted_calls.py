"""A Ctrl-C at any moment of a call to etcd leaves a connection that can be closed."""

import subprocess
import sys

import pytest

from core.etcd.embedded import EmbeddedEtcd
from tests.docs.pages import ROOT

INTERRUPTED = """
import os, random, signal, sys, threading, time
from core.etcd.store import EtcdStore
from core.kv.requests import Get
random.seed(1)
signal.signal(signal.SIGINT, signal.default_int_handler)
for _ in range(60):
    store = EtcdStore(sys.argv[1], "/interrupted/")
    store.call(Get("a", "b"))
    timer = threading.Timer(random.random() * 0.004, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()  # on a busy machine it may be over before we are back
        while True:
            store.call(Get("a", "b"))
            time.sleep(0.0002)
    except KeyboardInterrupt:
        pass
    timer.join()
    closing = threading.Thread(target=store.close, daemon=True)
    closing.start()
    closing.join(5)
    if closing.is_alive():
        print("a connection cannot be closed", flush=True)
        os._exit(1)
"""


@pytest.mark.timeout(60)
def test_a_connection_can_be_closed_whenever_a_call_was_interrupted(etcd: EmbeddedEtcd) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, ",".join(etcd.endpoints)],
        cwd=ROOT, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
