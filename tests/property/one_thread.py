"""Every machine over one fake etcd, in one thread, with any order of events and any fault."""

from collections.abc import Callable
from random import Random

from core.kv.memory import MemoryKv
from core.kv.requests import Pause, Reason, Refused, Request, Response, Resumed, Txn, Unknown
from core.machine.api import Machine
from core.machine.client import ClientMachine
from core.machine.messages import (
    Acknowledge,
    Changes,
    Deliver,
    Drain,
    Execute,
    Finished,
    Job,
    LeaseLost,
    LeaseRenewed,
    Message,
    Now,
    Registered,
    Result,
    Started,
    Stop,
    Timer,
    Unregister,
    Watch,
    WatchLost,
)
from core.machine.scheduler import SchedulerMachine
from core.machine.worker import WorkerMachine
from core.model import NULL, SchedulerRecord, WorkerRecord
from core.procedure import table
from core.procedure.base import Procedure
from core.settings import ClientSettings, Dispatch, SchedulerSettings, WorkerSettings
from tests.conservation import Ledger

TYPES = ("echo", "rare")
PAYLOAD = NULL


class Node:
    """A machine with what its driver keeps for it."""

    def __init__(self, name: str, machine: Machine) -> None:
        self.name = name
        self.machine = machine
        self.calls: list[tuple[Procedure, Request]] = []
        self.answers: list[Message] = []
        self.watches: dict[str, tuple[int, Watch]] = {}
        self.running: list[Job] = []
        self.lease = 0
        self.silent = False  # its keepalives do not arrive
        self.stopped = False


