"""etcd as a service station around `core.kv.memory`, which gives the answers; here is how long they take.

A write passes: a core (decode, check) -> the write-ahead log, which takes whatever waits as one batch when the last
fsync has ended (group commit: T = a + b n for n operations) -> the apply loop, one entry after the other, a + b n of a
core -> the answer. A read waits until what was committed before it is applied, then takes a core. Watchers are told a
little later, whatever has come together by then. Leases are looked at every half second.

A kill answers every open request with `Unknown`. Of the batch in the log a random prefix has reached the disk, of what
was committed everything: it is applied at the restart, before anything else. So both fates of an unknown write occur.
With several members the log also waits for the round trip to a follower; elections are not modelled.
"""

import itertools
from collections import deque
from collections.abc import Callable
from typing import Protocol

from core.kv.memory import MemoryKv
from core.kv.requests import Change, EtcdRequest, Get, Grant, Refused, Response, Revoke, Txn, Unknown
from core.machine.messages import Watch
from sim.host import Host
from sim.kernel import Kernel, call_in
from sim.parameters import Values
from sim.streams import Stream

Reply = Callable[[Response], None]
LOG_LENGTH = 1_000_000
"""Changes that watchers may lag behind; a real server with retention of a minute keeps as many at 10,000/s or so."""


class Connection(Protocol):
    """A client's side of the watches and of the connection itself (`sim.link`)."""

    def watched(self, name: str, watcher: int, changes: tuple[Change, ...], revision: int) -> None: ...
    def broken(self) -> None: ...
    def restored(self) -> None: ...


class _Entry:
    __slots__ = ("items", "number", "request")

    def __init__(self, number: int, request: EtcdRequest, items: int) -> None:
        self.number = number
        self.request = request
        self.items = items


