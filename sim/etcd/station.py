"""etcd as a service station around `core.kv.memory`, which gives the answers; here is how long they take.

A write passes: a core (decode, check) -> the log, with group commit (`log`) -> the apply loop (`apply`) -> the answer.
A read waits until what was committed before is applied, then takes a core. Watchers are told a little later
(`watches`). Leases are looked at every half second; a restart begins every TTL anew.

A kill answers every open request with `Unknown`. Of the batch in the log a random prefix has reached the disk, of what
was committed everything: it is applied at the restart, before anything else. So both fates of an unknown write occur.
The same holds for a leader that is killed while others are left, which elect another (`election`).
"""

import itertools
from collections import deque
from collections.abc import Callable

from core.kv.memory import MemoryKv
from core.kv.records import Shelf
from core.kv.requests import EtcdRequest, Refused, Response, Unknown
from core.machine.messages import Watch
from sim.etcd import paths
from sim.etcd.apply import ApplyLoop
from sim.etcd.cores import Cores
from sim.etcd.election import Interregnum, election_s, majority_s
from sim.etcd.entry import Entry
from sim.etcd.log import Log
from sim.etcd.members import Followers
from sim.etcd.sizes import answered, answered_bytes, writes
from sim.etcd.watches import Connection, Watches
from sim.host import Host
from sim.kernel import Kernel, call_in
from sim.parameters import Refinement, Values
from sim.streams import Stream

Reply = Callable[[Response], None]
LOG_LENGTH = 1_000_000
"""Changes that watchers may lag behind; a real server with retention of a minute keeps as many at 10,000/s or so."""


