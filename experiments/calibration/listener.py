"""A process that watches and does nothing else, as a component does that waits: when does it hear of a change?

It may be told to answer: each change then makes it write one key, as a component does that is woken by a change.

Says {"watching": true} at the start and, for each line it reads, {"heard": [...]}: the moments of all changes since the
last one (seconds of the clock that all processes of a machine share). The line says whether it answers from then on:
{"answers": true}. It ends with its parent.
"""

import json
import queue
import sys
import threading
import time
from typing import Any

from core.etcd.store import EtcdStore
from core.etcd.watch import Watcher
from core.kv import keys
from core.kv.requests import Put, Response, Txn
from core.machine.messages import Changes, Message, Watch
from core.model import Marker, TaskSpec
from experiments.calibration.transactions import ID
from experiments.child import Child

TIMEOUT_S = 20.0
ANSWER = Txn((), (Put(keys.done(ID), Marker(TaskSpec(ID, "echo"))),))
"""Of a size with the puts that are heard of, under a key that nobody watches."""


class Listener(Child):
    """The other end. Raises ExperimentError where it does not answer."""

    def __init__(self, endpoints: str, namespace: str) -> None:
        super().__init__("the process that watches", __name__, endpoints, namespace)
        self.hear(TIMEOUT_S)

    def moments(self, *, answers: bool) -> list[float]:
        """When it heard of each change since it was last asked. Whether it answers those that come."""
        self.say({"answers": answers})
        heard: list[float] = self.hear(TIMEOUT_S)["heard"]
        return heard


def main(endpoints: str, namespace: str) -> None:
    """Watch until the parent goes."""
    inbox: queue.SimpleQueue[Message | Response] = queue.SimpleQueue()
    store = EtcdStore(endpoints, namespace)
    watcher = Watcher(store, inbox.put)
    moments: list[float] = []
    answers = False

    def take() -> None:  # a component's machine has a thread of its own, too
        while True:
            event = inbox.get()
            if isinstance(event, Changes):
                moments.extend([time.perf_counter()] * len(event.changes))
                if answers:
                    for _ in event.changes:
                        store.send(ANSWER, inbox.put)  # the machine hears of the outcome

    threading.Thread(target=take, name="machine", daemon=True).start()
    watcher.watch(Watch("task", "task/", "task0", 0))
    _say({"watching": True})
    for line in sys.stdin:
        answers = json.loads(line)["answers"]
        heard, moments[:] = list(moments), []
        _say({"heard": heard})
    watcher.close()
    store.close()


def _say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
