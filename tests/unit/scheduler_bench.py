"""A scheduler's machine with a clock, and what it is told."""

from collections.abc import Sequence
from typing import TypeVar

from core.kv import keys
from core.kv.requests import Change, Kv
from core.machine.messages import (
    Assign,
    AssignDone,
    Changes,
    Load,
    Loaded,
    Message,
    Now,
    QueuePage,
    Register,
    Registered,
    Started,
)
from core.machine.scheduler import SchedulerMachine
from core.model import Marker, SchedulerRecord, TaskSpec, WorkerRecord
from core.settings import SchedulerSettings

M = TypeVar("M", bound=Message)
ME = "s.1"
MEMBERS = (ME, "t.2", "u.3")
WALL = 1_000_000.0


def only(kind: type[M], commands: Sequence[Message]) -> list[M]:
    return [command for command in commands if isinstance(command, kind)]


def task_id(number: int) -> str:
    return f"{number:032x}"


def ready(number: int, revision: int = 2, *, kind: str = "echo", priority: int = 5, queue: str = "default") -> Kv:
    spec = TaskSpec(task_id(number), kind, queue, priority=priority)
    return Kv(keys.ready(queue, priority, spec.id), Marker(spec), revision)


def put(kv: Kv) -> Change:
    return Change(kv.key, kv.value, kv.mod_revision, version=1)


class Bench:
    """A machine, its clock, and the commands of the last step. `validate` is called after every step."""

    def __init__(self, settings: SchedulerSettings | None = None) -> None:
        self.machine = SchedulerMachine(SchedulerRecord("s"), settings or SchedulerSettings(min_fill=1))
        self.mono = 10.0
        self.revision = 100

    def __call__(self, event: Message, after_s: float = 0.0) -> Sequence[Message]:
        self.mono += after_s
        commands = self.machine.handle(event, Now(self.mono, self.mono + WALL))
        self.machine.validate()
        return commands

    def loaded(
        self,
        kvs: Sequence[Kv] = (),
        *,
        workers: dict[str, int] | None = None,
        members: Sequence[str] = (ME,),
        runs: Sequence[str] = (),
        types: tuple[str, ...] = ("echo",),
        next_due_at: float | None = None,
    ) -> Loaded:
        live = {"w.1": 2} if workers is None else workers
        return Loaded(
            self.revision,
            tuple(Kv(keys.worker(name), WorkerRecord(name, slots, (), types), 1) for name, slots in live.items()),
            tuple(Kv(keys.scheduler(name), SchedulerRecord(name), 1) for name in members),
            tuple(runs),
            tuple(QueuePage(p.queue, tuple(sorted(p.kvs, key=lambda kv: kv.key)), p.more) for p in self.queues(kvs)),
            next_due_at,
        )

    @staticmethod
    def queues(kvs: Sequence[Kv]) -> list[QueuePage]:
        names = sorted({kv.key.split("/")[1] for kv in kvs})
        return [QueuePage(n, tuple(kv for kv in kvs if kv.key.split("/")[1] == n), more=False) for n in names]

    def up(self, loaded: Loaded) -> Sequence[Message]:
        """Register and load."""
        assert only(Register, self(Started()))
        assert only(Load, self(Registered(ME, 7, 5.0)))
        return self(loaded)

    def changes(self, watch: str, *changes: Change) -> Sequence[Message]:
        self.revision += 1
        return self(Changes(watch, changes, self.revision))


def numbers(commands: Sequence[Message]) -> list[int]:
    return [int(item.marker.spec.id, 16) for command in only(Assign, commands) for item in command.items]


def done(command: Assign) -> AssignDone:
    return AssignDone(command.batch, tuple(range(len(command.items))), ())