class Cluster:
    def __init__(self, rng: Random, dispatch: Dispatch) -> None:
        self.rng = rng
        self.kv = MemoryKv(max_operations=128)
        self.ledger = Ledger(self.kv)
        self.mono = 100.0
        self.dispatch = dispatch
        self.faults = True
        self.nodes: list[Node] = []
        self.born = 0
        self.acknowledged: set[str] = set()
        self.delivered: dict[str, list[object]] = {}
        self.executions: list[tuple[str, int]] = []
        self.slots = rng.randint(1, 3)
        for _ in range(rng.randint(1, 3)):
            self.scheduler()
        for _ in range(rng.randint(1, 3)):
            self.worker(TYPES)
        self.client = self.start("client", ClientMachine(ClientSettings(max_batch=3, max_in_flight=2)))

    # --- components ---

    def start(self, name: str, machine: Machine) -> Node:
        node = Node(name, machine)
        self.nodes.append(node)
        self.handle(node, Started())
        return node

    def scheduler(self) -> None:
        self.born += 1
        chosen = SchedulerSettings(
            dispatch=self.dispatch,
            window=self.rng.choice([4, 64]),
            max_batch=self.rng.choice([1, 4]),
            max_in_flight=self.rng.randint(1, 3),
            max_buffer=self.rng.choice([0, 8]),
        )
        self.start(f"scheduler-{self.born}", SchedulerMachine(SchedulerRecord(f"s{self.born}"), chosen, trace=True))

    def worker(self, types: tuple[str, ...]) -> None:
        self.born += 1
        chosen = WorkerSettings(slots=self.slots, dispatch=self.dispatch, max_batch=self.rng.choice([1, 4]))
        record = WorkerRecord(f"w{self.born}", self.slots, (), types)
        self.start(f"worker-{self.born}", WorkerMachine(record, chosen, Random(self.born), trace=True))

    def alive(self, kind: str) -> list[Node]:
        return [node for node in self.nodes if node.name.startswith(kind) and not node.stopped]

    # --- what a driver does ---

    @property
    def now(self) -> Now:
        return Now(self.mono, self.mono + 1_000_000.0)

    def handle(self, node: Node, event: Message) -> None:
        if node.stopped:
            return
        for command in node.machine.handle(event, self.now):
            self.perform(node, command)
        node.machine.validate()

    def perform(self, node: Node, command: Message) -> None:
        match command:
            case Watch():
                self.watch(node, command)
            case Execute(jobs):
                node.running += jobs
                assert len(node.running) <= self.slots, "more tasks run than there are slots"
            case Stop():
                node.stopped = True
            case Acknowledge(ids, failed):
                assert not failed
                self.acknowledged.update(ids)
            case Deliver(outcomes):
                for task_id, outcome in outcomes:
                    self.delivered.setdefault(task_id, []).append(outcome)
            case _:
                procedure = table.start(command)
                if procedure is not None:
                    if isinstance(command, Unregister):
                        node.lease = 0
                    self.advance(node, procedure, None)

    def watch(self, node: Node, command: Watch) -> None:
        old = node.watches.pop(command.name, None)
        if old is not None:
            self.kv.unwatch(old[0])
        opened = self.kv.watch(command.key, command.end, command.revision, puts=command.puts, deletes=command.deletes)
        assert isinstance(opened, int)
        node.watches[command.name] = (opened, command)

    def advance(self, node: Node, procedure: Procedure, answer: Response | None) -> None:
        try:
            node.calls.append((procedure, procedure.send(answer)))  # type: ignore[arg-type]
        except StopIteration as stop:
            if stop.value is not None:
                node.answers.append(stop.value)

    # --- what may happen next ---

    def answer_call(self, node: Node) -> bool:
        if not node.calls:
            return False
        procedure, request = node.calls.pop(self.rng.randrange(len(node.calls)))
        if isinstance(request, Pause):
            self.advance(node, procedure, Resumed())
            return True
        fault = self.rng.choice(["", "", "", "before", "after", "full"]) if self.faults else ""
        if fault == "before":
            answer: Response = Unknown()
        elif fault == "full" and isinstance(request, Txn):
            answer = Refused(Reason.NO_SPACE)
        else:
            answer = self.kv.apply(request, self.mono)
            if fault == "after":
                answer = Unknown()
        self.ledger.check()
        self.advance(node, procedure, answer)
        return True

    def deliver_answer(self, node: Node) -> bool:
        if not node.answers:
            return False
        event = node.answers.pop(self.rng.randrange(len(node.answers)))
        if isinstance(event, Registered):
            node.lease = event.lease
        self.handle(node, event)
        return True

    def deliver_changes(self, node: Node) -> bool:
        name = self.rng.choice(sorted(node.watches)) if node.watches else ""
        if not name:
            return False
        changes, revision = self.kv.drain(node.watches[name][0])
        if changes:
            self.handle(node, Changes(name, changes, revision))
        return bool(changes)

    def finish(self, node: Node) -> bool:
        if not node.running:
            return False
        job = node.running.pop(self.rng.randrange(len(node.running)))
        assert job.marker.spec.payload == PAYLOAD
        self.executions.append((job.marker.spec.id, job.marker.attempt))
        error = "oh" if self.rng.random() < 0.3 else None
        self.handle(node, Finished((Result(job.key, job.token, NULL, error, self.mono, self.mono),)))
        return True

    def time_passes(self) -> None:
        self.mono += self.rng.choice([0.01, 0.2, 1.0])
        for node in list(self.nodes):
            if node.stopped:
                continue
            if node.lease and not node.silent and self.kv.keep_alive(node.lease, self.mono):
                self.handle(node, LeaseRenewed(node.lease, self.mono + 5.0))
            deadline = node.machine.next_deadline()
            if deadline is not None and deadline <= self.mono:
                self.handle(node, Timer())
        self.kv.expire(self.mono)
        self.ledger.check()
        for node in self.nodes:
            heard = node.lease and not node.silent and not node.stopped
            if heard and not self.kv.keep_alive(node.lease, self.mono):
                lost, node.lease = node.lease, 0
                self.handle(node, LeaseLost(lost))

    def fault(self) -> None:
        node = self.rng.choice([node for node in self.nodes if not node.stopped])
        kind = self.rng.choice(["silence", "speech", "watch lost", "kill", "drain"])
        if kind == "silence" and node.lease:
            node.silent = True
        elif kind == "speech":
            node.silent = False
        elif kind == "watch lost" and node.watches:
            name = self.rng.choice(sorted(node.watches))
            self.kv.unwatch(node.watches.pop(name)[0])
            node.answers.append(WatchLost(name))
        elif kind in {"kill", "drain"} and node is not self.client:
            self.replace(node, drain=kind == "drain")

    def replace(self, node: Node, *, drain: bool) -> None:
        if drain:
            self.handle(node, Drain())
        else:
            node.stopped = True
            node.calls.clear()
        if node.name.startswith("scheduler"):
            self.scheduler()
        else:
            self.worker(TYPES)

    def step(self) -> None:
        actions: list[Callable[[Node], bool]] = [
            self.answer_call,
            self.deliver_answer,
            self.deliver_changes,
            self.finish,
        ]
        node = self.rng.choice([node for node in self.nodes if not node.stopped or node.calls])
        if self.rng.random() < 0.05 or not self.rng.choice(actions)(node):
            self.time_passes()
        if self.faults and self.rng.random() < 0.02:
            self.fault()

    def settle(self, ids: set[str]) -> None:
        """The faults are over: everything ends, in bounded time."""
        self.faults = False
        for node in self.nodes:
            node.silent = False
        rounds_left = 10  # after the end, for whatever comes too late or twice
        for _ in range(2_000):
            for node in [node for node in self.nodes if not node.stopped or node.calls]:
                for act in (self.answer_call, self.deliver_answer, self.finish):
                    while act(node):
                        pass
                for _ in range(2 * len(node.watches)):
                    self.deliver_changes(node)
            rounds_left -= ids <= self.delivered.keys()
            if not rounds_left:
                return
            self.time_passes()
        raise AssertionError(
            f"stuck: {[(task_id, self.ledger.place(task_id)) for task_id in ids - self.delivered.keys()]}"
        )
