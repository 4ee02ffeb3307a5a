"""Hears when components come to life and when their leases end, with the moment of each.

A watch, not a look now and then: a worker that was killed is back after a quarter of a second, and a busy machine that
looks only then would see no death at all.
"""

import queue
import time
from types import TracebackType
from typing import Self

from core.etcd.store import EtcdStore
from core.etcd.watch import Watcher
from core.kv import keys
from core.kv.requests import Change, Found, Get
from core.machine.messages import Changes, Message, Watch
from experiments.world import ExperimentError

PATIENCE_S = 60.0


class Register:
    """Of the components in a namespace, by name; moments are those of `time.monotonic`.

    Each wait takes up where the one before it ended: what has happened in between is not lost.
    """

    def __init__(self, endpoints: str, namespace: str) -> None:
        self._store = EtcdStore(endpoints, namespace)
        self._heard: queue.SimpleQueue[tuple[float, Change]] = queue.SimpleQueue()
        self._watcher = Watcher(self._store, self._take)

    def __enter__(self) -> Self:
        """Raises ExperimentError where etcd does not answer."""
        found = self._store.call(Get("", count_only=True))
        if not isinstance(found, Found):
            self._store.close()
            raise ExperimentError(f"etcd does not answer: {found}")
        for prefix in (keys.SCHEDULER, keys.WORKER):
            self._watcher.watch(Watch(prefix, prefix, keys.prefix_end(prefix), found.revision + 1))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._watcher.close()
        self._store.close()

    def _take(self, message: Message) -> None:
        now = time.monotonic()
        if isinstance(message, Changes):
            for change in message.changes:
                self._heard.put((now, change))

    def appears(self, name: str) -> float:
        """The moment at which a component of this name is next registered. Raises ExperimentError."""
        return self._wait(name, gone=False)

    def vanishes(self, name: str) -> float:
        """Likewise, at which its lease ends."""
        return self._wait(name, gone=True)

    def _wait(self, name: str, *, gone: bool) -> float:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                moment, change = self._heard.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                what = "end" if gone else "register"
                raise ExperimentError(
                    f"{name}, which was to be measured, did not {what} in {PATIENCE_S:.0f} s"
                ) from None
            _, _, component = change.key.partition("/")
            if component.rpartition(".")[0] == name and change.deleted is gone and (gone or change.version == 1):
                return moment