class EtcdStation:
    """The server (or the leader of a cluster). Times in seconds; `cpu_s` is what it has used."""

    def __init__(self, kernel: Kernel, host: Host, values: Values, residuals: Stream, kills: Stream) -> None:
        self.kernel = kernel
        self.values = values
        self.kv = MemoryKv(max_operations=values.max_operations, log_length=LOG_LENGTH, on_change=self._on_change)
        self.up = True
        self.cpu_s = 0.0
        self.fsyncs = 0
        self._host = host
        self._residuals = residuals
        self._kills = kills
        self._life = 0
        self._numbers = itertools.count(1)
        self._open: dict[int, Reply] = {}
        self._pending: deque[_Entry] = deque()
        self._writing: list[_Entry] = []
        self._committed: deque[_Entry | Callable[[], None]] = deque()  # entries, and reads that wait for them
        self._applying = False
        self._watchers: dict[int, tuple[Connection, str]] = {}
        self._connections: dict[Connection, None] = {}
        call_in(kernel, values.etcd_expiry_interval_s, self._expire)

    # --- what clients ask ---

    def request(self, request: EtcdRequest, reply: Reply) -> None:
        """A request has arrived. `reply` is called once when the answer leaves."""
        if not self.up:
            reply(Unknown("etcd is down"))
            return
        number = next(self._numbers)
        self._open[number] = reply
        items = size(request)
        cost_s = self.values.etcd_request_s + self.values.etcd_request_item_s * items
        after = self._propose if writes(request) else self._read
        self._use_core(cost_s, after, _Entry(number, request, items))

    def keep_alive(self, lease: int, reply: Callable[[float | None], None]) -> None:
        """Renew a lease; the answer is its TTL, 0 where it is gone, None where etcd is down."""
        if not self.up:
            reply(None)
            return
        life = self._life

        def renew() -> None:
            reply(self.kv.keep_alive(lease, self.kernel.now) if life == self._life else None)

        self._use_core(self.values.etcd_request_s, renew)

    def connect(self, connection: Connection) -> None:
        """Tell this client when the connection breaks and comes back."""
        self._connections[connection] = None

    def disconnect(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        for watcher in [one for one, (owner, _) in self._watchers.items() if owner is connection]:
            self.unwatch(watcher)

    def watch(self, connection: Connection, command: Watch) -> int | Refused | None:
        """Open a watch; its number, Refused where the revision is compacted, None where etcd is down."""
        if not self.up:
            return None
        watcher = self.kv.watch(command.key, command.end, command.revision, puts=command.puts, deletes=command.deletes)
        if isinstance(watcher, int):
            self._watchers[watcher] = (connection, command.name)
        return watcher

    def unwatch(self, watcher: int) -> None:
        self._watchers.pop(watcher, None)
        self.kv.unwatch(watcher)

    # --- writes ---

    def _propose(self, entry: _Entry) -> None:
        self._pending.append(entry)
        if not self._writing:
            self._write()

    def _write(self) -> None:
        self._writing = list(self._pending)
        self._pending.clear()
        self.fsyncs += 1
        call_in(self.kernel, self._fsync_s(sum(entry.items for entry in self._writing)), self._written, self._life)

    def _fsync_s(self, items: int) -> float:
        values = self.values
        seconds = values.etcd_fsync_s + values.etcd_fsync_item_s * items
        if values.etcd_fsync_residuals:
            seconds *= self._residuals.quantile(values.etcd_fsync_residuals)
        return seconds + (values.etcd_member_delay_s if values.etcd_members > 1 else 0.0)

    def _written(self, life: int) -> None:
        if life != self._life:
            return
        self._committed.extend(self._writing)
        self._writing = []
        if self._pending:
            self._write()
        self._apply_next()

    def _apply_next(self) -> None:
        while self._committed and not self._applying:
            head = self._committed[0]
            if isinstance(head, _Entry):
                self._applying = True
                cost_s = self.values.etcd_apply_s + self.values.etcd_apply_item_s * head.items
                self._use_core(cost_s, self._apply)
            else:
                self._committed.popleft()
                head()

    def _apply(self) -> None:
        entry = self._committed.popleft()
        assert isinstance(entry, _Entry)
        self._applying = False
        self._answer(entry, self.kv.apply(entry.request, self.kernel.now))
        self._apply_next()

    def _answer(self, entry: _Entry, answer: Response) -> None:
        reply = self._open.pop(entry.number, None)
        if reply is not None:
            reply(answer)

    # --- reads ---

    def _read(self, entry: _Entry) -> None:
        def ready() -> None:
            answer = self.kv.apply(entry.request, self.kernel.now)
            found = 1 if isinstance(answer, Refused) else answered(answer)
            cost_s = self.values.etcd_read_s + self.values.etcd_read_item_s * found
            self._use_core(cost_s, self._answer, entry, answer)

        self._committed.append(ready)
        self._apply_next()

    # --- watches and leases ---

    def _on_change(self, watcher: int) -> None:
        call_in(self.kernel, self.values.etcd_watch_delay_s, self._tell, watcher, self._life)

    def _tell(self, watcher: int, life: int) -> None:
        known = self._watchers.get(watcher)
        if known is None or life != self._life:
            return
        changes, revision = self.kv.drain(watcher)
        connection, name = known
        cost_s = self.values.etcd_watch_item_s * len(changes)
        self._use_core(cost_s, connection.watched, name, watcher, changes, revision)

    def _expire(self) -> None:
        if self.up:
            self.kv.expire(self.kernel.now)
        call_in(self.kernel, self.values.etcd_expiry_interval_s, self._expire)

    # --- faults ---

    def kill(self) -> None:
        """SIGKILL."""
        if not self.up:
            return
        self.up = False
        self._life += 1
        survivors = self._writing[: self._kills.integer(len(self._writing) + 1)]
        durable = [one for one in self._committed if isinstance(one, _Entry)] + survivors
        self._committed = deque(durable)
        self._pending.clear()
        self._writing = []
        self._applying = False
        unanswered, self._open = self._open, {}
        for watcher in list(self._watchers):
            self.unwatch(watcher)
        for reply in unanswered.values():
            reply(Unknown("etcd was killed"))
        for connection in list(self._connections):
            connection.broken()

    def restart(self) -> None:
        """Start again; it serves after `etcd_start_s`."""
        if not self.up:
            call_in(self.kernel, self.values.etcd_start_s, self._started, self._life)

    def _started(self, life: int) -> None:
        if life != self._life or self.up:
            return
        durable, self._committed = self._committed, deque()
        for entry in durable:
            assert isinstance(entry, _Entry)
            self.kv.apply(entry.request, self.kernel.now)
        self.kv.extend_leases(self.kernel.now)
        self.up = True
        for connection in list(self._connections):
            connection.restored()

    # --- cores ---

    def _use_core(self, cost_s: float, done: Callable[..., object], *arguments: object) -> None:
        life = self._life

        def finished() -> None:
            self._host.release()
            self.cpu_s += cost_s
            if life == self._life:
                done(*arguments)

        self._host.acquire(lambda: call_in(self.kernel, cost_s, finished))


def writes(request: EtcdRequest) -> bool:
    """Whether the request passes through the log."""
    if isinstance(request, Txn):
        return any(not isinstance(op, Get) for op in request.then)
    return isinstance(request, Grant | Revoke)


def size(request: EtcdRequest) -> int:
    """Operations of a request, compares and the else-branch not counted."""
    return len(request.then) if isinstance(request, Txn) else 1


def answered(answer: Response) -> int:
    """Keys in an answer."""
    kvs = getattr(answer, "kvs", None)
    if kvs is not None:
        return len(kvs)
    return sum(len(found.kvs) for found in getattr(answer, "found", ()))