class EtcdStation:
    """The server (or the leader of a cluster, and its followers). Times in seconds."""

    def __init__(
        self,
        kernel: Kernel,
        host: Host,
        values: Values,
        residuals: Stream,
        kills: Stream,
        refinement: Refinement = "station",
        *,
        shelf: Shelf | None = None,
        log_length: int = LOG_LENGTH,
    ) -> None:
        self.kernel = kernel
        self.values = values
        self.kv = MemoryKv(
            max_operations=values.max_operations, log_length=log_length, on_change=self._on_change, shelf=shelf
        )
        self.up = True
        self._kills = kills
        self._interregnum: Interregnum | None = None
        self._cores = Cores(kernel, host, values)
        self._coarse = refinement != "station"
        self._followers: Followers | None = None
        self._path = self._make_path(host, residuals, refinement)
        self._watches = Watches(kernel, self._cores, values, self.kv)
        self._life = 0
        self._numbers = itertools.count(1)
        self._open: dict[int, Reply] = {}
        self._busy: dict[object, int] = {}  # requests under way, by connection
        self._durable: deque[Entry] = deque()  # committed before a kill, applied at the restart
        self._connections: dict[Connection, None] = {}
        call_in(kernel, values.etcd_expiry_interval_s, self._expire)

    def _make_path(self, host: Host, residuals: Stream, refinement: Refinement) -> paths.Path:
        kernel, values = self.kernel, self.values
        if refinement == "constant":
            return paths.TimedPath(kernel, self._effect, paths.constant(values))
        if refinement == "quantiles":
            return paths.TimedPath(kernel, self._effect, paths.drawn(values, residuals))
        if values.etcd_members > 1:
            self._followers = Followers(kernel, host, self._cores, values, residuals)
        loop = ApplyLoop(kernel, self._cores, values, self._effect)
        log = Log(kernel, self._cores, values, residuals, self._followers, loop.committed)
        return paths.StationPath(self._cores, log, loop)

    @property
    def fsyncs(self) -> int:
        """Batches that the log has written."""
        return self._path.fsyncs

    @property
    def fsync_s(self) -> float:
        """Seconds that they took together."""
        return self._path.fsync_s

    @property
    def cpu_s(self) -> list[float]:
        """CPU seconds of each member, the leader first."""
        return [self._cores.cpu_s, *(self._followers.cpu_s if self._followers is not None else ())]

    # --- what clients ask ---

    def request(self, request: EtcdRequest, reply: Reply, connection: object = None) -> None:
        """A request has arrived. `reply` is called once when the answer leaves."""
        if not self.up:
            self._hold(request, reply, connection)
            return
        number = next(self._numbers)
        self._open[number] = reply
        entry = Entry(number, request, connection)
        after = self._path.write if writes(request) else self._read
        values = self.values
        cost_s = values.etcd_request_s + values.etcd_request_item_s * entry.items
        cost_s += values.etcd_byte_s / 2 * entry.size_bytes
        busy = self._busy.get(connection, 0)
        self._busy[connection] = busy + 1
        if not busy:
            cost_s += values.etcd_connection_s
        self._use_core(cost_s, after, entry)

    def _hold(self, request: EtcdRequest, reply: Reply, connection: object) -> None:
        """Nobody leads: a write is lost, a read waits."""
        if self._interregnum is None:
            reply(Unknown("etcd is down"))
        elif writes(request):
            self._interregnum.hold_write(next(self._numbers), reply)
        else:
            self._interregnum.hold_read(request, reply, connection)

    def _use_core(self, cost_s: float, done: Callable[..., object], *arguments: object) -> None:
        """Coarse models know no processors: what they cost is in their times."""
        if self._coarse:
            done(*arguments)
        else:
            self._cores.use(cost_s, done, *arguments)

    def _effect(self, entry: Entry) -> None:
        """A write takes effect. Watchers hear of it while its answer is on the way out."""
        answer = self.kv.apply(entry.request, self.kernel.now)
        if self.values.etcd_answer_s:
            self._use_core(self.values.etcd_answer_s, self._answer, entry, answer)
        else:
            self._answer(entry, answer)

    def _answer(self, entry: Entry, answer: Response) -> None:
        reply = self._open.pop(entry.number, None)
        if reply is not None:
            self._busy[entry.connection] -= 1
            reply(answer)

    def _read(self, entry: Entry) -> None:
        def ready() -> None:
            answer = self.kv.apply(entry.request, self.kernel.now)
            values = self.values
            found = 1 if isinstance(answer, Refused) else answered(answer)
            cost_s = values.etcd_read_s + values.etcd_read_item_s * found
            cost_s += values.etcd_watch_byte_s * answered_bytes(answer)
            self._use_core(cost_s, self._answer, entry, answer)

        self._path.read(ready)

    def keep_alive(self, lease: int, reply: Callable[[float | None], None]) -> None:
        """Renew a lease; the answer is its TTL, 0 where it is gone, None where etcd is down."""
        if not self.up:
            reply(None)
            return
        life = self._life

        def renew() -> None:
            reply(self.kv.keep_alive(lease, self.kernel.now) if life == self._life else None)

        self._use_core(self.values.etcd_request_s, renew)

    def _expire(self) -> None:
        if self.up:
            self.kv.expire(self.kernel.now)
        call_in(self.kernel, self.values.etcd_expiry_interval_s, self._expire)

    # --- connections and watches ---

    def connect(self, connection: Connection) -> None:
        """Tell this client when the connection breaks and comes back."""
        self._connections[connection] = None

    def disconnect(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        self._watches.close_all(connection)

    def watch(self, connection: Connection, command: Watch) -> int | Refused | None:
        """Open a watch; its number, Refused where the revision is compacted, None where etcd is down."""
        return self._watches.open(connection, command) if self.up else None

    def unwatch(self, watcher: int) -> None:
        self._watches.close(watcher)

    def _on_change(self, watcher: int) -> None:
        self._watches.changed(watcher)

    # --- faults ---

    def kill(self) -> None:
        """SIGKILL, to the only member or to so many that no majority is left."""
        interregnum, self._interregnum = self._interregnum, None
        if interregnum is not None:
            interregnum.give_up()
        for reply in self._fall().values():
            reply(Unknown("etcd was killed"))

    def kill_leader(self, followers: int) -> None:
        """SIGKILL to the leader; so many followers, a majority of all, are left and elect another."""
        if not self.up and self._interregnum is None:
            return
        unanswered = self._fall()
        if self._interregnum is None:
            self._interregnum = Interregnum(self.kernel, self._kills)
        for number, reply in unanswered.items():
            if self._kills.integer(self.values.etcd_members) == 0:  # its connection ended at the leader
                reply(Unknown("etcd was killed"))
            else:
                self._interregnum.hold_write(number, reply)
        call_in(self.kernel, election_s(self.values, followers, self._kills), self._started, self._life)

    def _fall(self) -> dict[int, Reply]:
        """Nothing is served any more, also not by a start or an election that is under way; the open requests."""
        self.up = False
        self._life += 1
        self._cores.forget()
        self._durable.extend(self._path.kill(self._kills.integer))
        unanswered, self._open = self._open, {}
        self._busy.clear()
        self._watches.kill()
        for connection in list(self._connections):
            connection.broken()
        return unanswered

    def restart(self) -> None:
        """Start again; alone it serves after `etcd_start_s`, and up to `etcd_election_s` more."""
        if not self.up:
            values = self.values
            if values.etcd_members > 1:
                after_s = majority_s(values, self._kills)
            else:
                after_s = values.etcd_start_s + values.etcd_election_s * self._kills.random()
            call_in(self.kernel, after_s, self._started, self._life)

    def _started(self, life: int) -> None:
        if life != self._life or self.up:
            return
        interregnum, self._interregnum = self._interregnum, None
        while self._durable:
            entry = self._durable.popleft()
            answer = self.kv.apply(entry.request, self.kernel.now)
            if interregnum is not None:
                interregnum.survived(entry.number, answer)
        self.kv.extend_leases(self.kernel.now)
        self.up = True
        for connection in list(self._connections):
            connection.restored()
        if interregnum is not None:
            interregnum.end(self.request)

    def serve_with(self, followers: int) -> None:
        """So many followers are up from now on."""
        if self._followers is not None:
            self._followers.up(followers)
