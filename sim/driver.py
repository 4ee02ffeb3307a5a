"""Runs one machine in simulated time, as `core.runtime.driver` runs it in real time.

One inbox, one thread of the process. Each round takes what is there (at most `DRAIN_BATCH` items), gathers results
of slots into one event, then looks at the machine's deadline. Every step is a job of the process: the machine decides
when the job begins, with the time of that moment; what it commands happens when the job ends, after the measured CPU
cost of a + b n. So shared code takes time, is charged for exactly what it did, and is never interrupted.
"""

from collections import deque
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from core.kv.requests import Pause, Request, Response, Resumed
from core.machine import messages as m
from core.machine.api import Machine
from core.machine.messages import Failed, Finished, Message, Now, Registered, Report, Result, Started, Stop, Timer
from core.procedure import table
from core.procedure.base import Procedure
from sim.etcd.sizes import size
from sim.host import Process
from sim.kernel import Kernel, call_in
from sim.link import Link
from sim.parameters import Values

DRAIN_BATCH = 256
LAST_WORDS_S = 3.0
"""Both as in the real driver."""


class Costs(NamedTuple):
    """CPU seconds of one decision: `event_s` + `item_s` for each item that came in or went out."""

    event_s: float
    item_s: float


class Watchers(NamedTuple):
    """Who is told what: each may be None. `step` sees every (event, now, commands), `check` runs after it."""

    trace: Callable[[m.Trace], None] | None = None
    report: Callable[[str, str], None] | None = None
    step: Callable[[Message, Now, Sequence[Message]], None] | None = None
    check: Callable[[Machine], None] | None = None


class _Step:
    """A procedure that waits for an answer, which then stands in `answer`."""

    __slots__ = ("_put", "answer", "procedure")

    def __init__(self, procedure: Procedure, put: Callable[[object], None]) -> None:
        self.procedure = procedure
        self.answer: Response | None = None
        self._put = put

    def reply(self, answer: Response) -> None:
        self.answer = answer
        self._put(self)


