"""A worker's machine with a clock, and what it is told."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from msgspec import Raw

from core.kv import keys
from core.kv.requests import Change, Kv
from core.machine.messages import (
    Changes,
    Complete,
    CompleteDone,
    Execute,
    Finished,
    Job,
    Message,
    Now,
    Register,
    Registered,
    Result,
    RunsListed,
    Started,
)
from core.machine.worker import WorkerMachine
from core.model import Marker, TaskSpec, WorkerRecord
from core.settings import WorkerSettings

M = TypeVar("M", bound=Message)
WALL = 1_000_000.0
BIG = Raw(b'"big"')


def only(kind: type[M], commands: Sequence[Message]) -> list[M]:
    return [command for command in commands if isinstance(command, kind)]


def task_id(number: int) -> str:
    return f"{number:032x}"


def run(number: int, revision: int = 50, *, worker: str = "w.1", by_reference: bool = False, attempt: int = 1) -> Kv:
    spec = TaskSpec(task_id(number), "echo", max_attempts=2)
    return Kv(keys.run(worker, spec.id), Marker(spec, attempt, by_reference=by_reference), revision)


def put(kv: Kv) -> Change:
    return Change(kv.key, kv.value, kv.mod_revision, version=1)


class Bench:
    def __init__(self, settings: WorkerSettings | None = None) -> None:
        self.machine = WorkerMachine(WorkerRecord("w", 2), settings or WorkerSettings(slots=2, min_fill=1), Random(1))
        self.mono = 10.0

    def __call__(self, event: Message, after_s: float = 0.0) -> Sequence[Message]:
        self.mono += after_s
        commands = self.machine.handle(event, Now(self.mono, self.mono + WALL))
        self.machine.validate()
        return commands

    def up(self, *kvs: Kv) -> Sequence[Message]:
        assert only(Register, self(Started()))
        self(Registered("w.1", 7, 5.0))
        return self(RunsListed(kvs, 60))

    def receive(self, *kvs: Kv) -> Sequence[Message]:
        return self(Changes("run", tuple(put(kv) for kv in kvs), 70))

    def finish(self, *jobs: Job, error: str | None = None) -> Sequence[Message]:
        return self(Finished(tuple(Result(j.key, j.token, Raw(b"1"), error, self.mono, self.mono) for j in jobs)))


def started(commands: Sequence[Message]) -> list[Job]:
    return [job for command in only(Execute, commands) for job in command.jobs]


def done(command: Complete, *fenced: int) -> CompleteDone:
    committed = tuple(index for index in range(len(command.endings)) if index not in fenced)
    return CompleteDone(command.batch, committed, fenced)
