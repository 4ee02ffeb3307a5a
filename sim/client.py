"""The load generator's process: calls submit when a task is due, and hears of the outcomes.

Open load: what is due is submitted together, however far behind the system is. Closed load: a thread that hears of the
ends of tasks, and submits as many together.
"""

import msgspec

from core.kv import keys
from core.machine.messages import Acknowledge, Deliver, Submit
from core.machine.replay import build, header
from sim.component import Surroundings
from sim.driver import Driver
from sim.kernel import call_in
from sim.link import Link
from sim.process import Process
from sim.steps import Costs

NAME = "client-1"


class LoadGenerator:
    """`done` is called when every task has ended or was refused."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        config, values = surroundings.config, surroundings.values
        self._load = config.load
        self._next = 0
        self._start = 0.0
        self._room = 0  # closed load: so many fewer are in flight than there may be
        self._awake = False
        self.pending = 0
        self.finished = surroundings.kernel.event()
        self.process = Process(surroundings.host, NAME, values)
        max_batch = min(config.client.max_batch, surroundings.tasks_per_txn())
        recording = header("client", msgspec.structs.replace(config.client, max_batch=max_batch), trace=config.trace)
        self.driver = Driver(
            surroundings.kernel,
            build(recording),
            self.process,
            values,
            Costs(values.client_event_s, values.client_item_s),
            {Acknowledge: self._acknowledged, Deliver: self._delivered},
            surroundings.watchers(NAME, 1, recording),
            surroundings.wall_base,
            lambda _: None,
        )
        stream = surroundings.streams["network/" + NAME]
        self._link = Link(surroundings.kernel, surroundings.etcd, self.process, values, stream, self.driver.put)
        self.driver.start(self._link)

    def start(self) -> None:
        """The start of the load is now."""
        self._start = self._around.kernel.now
        if not self._load.specs:
            self.finished.succeed()
        elif self._load.in_flight is None:
            self._wait()
        else:
            self._room = self._load.in_flight
            self._submit_next()

    # --- open ---

    def _wait(self) -> None:
        if self._next < len(self._load.specs):
            due = self._start + float(self._load.intended_s[self._next])
            wait_s = due - self._around.kernel.now
            late_s = (
                max(0.0, self._around.values.sleep_overshoot_s - self._around.values.alarm_s) if wait_s > 0 else 0.0
            )
            call_in(self._around.kernel, max(0.0, wait_s) + late_s, self._due)

    def _due(self) -> None:
        self.process.alarm(self._gather, self._submitted)

    def _gather(self) -> float:
        intended_s, last = self._load.intended_s, self._next + 1
        elapsed_s = self.process.clock - self._start
        while last < len(intended_s) and float(intended_s[last]) <= elapsed_s:
            last += 1
        self._batch = self._load.specs[self._next : last]
        self._next = last
        return self._around.values.submit_call_s + self._around.values.submit_item_s * len(self._batch)

    def _submitted(self) -> None:
        self.pending += len(self._batch)
        self.driver.put(Submit(tuple(self._batch), self._around.kernel.now, follow=True))
        self._wait()

    # --- closed ---

    def _submit_next(self) -> None:
        """The thread that submits is told of each end. It gets its turn as one that brings messages does: late."""
        if self._next < len(self._load.specs) and not self._awake:
            self._awake = True
            values = self._around.values
            self.process.message(values.submit_call_s + values.submit_item_s * self._room, self._submit, hops=True)

    def _submit(self) -> None:
        """As many as have ended by now."""
        self._awake = False
        last = min(self._next + self._room, len(self._load.specs))
        batch = self._load.specs[self._next : last]
        self._next, self._room = last, 0
        self.pending += len(batch)
        self.driver.put(Submit(tuple(batch), self.process.clock, follow=True))

    # --- what comes back ---

    def _acknowledged(self, command: Acknowledge) -> None:
        self._ended(len(command.failed))

    def _delivered(self, command: Deliver) -> None:
        put_away = self._around.etcd.kv.records.put_away
        for task_id, _ in command.outcomes:
            put_away(keys.task(task_id))
            put_away(keys.done(task_id))
        self._ended(len(command.outcomes))

    def _ended(self, count: int) -> None:
        self.pending -= count
        if self._load.in_flight is not None:
            self._room += count
            self._submit_next()
        if count and not self.pending and self._next == len(self._load.specs):
            self.finished.succeed()

    @property
    def cpu_s(self) -> float:
        """CPU seconds, with what the process does of its own accord."""
        return self.process.cpu_s + self._around.values.client_idle_cpu * self._around.kernel.now

    @property
    def unfinished(self) -> int:
        return self.pending + len(self._load.specs) - self._next
