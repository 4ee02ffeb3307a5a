"""Runs one machine in one thread, against the real etcd.

Threads: the machine's thread owns the machine, the procedures and the timers; nobody else touches them. Everything
else (grpc's callbacks, the watch reader, the keepalive thread, slot threads, the user's threads) only puts something
into the inbox. There are no locks, hence no lock order.
"""

import contextlib
import heapq
import itertools
import logging
import queue
from collections.abc import Callable
from typing import Any, Protocol

from core.kv.requests import Get, Grant, Pause, Response, Resumed, Revoke, Txn
from core.machine.api import Machine
from core.machine.messages import (
    Failed,
    Finished,
    Message,
    Now,
    Registered,
    Report,
    Result,
    Started,
    Stop,
    Timer,
    Trace,
    Unregister,
    Unwatch,
    Watch,
)
from core.procedure import table
from core.procedure.base import Procedure
from core.runtime.clock import now
from core.runtime.spool import Spool

log = logging.getLogger("tandem")

DRAIN_BATCH = 256
"""Inbox items taken in one round, so that timers are looked at in between."""
LAST_WORDS_S = 3.0
"""How long a stopping driver waits for procedures under way (revoking its lease)."""

Inbox = queue.SimpleQueue[object]

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Record(Protocol):
    """Takes each step of the machine, for replay."""

    def __call__(self, event: Message, now: Now, commands: list[Message]) -> None: ...


class _Step:
    """A procedure that waits for an answer, which then stands in `answer`."""

    __slots__ = ("answer", "inbox", "procedure")

    def __init__(self, procedure: Procedure, inbox: Inbox) -> None:
        self.procedure = procedure
        self.inbox = inbox
        self.answer: Response | None = None

    def reply(self, answer: Response) -> None:
        self.answer = answer
        self.inbox.put(self)


class Link(Protocol):
    """The connection to etcd, as the driver uses it (`core.runtime.link`)."""

    def send(self, request: Get | Txn | Grant | Revoke, reply: Callable[[Response], None]) -> None: ...
    def watch(self, command: Watch) -> None: ...
    def unwatch(self, name: str) -> None: ...
    def keep_alive(self, lease: int, ttl_s: float) -> None: ...
    def let_go(self, lease: int) -> None: ...


class Driver:
    """`effects` carry out the commands that are neither etcd's nor the driver's business, by command type.

    Whoever has something for the machine (an event, or a slot's `Result`) puts it into `inbox`, from any thread.
    """

    def __init__(
        self,
        machine: Machine,
        inbox: Inbox,
        effects: dict[type[Message], Callable[[Any], None]],
        *,
        spool: Spool | None = None,
        record: Record | None = None,
    ) -> None:
        self._machine = machine
        self._inbox = inbox
        self._effects = effects
        self._spool = spool
        self._record = record
        self._link: Link | None = None
        self._timers: list[tuple[float, int, _Step]] = []
        self._order = itertools.count()
        self._open = 0  # procedures under way
        self._exit: int | None = None

    def run(self, link: Link) -> int:
        """Run the machine until it stops; the exit code."""
        self._link = link
        self._handle(Started())
        while self._exit is None:
            self._round(self._machine.next_deadline())
            deadline = self._machine.next_deadline()
            if deadline is not None and deadline <= now().mono:
                self._handle(Timer())
        until = now().mono + LAST_WORDS_S
        while self._open and now().mono < until:
            self._round(until)
        return self._exit

    def _round(self, deadline: float | None) -> None:
        """Wait for the inbox, a timer, or the machine's deadline; then take in what has come."""
        if self._timers:
            deadline = min(deadline, self._timers[0][0]) if deadline is not None else self._timers[0][0]
        with contextlib.suppress(queue.Empty):
            first = self._inbox.get(timeout=None if deadline is None else max(0.0, deadline - now().mono))
            self._take_in(first)
        while self._timers and self._timers[0][0] <= now().mono:
            step = heapq.heappop(self._timers)[2]
            step.answer = Resumed()
            self._advance(step)

    def _take_in(self, item: object) -> None:
        """Handle `item` and what lies behind it; results of slots are gathered into one event."""
        results: list[Result] = []
        for taken in itertools.count(1):
            if isinstance(item, Result):
                results.append(item)
            elif isinstance(item, _Step):
                self._advance(item)
            elif isinstance(item, Message):
                self._handle(item)
            if taken == DRAIN_BATCH or self._inbox.empty():
                break
            item = self._inbox.get_nowait()
        if results:
            self._handle(Finished(tuple(results)))

    def _handle(self, event: Message) -> None:
        if self._exit is not None:
            return
        moment = now()
        commands = list(self._machine.handle(event, moment))
        if self._record is not None:
            self._record(event, moment, commands)
        for command in commands:
            self._perform(command)

    def _perform(self, command: Message) -> None:
        assert self._link is not None
        match command:
            case Trace():
                if self._spool is not None:
                    self._spool.write(command)
            case Report(level, text):
                log.log(_LEVELS[level], text)
            case Watch():
                self._link.watch(command)
            case Unwatch(name):
                self._link.unwatch(name)
            case Stop(code):
                self._exit = code
            case _:
                effect = self._effects.get(type(command))
                if effect is not None:
                    effect(command)
                    return
                if isinstance(command, Unregister):
                    self._link.let_go(command.lease)
                procedure = table.start(command)
                assert procedure is not None, f"nobody carries out {type(command).__name__}"
                self._open += 1
                self._advance(_Step(procedure, self._inbox))

    def _advance(self, step: _Step) -> None:
        """Send the answer (None at the start) into the procedure, and carry out what it asks next."""
        assert self._link is not None
        try:
            request = step.procedure.send(step.answer)  # type: ignore[arg-type]
        except StopIteration as stop:
            self._open -= 1
            self._answered(stop.value)
            return
        if isinstance(request, Pause):
            heapq.heappush(self._timers, (now().mono + request.seconds, next(self._order), step))
        else:
            self._link.send(request, step.reply)

    def _answered(self, event: Message | None) -> None:
        assert self._link is not None
        if isinstance(event, Registered):
            self._link.keep_alive(event.lease, event.ttl_s)
            log.info("registered as %s", event.id)
            effect = self._effects.get(Registered)
            if effect is not None:
                effect(event)
        if isinstance(event, Failed):
            log.error("%s: %s", event.call, event.detail)
        if event is not None:
            self._handle(event)
