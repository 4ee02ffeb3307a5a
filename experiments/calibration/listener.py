"""A process that watches and does nothing else, as a component does that waits: when does it hear of a change?

Speaks JSON lines: {"watching": true} at the start; for each line it reads, the moments of all changes since the last
one (seconds of the clock that all processes of a machine share). It ends with its parent.
"""

import json
import queue
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Any, Self

from core.etcd.store import EtcdStore
from core.etcd.watch import Watcher
from core.machine.messages import Changes, Message, Watch
from experiments.components import ROOT
from experiments.world import ExperimentError

TIMEOUT_S = 20.0


class Listener:
    """The other end: starts the process, asks it, ends it."""

    def __init__(self, endpoints: str, namespace: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "experiments.calibration.listener", endpoints, namespace],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._hear, name="listener", daemon=True).start()
        self._answer()

    def moments(self) -> list[float]:
        """When it heard of each change since it was last asked."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return list(self._answer())

    def _answer(self) -> Any:
        """Raises ExperimentError where it does not answer."""
        try:
            said = self._said.get(timeout=TIMEOUT_S)
        except queue.Empty:
            said = None
        if said is None:
            raise ExperimentError("the process that watches does not answer")
        return said

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(json.loads(line))
        self._said.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def main(endpoints: str, namespace: str) -> None:
    """Watch until the parent goes."""
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    store = EtcdStore(endpoints, namespace)
    watcher = Watcher(store, inbox.put)
    moments: list[float] = []

    def take() -> None:  # a component's machine has a thread of its own, too
        while True:
            event = inbox.get()
            if isinstance(event, Changes):
                moments.extend([time.perf_counter()] * len(event.changes))

    threading.Thread(target=take, name="machine", daemon=True).start()
    watcher.watch(Watch("task", "task/", "task0", 0))
    _say({"watching": True})
    for _ in sys.stdin:
        heard, moments[:] = list(moments), []
        _say(heard)
    watcher.close()
    store.close()


def _say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
