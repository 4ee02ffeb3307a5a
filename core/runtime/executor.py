"""Runs handlers in slots, one thread each.

Threads, because handlers may block and a payload must not wait for an event loop; daemonic, because a handler that
never returns must not keep a worker from stopping (its task is handed back at the drain limit).

Theory of operation. Jobs stand in one deque, results in another; both are only appended to and popped from, which
Python does atomically. A slot is *idle* (in `_idle`, waiting at its gate), *away* (in a handler that may take long) or
a *runner*: awake, and soon back at the deque. While jobs are left there is a runner, or no slot is idle. A runner takes
jobs until none is left. Before one of a slow or unknown type it hands over all results and goes away; before a quick
one (see `core.policy.pace`) it stays a runner and keeps its results until they are worth a hand-over. So a lot of quick
jobs costs one wake-up of a slot and one of the machine's thread.

The watch thread is for quick handlers that turn out slow. It is awake only while jobs or results depend on a handler
that was expected to be quick (`_watching`), and then looks every `LOOK_S`: results that lie too long it hands over, a
runner that stalls it declares away, and the jobs behind it get slots of their own.

`_lock` guards `_idle`, `_runners`, `_watching` and each slot's `away`. Nothing is called under it but the opening of
gates. Whoever sees nothing to do says so and looks again, or looks under the lock: no wake-up is lost.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from core.handlers import Handlers
from core.machine.messages import Finished, Job, Result
from core.policy.pace import LOT_S, STALL_S, Pace, need
from core.runtime.handling import Kinds

LOOK_S = 0.001
"""Between two looks of the watch thread. A quick handler that blocks holds others up for one to two of these."""
RECHECK_S = 0.0002
"""A runner that seems to stall may only lack the interpreter lock: the watch thread lets go of it once more."""


class _Slot:
    __slots__ = ("away", "gate", "job", "pace", "since")

    def __init__(self) -> None:
        self.gate = _closed_gate()
        self.away = False
        self.job: Job | None = None  # in its handler
        self.pace = Pace()  # of that job's type
        self.since = 0.0


class Executor:
    """`sink` is called with the results, in a thread of the executor."""

    def __init__(self, handlers: Handlers, slots: int, sink: Callable[[Finished], object]) -> None:
        self._sink = sink
        self._kinds = Kinds(handlers)
        self._jobs: deque[Job] = deque()
        self._done: deque[Result] = deque()
        self._slots = [_Slot() for _ in range(slots)]
        self._started = False
        self._closing = False
        self._lock = threading.Lock()
        self._idle = self._slots[::-1]
        self._runners = 0
        self._watching = False
        self._watch_gate = _closed_gate()

    def run(self, jobs: Sequence[Job]) -> None:
        """Start these jobs, or as many as there are slots and the others after them."""
        if not self._started:
            self._start()
        kinds = self._kinds
        slow, quick = need(kind.pace if (kind := kinds.get(job.marker.spec.type)) else None for job in jobs)
        self._jobs.extend(jobs)
        with self._lock:
            woken = self._wake(slow + max(0, quick - self._runners))
        if quick and not self._watching and len(self._jobs) > woken:
            self._watch()

    def close(self) -> None:
        """Idle slots end; busy ones end with their handler or with the process."""
        self._closing = True
        with self._lock:
            self._wake(len(self._slots))
        self._watch()

    def _start(self) -> None:
        self._started = True
        for number, slot in enumerate(self._slots, 1):
            threading.Thread(target=self._serve, args=(slot,), name=f"slot-{number}", daemon=True).start()
        threading.Thread(target=self._guard, name="slot-watch", daemon=True).start()

    # --- slots ---

    def _wake(self, count: int) -> int:
        """Make idle slots runners, at most `count`; how many. Under the lock."""
        count = min(count, len(self._idle))
        self._runners += count
        for _ in range(count):
            self._idle.pop().gate.release()
        return count

    def _serve(self, slot: _Slot) -> None:
        while True:
            slot.gate.acquire()
            self._run(slot)
            if self._closing:
                return

    def _run(self, slot: _Slot) -> None:
        """Run jobs until none is left and the slot is idle."""
        jobs, done, kinds, clock = self._jobs, self._done, self._kinds, time.monotonic
        since = oldest = clock()
        while True:
            try:
                job = jobs.popleft()
            except IndexError:
                self._hand_over()
                if self._rest(slot):
                    return
                since = clock()
                continue
            kind = kinds[job.marker.spec.type]
            pace = kind.pace
            if not pace.quick:
                self._hand_over()
                self._leave(slot)
                since = clock()
            elif done and since - oldest >= LOT_S:
                self._hand_over()
                since = clock()
            elif not self._watching and (jobs or done):
                self._watch()
            slot.since, slot.pace, slot.job = since, pace, job
            result, error = kind.call(job)
            finished = clock()
            slot.job = None
            if slot.away:
                self._come_back(slot)
            pace.took(finished - since)
            if not done:
                oldest = finished
            done.append(Result(job.key, job.token, result, error, since, finished))
            since = finished

    def _hand_over(self) -> None:
        """All results that lie there, whoever's they are."""
        done = self._done
        lot: list[Result] = []
        try:
            while done:
                lot.append(done.popleft())
        except IndexError:  # another thread took the last one
            pass
        if lot:
            self._sink(Finished(tuple(lot)))

    def _leave(self, slot: _Slot) -> None:
        with self._lock:
            self._to_away(slot)
            if self._jobs and not self._runners:
                self._wake(1)

    def _come_back(self, slot: _Slot) -> None:
        with self._lock:
            self._to_runner(slot)

    def _rest(self, slot: _Slot) -> bool:
        """Whether the slot is idle now; not if a job has come meanwhile."""
        with self._lock:
            self._to_runner(slot)  # the watch thread may have been late to declare it away
            if self._jobs:
                return False
            self._runners -= 1
            if not self._closing:
                self._idle.append(slot)
            return True

    def _to_away(self, slot: _Slot) -> None:
        if not slot.away:
            slot.away = True
            self._runners -= 1

    def _to_runner(self, slot: _Slot) -> None:
        if slot.away:
            slot.away = False
            self._runners += 1

    # --- the watch thread ---

    def _watch(self) -> None:
        """Wake the watch thread unless it is awake."""
        with self._lock:
            if not self._watching:
                self._watching = True
                self._watch_gate.release()

    def _guard(self) -> None:
        while not self._closing:
            self._watch_gate.acquire()
            time.sleep(LOOK_S)
            while self._look():
                time.sleep(LOOK_S)

    def _look(self) -> bool:
        """Whether to look again. If not, whoever gives a reason opens the gate."""
        if not self._at_risk():
            with self._lock:
                self._watching = False
                self._watching = self._at_risk()  # what came before it could see the former, we see here
                return self._watching
        now = time.monotonic()
        try:
            late = now - self._done[0].finished_mono >= LOT_S
        except IndexError:
            late = False
        if late:
            self._hand_over()
        held_up = [(slot, slot.job) for slot in self._slots if not slot.away and now - slot.since >= 0.75 * STALL_S]
        suspects = [(slot, job) for slot, job in held_up if job is not None]
        if suspects:
            time.sleep(RECHECK_S)
            for slot, job in suspects:
                self._rescue(slot, job)
        return True

    def _at_risk(self) -> bool:
        """Whether jobs or results depend on a handler that was expected to be quick."""
        return bool(self._done or (self._jobs and self._runners))

    def _rescue(self, slot: _Slot, job: Job) -> None:
        """The slot is away if it still has this job; those behind it are not kept waiting any longer."""
        with self._lock:
            pace = slot.pace
            if slot.job is not job or slot.away:
                return
            self._to_away(slot)
            if not self._runners:
                self._wake(len(self._jobs))
        pace.took(STALL_S)  # the next lot should know before this one ends


def _closed_gate() -> threading.Lock:
    """Opened by `release`; whoever passes it closes it."""
    gate = threading.Lock()
    gate.acquire()
    return gate
