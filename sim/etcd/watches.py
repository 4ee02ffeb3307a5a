"""Watches: who is told what, and when.

A watcher is told `etcd_watch_delay_s` after a change, whatever has come together by then, as one message that takes
`etcd_watch_s` + `etcd_watch_item_s` n + `etcd_watch_byte_s` m of a core, with m bytes of payload. The resynchronising
of watchers that fall far behind (etcd keeps 1,024 messages for each stream) is not modelled: Tandem's consumers stay
far above that.
"""

from typing import Protocol

from core.kv.memory import MemoryKv
from core.kv.requests import Change, Refused
from core.machine.messages import Watch
from sim.etcd.cores import Cores
from sim.etcd.sizes import told_bytes
from sim.kernel import Kernel, call_in
from sim.parameters import Values


class Connection(Protocol):
    """A client's side of the watches and of the connection itself (`sim.link`)."""

    def watched(self, name: str, watcher: int, changes: tuple[Change, ...], revision: int) -> None: ...
    def broken(self) -> None: ...
    def restored(self) -> None: ...


class Watches:
    """All open watches, by the number that the store gave them."""

    def __init__(self, kernel: Kernel, cores: Cores, values: Values, kv: MemoryKv) -> None:
        self._kernel = kernel
        self._cores = cores
        self._values = values
        self._kv = kv
        self._open: dict[int, tuple[Connection, str]] = {}
        self._life = 0

    def open(self, connection: Connection, command: Watch) -> int | Refused:
        """Its number; Refused where the revision is compacted."""
        watcher = self._kv.watch(command.key, command.end, command.revision, puts=command.puts, deletes=command.deletes)
        if isinstance(watcher, int):
            self._open[watcher] = (connection, command.name)
        return watcher

    def close(self, watcher: int) -> None:
        self._open.pop(watcher, None)
        self._kv.unwatch(watcher)

    def close_all(self, connection: Connection) -> None:
        for watcher in [one for one, (owner, _) in self._open.items() if owner is connection]:
            self.close(watcher)

    def changed(self, watcher: int) -> None:
        """A watcher that had nothing to hear has something."""
        call_in(self._kernel, self._values.etcd_watch_delay_s, self._tell, watcher, self._life)

    def _tell(self, watcher: int, life: int) -> None:
        known = self._open.get(watcher)
        if known is None or life != self._life:
            return
        changes, revision = self._kv.drain(watcher)
        connection, name = known
        values = self._values
        cost_s = values.etcd_watch_s + values.etcd_watch_item_s * len(changes)
        cost_s += values.etcd_watch_byte_s * told_bytes(changes)
        self._cores.use(cost_s, connection.watched, name, watcher, changes, revision)

    def kill(self) -> None:
        """The server is gone, and every watch with it."""
        self._life += 1
        for watcher in list(self._open):
            self.close(watcher)
