"""A component's connection to etcd: requests, watches and keepalives over the network.

The same duties as the real link. What arrives is handed over by the component's own process, since decoding takes its
CPU time. Watches resume at the last revision + 1 after a break. A link may be cut (a partition): what is under way
then stays unanswered until its deadline.
"""

from collections.abc import Callable

import msgspec

from core.kv.requests import Change, EtcdRequest, Refused, Response, Unknown
from core.machine.messages import Changes, LeaseLost, LeaseRenewed, Message, Watch, WatchLost
from sim.etcd.sizes import answered, answered_bytes, told_bytes
from sim.etcd.station import EtcdStation
from sim.kernel import Kernel, call_in
from sim.network import Line
from sim.parameters import Values
from sim.process import Process
from sim.streams import Stream

RENEWALS_PER_TTL = 3
KEEPALIVE_RETRY_S = 0.1
"""As the real link does (`core.etcd.lease`)."""


class _Open:
    """A request under way."""

    __slots__ = ("_link", "done", "reply")

    def __init__(self, link: "Link", reply: Callable[[Response], None]) -> None:
        self._link = link
        self.reply = reply
        self.done = False

    def answered(self, response: Response) -> None:
        """The answer leaves the station."""
        self._link.answers.send(self._link.returned, self, response)


class Link:
    """`post` takes the events of watches and leases."""

    def __init__(
        self,
        kernel: Kernel,
        station: EtcdStation,
        process: Process,
        values: Values,
        stream: Stream,
        post: Callable[[Message], None],
    ) -> None:
        self._kernel = kernel
        self._station = station
        self._process = process
        self._values = values
        self._post = post
        delay_s, jitter_s = values.network_delay_s, values.network_jitter_s
        self._to_etcd = Line(kernel, delay_s, jitter_s, stream)
        self.answers = Line(kernel, delay_s, jitter_s, stream)
        self._changes = Line(kernel, delay_s, jitter_s, stream)
        self._stream = stream
        self._open: dict[_Open, None] = {}
        self._watches: dict[str, Watch] = {}
        self._next: dict[str, int] = {}  # name of a watch -> the revision that it goes on from after a break
        self._watchers: dict[str, int] = {}
        self._leases: dict[int, float] = {}
        self._closed = False
        self._cut = False
        station.connect(self)

    # --- requests ---

    def send(self, request: EtcdRequest, reply: Callable[[Response], None]) -> None:
        """`reply` is called once, unless the component dies before."""
        one = _Open(self, reply)
        self._open[one] = None
        if self._cut:
            call_in(self._kernel, self._values.request_timeout_s, self._answer, one, Unknown("deadline exceeded"))
            return
        self._to_etcd.send(self._arrive, request, one)

    def _arrive(self, request: EtcdRequest, one: _Open) -> None:
        if not self._cut:
            self._station.request(request, one.answered, self)

    def returned(self, one: _Open, response: Response) -> None:
        """The answer has arrived."""
        if not self._cut:
            values = self._values
            cost_s = values.reply_s + values.reply_item_s * answered(response)
            cost_s += values.heard_byte_s * answered_bytes(response)
            self._process.message(cost_s, self._answer, one, response)

    def _answer(self, one: _Open, response: Response) -> None:
        self._open.pop(one, None)
        if not self._closed and not one.done:
            one.done = True
            one.reply(response)

    # --- watches ---

    def watch(self, command: Watch) -> None:
        self.unwatch(command.name)
        self._watches[command.name] = command
        self._next[command.name] = command.revision
        if not self._cut:
            self._to_etcd.send(self._open_watch, command)

    def _open_watch(self, command: Watch) -> None:
        if self._closed or self._cut or self._watches.get(command.name) is not command:
            return
        if command.name in self._watchers:
            return
        watcher = self._station.watch(self, command)
        if isinstance(watcher, int):
            self._watchers[command.name] = watcher
        elif isinstance(watcher, Refused):
            self._changes.send(self._lost, command)

    def _lost(self, command: Watch) -> None:
        if not self._closed and self._watches.get(command.name) is command:
            del self._watches[command.name]
            self._process.run(self._values.watch_s, self._post, WatchLost(command.name))

    def unwatch(self, name: str) -> None:
        self._watches.pop(name, None)
        watcher = self._watchers.pop(name, None)
        if watcher is not None:
            self._station.unwatch(watcher)

    def watched(self, name: str, watcher: int, changes: tuple[Change, ...], revision: int) -> None:
        """The station sends changes of a watch."""
        self._changes.send(self._received, name, watcher, changes, revision)

    def _received(self, name: str, watcher: int, changes: tuple[Change, ...], revision: int) -> None:
        if self._closed or self._cut or self._watchers.get(name) != watcher:
            return  # of an earlier connection: they come again, from the revision that was reached
        self._next[name] = revision + 1
        values = self._values
        cost_s = values.watch_s + values.watch_item_s * len(changes) + values.heard_byte_s * told_bytes(changes)
        self._process.message(cost_s, self._post, Changes(name, changes, revision), hops=True)

    def broken(self) -> None:
        """The connection is gone, and the watches with it."""
        self._watchers.clear()

    def restored(self) -> None:
        """The server is back: reconnect, and watch from where the news ended."""
        call_in(self._kernel, self._values.reconnect_s * self._stream.random(), self._resume)

    def _resume(self) -> None:
        if not self._closed and not self._cut:
            for name, command in self._watches.items():
                self._watches[name] = again = msgspec.structs.replace(command, revision=self._next[name])
                self._to_etcd.send(self._open_watch, again)

    # --- leases ---

    def keep_alive(self, lease: int, ttl_s: float) -> None:
        """Renew `lease` from now on, each third of its TTL."""
        self._leases[lease] = ttl_s
        self._renew(lease)

    def let_go(self, lease: int) -> None:
        """Stop renewing; nothing is heard about the lease after this."""
        self._leases.pop(lease, None)

    def _renew(self, lease: int) -> None:
        if lease in self._leases and not self._closed:
            self._process.run(self._values.send_s, self._ask, lease)

    def _ask(self, lease: int) -> None:
        one = _Open(self, lambda _: None)
        sent = self._kernel.now
        ttl_s = self._leases.get(lease)
        if ttl_s is None or self._closed:
            return

        def returned(answered_s: float | None) -> None:
            if not self._cut and not one.done:
                one.done = True
                self._process.run(self._values.reply_s, self._renewed, lease, sent, answered_s)

        def late() -> None:
            if not one.done:
                one.done = True
                self._process.run(self._values.reply_s, self._renewed, lease, sent, None)

        if not self._cut:
            self._to_etcd.send(
                self._station.keep_alive, lease, lambda answered_s: self.answers.send(returned, answered_s)
            )
        call_in(self._kernel, min(self._values.request_timeout_s, ttl_s / RENEWALS_PER_TTL), late)

    def _renewed(self, lease: int, sent: float, answered_s: float | None) -> None:
        if lease not in self._leases or self._closed:
            return
        if answered_s is None:
            call_in(self._kernel, KEEPALIVE_RETRY_S, self._renew, lease)
        elif answered_s <= 0:
            del self._leases[lease]
            self._post(LeaseLost(lease))
        else:
            due = sent + answered_s / RENEWALS_PER_TTL
            call_in(self._kernel, max(0.0, due - self._kernel.now), self._renew, lease)
            self._post(LeaseRenewed(lease, sent + answered_s))

    # --- faults and the end ---

    def cut(self) -> None:
        """A partition begins."""
        self._cut = True
        self._station.disconnect(self)
        self._watchers.clear()
        for one in list(self._open):
            call_in(self._kernel, self._values.request_timeout_s, self._answer, one, Unknown("deadline exceeded"))

    def mend(self) -> None:
        """The partition ends."""
        if self._cut and not self._closed:
            self._cut = False
            self._station.connect(self)
            self.restored()

    def close(self) -> None:
        """The process is gone: nothing is delivered any more. What was sent still arrives at etcd."""
        self._closed = True
        self._station.disconnect(self)
        self._leases.clear()
