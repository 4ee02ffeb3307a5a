"""Runs one machine in simulated time, as `core.runtime.driver` runs it in real time.

One inbox, one thread of the process. Each round takes what is there (at most `DRAIN_BATCH` items), gathers results
of slots into one event, then looks at the machine's deadline. Every step is a job of the process: the machine decides
when the job begins, with the time of that moment; what it commands happens when the job ends, after the measured CPU
cost of a + b n. So shared code takes time, is charged for exactly what it did, and is never interrupted. Steps whose
effects stay inside the process are worked out ahead, one after the other (`sim.process`).
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from core.kv.requests import Pause, Request, Resumed
from core.machine import messages as m
from core.machine.api import Machine
from core.machine.messages import Failed, Finished, Message, Now, Registered, Report, Result, Started, Stop, Timer
from core.procedure import table
from sim.kernel import Kernel, call_in
from sim.link import Link
from sim.parameters import Values
from sim.process import DONE, PAID, Process
from sim.steps import Costs, Item, Step, Watchers, built_s, items_of

DRAIN_BATCH = 256
LAST_WORDS_S = 3.0
"""Both as in the real driver."""


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
        self._inbox: deque[Item | Result] = deque()
        self._left: list[Iterator[Message]] = []  # commands that are not performed yet; those that go first are last
        self._results: list[Result] = []
        self._taken = 0
        self._idle = False
        self._wake_at: float | None = None
        self._mono = 0.0
        self._open = 0
        self._exit: int | None = None
        self._inside = False  # what was done last has no effects outside the process
        self._commands: Sequence[Message] = ()  # of the event that was handled last
        self._advanced: Step | None = None  # what was done last was not to handle an event, but to advance this
        self._request: Request | None = None  # that it made; None: its procedure has returned
        self._returned: Message | None = None
        self._not_before = 0.0  # of the next event

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
        self._begin(Started())

    def put(self, item: Item | Result) -> None:
        """Something for the machine: an event, a slot's result, a procedure that got its answer."""
        self._inbox.append(item)
        if self._idle:
            self._idle = False
            self._process.execute(self._run, self._finish, None)

    # --- the loop ---

    def _begin(self, item: Item) -> None:
        self._process.execute(self._run, self._finish, item)

    def _run(self, item: Item | None) -> float:
        """Do this, and what comes after it as far as the outside does not see it. None: what is there by now."""
        process = self._process
        if item is None:
            item = self._next()
            if item is None:
                return DONE
        while True:
            if type(item) is Step:
                goes_on = process.pay(self._advance(item), own=False)
            else:
                goes_on = process.pay(self._handle(item), own=True)  # type: ignore[arg-type]
            if not goes_on or not self._inside:
                return PAID
            comes = self._perform()
            if comes is None:
                return DONE
            if process.has_more:
                self._begin(comes)
                return DONE
            item = comes

    def _finish(self) -> None:
        """The CPU time of the last thing is used: it takes effect."""
        comes = self._perform()
        if comes is not None:
            self._begin(comes)

    def _next(self) -> Item | None:
        """What comes next; None: nothing is there, the driver sleeps."""
        inbox = self._inbox
        while True:
            while inbox and self._taken < DRAIN_BATCH:
                item = inbox.popleft()
                self._taken += 1
                if isinstance(item, Result):
                    self._results.append(item)
                elif self._exit is None or isinstance(item, Step):
                    return item
            self._taken = 0
            if self._results:
                results, self._results = self._results, []
                return Finished(tuple(results))
            if self._exit is not None and self._open == 0:
                self._end()
                return None
            deadline = self.machine.next_deadline() if self._exit is None else None
            if deadline is not None and deadline <= self._process.clock:
                self._not_before = deadline
                return Timer()
            if not inbox:
                self._idle = True
                self._arm(deadline)
                return None

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
            self._not_before = deadline
            self._process.alarm(self._run, self._finish, Timer())
        else:
            self._arm(deadline)

    # --- the machine ---

    def _handle(self, event: Message) -> float:
        self._advanced = None
        if self._exit is not None:
            self._commands = ()
            self._inside = False
            return 0.0
        self._mono = mono = max(self._mono, self._process.clock, self._not_before)
        now = Now(mono, self._wall_base + mono)
        self._commands = commands = self.machine.handle(event, now)
        watchers = self._watchers
        if watchers.step is not None:
            watchers.step(event, now, commands)
        if watchers.check is not None:
            watchers.check(self.machine)
        items = items_of(event)
        traces_s = 0.0
        inside = True
        for command in commands:
            kind = type(command)
            if isinstance(command, m.Trace):
                traces_s += self._values.trace_s + self._values.trace_row_s * len(command.rows)
            else:
                items += items_of(command)
                inside = inside and (kind is m.Execute or (kind not in self._performers and kind is not m.Unregister))
        self._inside = inside
        return self._event_s + self._item_s * items + traces_s

    def _perform(self) -> Item | None:
        """What was done last takes effect; what comes next."""
        if self._advanced is not None:
            return self._send(self._advanced)
        self._left.append(iter(self._commands))
        return self._go_on()

    def _go_on(self) -> Item | None:
        """Perform what is left of the commands, in order: one that calls etcd is sent before the next is looked at."""
        performers, left = self._performers, self._left
        while left:
            for command in left[-1]:
                performer = performers.get(type(command))
                if performer is None:
                    return self._call(command)
                performer(command)
            left.pop()
        return self._next()

    def _report(self, command: Report) -> None:
        if self._watchers.report is not None:
            self._watchers.report(command.level, command.text)

    def _stop(self, command: Stop) -> None:
        self._exit = command.code
        call_in(self._kernel, LAST_WORDS_S, self._end)

    def _call(self, command: Message) -> Step:
        if type(command) is m.Unregister:
            assert self._link is not None
            self._link.let_go(command.lease)
        procedure = table.start(command)
        assert procedure is not None, f"nobody carries out {type(command).__name__}"
        self._open += 1
        return Step(procedure, self.put)

    # --- procedures ---

    def _advance(self, step: Step) -> float:
        """Send the answer (None at the start) into the procedure. The cost: to build the next request."""
        self._advanced = step
        self._inside = False
        try:
            self._request = request = step.procedure.send(step.answer)  # type: ignore[arg-type]
        except StopIteration as stop:
            self._open -= 1
            self._request, self._returned = None, stop.value
            self._inside = not self._left and stop.value is not None and type(stop.value) not in _FELT
            return 0.0
        if isinstance(request, Pause):
            return 0.0
        return built_s(self._values, request)

    def _send(self, step: Step) -> Item | None:
        """What the procedure wants is done; what comes next."""
        request = self._request
        if request is None:
            return self._answered(self._returned)
        if isinstance(request, Pause):
            call_in(self._kernel, request.seconds, step.reply, Resumed())
        else:
            assert self._link is not None
            self._link.send(request, step.reply)
        return self._go_on()

    def _answered(self, event: Message | None) -> Item | None:
        if type(event) is Registered:
            assert self._link is not None
            self._link.keep_alive(event.lease, event.ttl_s)
            effect = self._effects.get(Registered)
            if effect is not None:
                effect(event)
        elif type(event) is Failed:
            self._report(Report("error", f"{event.call}: {event.detail}"))
        return self._go_on() if event is None else event

    def _end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None and self._process.alive:
            ended(self._exit or 0)


_FELT = frozenset({Registered, Failed})
"""Answers that do something besides going to the machine."""


def _ignored(command: Message) -> None:
    """What nobody wants to know."""
