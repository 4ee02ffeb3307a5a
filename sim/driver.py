"""Runs one machine in simulated time, as `core.runtime.driver` runs it in real time.

One inbox, one thread of the process. Each round takes what is there (at most `DRAIN_BATCH` items), gathers results
of slots into one event, then looks at the machine's deadline. Every step is a job of the process: the machine decides
when the job begins, with the time of that moment; what it commands happens when the job ends, after the measured CPU
cost of a + b n. So shared code takes time, is charged for exactly what it did, and is never interrupted.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from core.kv.requests import EtcdRequest, Pause, Response, Resumed
from core.machine import messages as m
from core.machine.api import Machine
from core.machine.messages import Failed, Finished, Message, Now, Registered, Report, Result, Started, Stop, Timer
from core.procedure import table
from core.procedure.base import Procedure
from sim.etcd.sizes import answered, size
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

    __slots__ = ("answer", "procedure", "take")

    def __init__(self, procedure: Procedure, take: Callable[["_Step"], None]) -> None:
        self.procedure = procedure
        self.answer: Response | None = None
        self.take = take

    def reply(self, answer: Response) -> None:
        self.answer = answer
        self.take(self)


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
        self._costs = costs
        self._effects = effects
        self._watchers = watchers
        self._wall_base = wall_base
        self._ended: Callable[[int], None] | None = ended
        self._link: Link | None = None
        self._inbox: deque[object] = deque()
        self._begun: deque[_Step] = deque()  # calls of the last commands: they go first
        self._results: list[Result] = []
        self._taken = 0
        self._idle = False
        self._wake_at: float | None = None
        self._mono = 0.0
        self._open = 0
        self._exit: int | None = None
        self._after: tuple[Callable[..., object], tuple[Any, ...]] = (self._continue, ())

    def start(self, link: Link) -> None:
        self._link = link
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
            self._process.execute(self._advance, self._perform_next, self._begun.popleft())
            return
        while self._inbox and self._taken < DRAIN_BATCH:
            item = self._inbox.popleft()
            self._taken += 1
            if isinstance(item, Result):
                self._results.append(item)
            elif isinstance(item, _Step):
                self._process.execute(self._advance, self._perform_next, item)
                return
            elif self._exit is None and isinstance(item, Message):
                self._step(item)
                return
        self._taken = 0
        if self._results:
            results, self._results = self._results, []
            self._step(Finished(tuple(results)))
            return
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
            self._step(Timer(), deadline)
        else:
            self._arm(deadline)

    # --- the machine ---

    def _step(self, event: Message, not_before: float = 0.0) -> None:
        self._process.execute(self._handle, self._perform_next, event, not_before)

    def _handle(self, event: Message, not_before: float) -> float:
        if self._exit is not None:
            self._after = (self._continue, ())
            return 0.0
        self._mono = max(self._mono, self._kernel.now, not_before)
        now = Now(self._mono, self._wall_base + self._mono)
        commands = self.machine.handle(event, now)
        watchers = self._watchers
        if watchers.step is not None:
            watchers.step(event, now, commands)
        if watchers.check is not None:
            watchers.check(self.machine)
        self._after = (self._perform, (commands,))
        items = items_of(event) + sum(map(items_of, commands))
        return self._costs.event_s + self._costs.item_s * items

    def _perform_next(self) -> None:
        function, arguments = self._after
        function(*arguments)

    def _perform(self, commands: Sequence[Message]) -> None:
        link, watchers = self._link, self._watchers
        assert link is not None
        for command in commands:
            match command:
                case m.Trace():
                    if watchers.trace is not None:
                        watchers.trace(command)
                case Report(level, text):
                    if watchers.report is not None:
                        watchers.report(level, text)
                case m.Watch():
                    link.watch(command)
                case m.Unwatch(name):
                    link.unwatch(name)
                case Stop(code):
                    self._exit = code
                    call_in(self._kernel, LAST_WORDS_S, self._end)
                case _:
                    self._call(command, link)
        self._continue()

    def _call(self, command: Message, link: Link) -> None:
        effect = self._effects.get(type(command))
        if effect is not None:
            effect(command)
            return
        if isinstance(command, m.Unregister):
            link.let_go(command.lease)
        procedure = table.start(command)
        assert procedure is not None, f"nobody carries out {type(command).__name__}"
        self._open += 1
        self._begun.append(_Step(procedure, self.put))

    # --- procedures ---

    def _advance(self, step: _Step) -> float:
        """Send the answer (None at the start) into the procedure. The cost: to decode it, to build the next request."""
        values = self._values
        cost_s = 0.0
        if step.answer is not None and not isinstance(step.answer, Resumed):
            cost_s = values.reply_s + values.reply_item_s * answered(step.answer)
        try:
            request = step.procedure.send(step.answer)  # type: ignore[arg-type]
        except StopIteration as stop:
            self._open -= 1
            self._after = (self._answered, (stop.value,))
            return cost_s
        if isinstance(request, Pause):
            self._after = (self._pause, (step, request.seconds))
            return cost_s
        self._after = (self._send, (step, request))
        return cost_s + values.send_s + values.send_item_s * size(request)

    def _pause(self, step: _Step, seconds: float) -> None:
        call_in(self._kernel, seconds, step.reply, Resumed())
        self._continue()

    def _send(self, step: _Step, request: EtcdRequest) -> None:
        assert self._link is not None
        self._link.send(request, step.reply)
        self._continue()

    def _answered(self, event: Message | None) -> None:
        assert self._link is not None
        if isinstance(event, Registered):
            self._link.keep_alive(event.lease, event.ttl_s)
            effect = self._effects.get(Registered)
            if effect is not None:
                effect(event)
        if isinstance(event, Failed) and self._watchers.report is not None:
            self._watchers.report("error", f"{event.call}: {event.detail}")
        if event is None:
            self._continue()
        else:
            self._step(event)

    def _end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None and self._process.alive:
            ended(self._exit or 0)


_BATCH_FIELDS = (
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
)
_FIELDS: dict[type[Message], tuple[str, ...]] = {}


def items_of(message: Message) -> int:
    """The size of the batch that a message carries; what goes into a trace costs the machine next to nothing."""
    kind = type(message)
    names = _FIELDS.get(kind)
    if names is None:
        names = _FIELDS[kind] = tuple(name for name in _BATCH_FIELDS if name in kind.__struct_fields__)
    return sum(len(getattr(message, name)) for name in names)