class Driver:
    """`effects` carry out the commands that are neither etcd's nor the driver's business, by command type.

    `ended` is called with the exit code when the machine has stopped and its last requests are answered.
    """

    def __init__(
        self,
        kernel: Kernel,
        machine: Machine,
        process: Process,
        values: Values,
        costs: Costs,
        effects: dict[type[Message], Callable[[Any], None]],
        watchers: Watchers,
        wall_base: float,
        ended: Callable[[int], None],
    ) -> None:
        self._kernel = kernel
        self.machine = machine
        self._process = process
        self._values = values
        self._event_s, self._item_s = costs
        self._effects = effects
        self._watchers = watchers
        self._wall_base = wall_base
        self._ended: Callable[[int], None] | None = ended
        self._link: Link | None = None
        self._performers: dict[type[Message], Callable[[Any], object]] = {}  # all but calls to etcd
        self._inbox: deque[object] = deque()
        self._begun: deque[_Step] = deque()  # calls of the last commands: they go first
        self._results: list[Result] = []
        self._taken = 0
        self._idle = False
        self._wake_at: float | None = None
        self._mono = 0.0
        self._open = 0
        self._exit: int | None = None
        self._commands: Sequence[Message] = ()  # of the event that is being handled
        self._request: Request | None = None  # of the procedure that is being advanced; None: it has returned
        self._returned: Message | None = None
        self._advancing: _Step  # whose procedure that is

    def start(self, link: Link) -> None:
        self._link = link
        watchers = self._watchers
        self._performers = {
            m.Trace: watchers.trace or _ignored,
            Report: self._report,
            m.Watch: link.watch,
            m.Unwatch: lambda command: link.unwatch(command.name),
            Stop: self._stop,
            **self._effects,
        }
        self._step(Started())

    def put(self, item: object) -> None:
        """Something for the machine: an event, a slot's result, a procedure that got its answer."""
        self._inbox.append(item)
        if self._idle:
            self._idle = False
            self._continue()

    # --- the loop ---

    def _continue(self) -> None:
        """Begin the next job, or sleep."""
        if self._begun:
            step = self._begun.popleft()
            self._process.execute(self._advance, self._advanced, step)
            return
        inbox = self._inbox
        while inbox and self._taken < DRAIN_BATCH:
            item = inbox.popleft()
            self._taken += 1
            kind = type(item)
            if kind is Result:
                self._results.append(item)  # type: ignore[arg-type]
            elif kind is _Step:
                self._process.execute(self._advance, self._advanced, item)
                return
            elif self._exit is None:
                self._process.execute(self._handle, self._perform, item, 0.0)
                return
        self._taken = 0
        if self._results:
            results, self._results = self._results, []
            self._step(Finished(tuple(results)))
            return
        self._rest()

    def _rest(self) -> None:
        """Nothing is there: the machine's deadline, or sleep."""
        if self._exit is not None and self._open == 0:
            self._end()
            return
        deadline = self.machine.next_deadline() if self._exit is None else None
        if deadline is not None and deadline <= self._kernel.now:
            self._step(Timer(), deadline)
        elif self._inbox:
            self._continue()
        else:
            self._idle = True
            self._arm(deadline)

    def _arm(self, deadline: float | None) -> None:
        if deadline is not None and (self._wake_at is None or deadline < self._wake_at):
            self._wake_at = deadline
            call_in(self._kernel, max(0.0, deadline - self._kernel.now), self._wake, deadline)

    def _wake(self, at: float) -> None:
        if at == self._wake_at:
            self._wake_at = None
        if not self._idle or not self._process.alive:
            return
        deadline = self.machine.next_deadline() if self._exit is None else None
        if deadline is not None and deadline <= max(at, self._kernel.now):
            self._idle = False
            self._process.alarm(self._handle, self._perform, Timer(), deadline)
        else:
            self._arm(deadline)

    # --- the machine ---

    def _step(self, event: Message, not_before: float = 0.0) -> None:
        self._process.execute(self._handle, self._perform, event, not_before)

    def _handle(self, event: Message, not_before: float) -> float:
        if self._exit is not None:
            self._commands = ()
            return 0.0
        mono = max(self._mono, self._kernel.now, not_before)
        self._mono = mono
        now = Now(mono, self._wall_base + mono)
        self._commands = commands = self.machine.handle(event, now)
        watchers = self._watchers
        if watchers.step is not None:
            watchers.step(event, now, commands)
        if watchers.check is not None:
            watchers.check(self.machine)
        items = items_of(event)
        traces_s = 0.0
        for command in commands:
            if type(command) is m.Trace:
                traces_s += self._values.trace_s + self._values.trace_row_s * len(command.rows)
            else:
                items += items_of(command)
        return self._event_s + self._item_s * items + traces_s

    def _perform(self) -> None:
        performers = self._performers
        for command in self._commands:
            performer = performers.get(type(command))
            if performer is None:
                self._call(command)
            else:
                performer(command)
        self._continue()

    def _report(self, command: Report) -> None:
        if self._watchers.report is not None:
            self._watchers.report(command.level, command.text)

    def _stop(self, command: Stop) -> None:
        self._exit = command.code
        call_in(self._kernel, LAST_WORDS_S, self._end)

    def _call(self, command: Message) -> None:
        if type(command) is m.Unregister:
            assert self._link is not None
            self._link.let_go(command.lease)
        procedure = table.start(command)
        assert procedure is not None, f"nobody carries out {type(command).__name__}"
        self._open += 1
        self._begun.append(_Step(procedure, self.put))

    # --- procedures ---

    def _advance(self, step: _Step) -> float:
        """Send the answer (None at the start) into the procedure. The cost: to build the next request."""
        self._advancing = step
        try:
            self._request = request = step.procedure.send(step.answer)  # type: ignore[arg-type]
        except StopIteration as stop:
            self._open -= 1
            self._request, self._returned = None, stop.value
            return 0.0
        if isinstance(request, Pause):
            return 0.0
        return self._values.send_s + self._values.send_item_s * size(request)

    def _advanced(self) -> None:
        """The CPU time for it has been used: now it takes effect."""
        request, step = self._request, self._advancing
        if request is None:
            self._answered(self._returned)
            return
        if isinstance(request, Pause):
            call_in(self._kernel, request.seconds, step.reply, Resumed())
        else:
            assert self._link is not None
            self._link.send(request, step.reply)
        self._continue()

    def _answered(self, event: Message | None) -> None:
        if type(event) is Registered:
            assert self._link is not None
            self._link.keep_alive(event.lease, event.ttl_s)
            effect = self._effects.get(Registered)
            if effect is not None:
                effect(event)
        elif type(event) is Failed:
            self._report(Report("error", f"{event.call}: {event.detail}"))
        if event is None:
            self._continue()
        else:
            self._step(event)

    def _end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None and self._process.alive:
            ended(self._exit or 0)


def _ignored(command: Message) -> None:
    """What nobody wants to know."""


_BATCH_FIELDS = frozenset(
    {
        "changes",
        "results",
        "items",
        "endings",
        "specs",
        "jobs",
        "kvs",
        "ids",
        "outcomes",
        "runs",
        "assigned",
        "committed",
        "accepted",
        "keys",
        "ready",
    }
)
_FIELDS: dict[type[Message], tuple[Callable[[Message], Sequence[object]], ...]] = {}


def items_of(message: Message) -> int:
    """The size of the batch that a message carries; what goes into a trace costs the machine next to nothing."""
    fields = _FIELDS.get(type(message))
    if fields is None:
        kind = type(message)
        fields = _FIELDS[kind] = tuple(attrgetter(name) for name in kind.__struct_fields__ if name in _BATCH_FIELDS)
    items = 0
    for field in fields:
        items += len(field(message))
    return items
