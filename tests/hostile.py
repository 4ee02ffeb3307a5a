"""A trampoline that runs procedures over the fake etcd and lets go wrong what can.

Lost requests, lost answers, limits, and other components that act between any two steps.
"""

from collections.abc import Callable, Generator
from random import Random
from typing import TypeVar

from msgspec.structs import replace

from core.kv import keys
from core.kv.memory import MemoryKv
from core.kv.requests import (
    Get,
    Grant,
    Granted,
    Kv,
    Pause,
    Put,
    Reason,
    Refused,
    Request,
    Response,
    Resumed,
    Revoke,
    Txn,
    Unknown,
)
from core.machine.messages import (
    Assign,
    Assignment,
    Complete,
    Ending,
    Job,
    Message,
    Promote,
    Requeue,
    SubmitBatch,
)
from core.model import Marker, Outcome, TaskSpec, Verdict, WorkerRecord
from core.procedure.table import start
from tests.conservation import Ledger

T = TypeVar("T")
FAULTS = 6
"""So many requests of one procedure are spoilt at most: it must end, and it can only do so once etcd answers."""


def task_id(number: int) -> str:
    return f"{number:032x}"


def spec(number: int, **changes: object) -> TaskSpec:
    return replace(TaskSpec(task_id(number), "echo", max_losses=2, backoff_s=0.01), **changes)


class World:
    """A store with workers, tasks, and rivals."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.kv = MemoryKv(max_operations=rng.choice([6, 10, 128, 512]))
        self.max_puts = rng.choice([2, 5, 1000])  # more are "too large"
        self.ledger = Ledger(self.kv)
        self.leases: dict[str, int] = {}
        self.wall = 1000.0
        self.ours: set[str] = set()  # workers for whom nobody else completes: they are under test
        self.batch = 0
        for worker in ("w1", "w2"):
            self.birth(worker)

    def birth(self, worker: str) -> None:
        granted = self.kv.apply(Grant(5.0), 0.0)
        assert isinstance(granted, Granted)
        self.leases[worker] = granted.lease
        put = Put(keys.worker(worker), WorkerRecord(worker, 4, (), ("echo",)), granted.lease)
        self.kv.apply(Txn((), (put,)), 0.0)

    def kill(self, worker: str) -> None:
        if worker in self.leases:
            self.kv.apply(Revoke(self.leases.pop(worker)), 0.0)

    def listing(self, prefix: str) -> list[Kv]:
        found = self.kv.apply(Get(prefix, keys.prefix_end(prefix)), 0.0)
        return list(found.kvs)  # type: ignore[union-attr]

    # --- running procedures ---

    def calm(self, procedure: Generator[Request, Response, T]) -> T:
        """Run it with nothing going wrong."""
        unlimited, self.kv.max_operations = self.kv.max_operations, 10_000
        answer: Response | None = None
        try:
            while True:
                request = procedure.send(answer)  # type: ignore[arg-type]
                answer = Resumed() if isinstance(request, Pause) else self.kv.apply(request, 0.0)
                self.ledger.check()
        except StopIteration as stop:
            value: T = stop.value
            return value
        finally:
            self.kv.max_operations = unlimited

    def do(self, command: Message) -> Message | None:
        procedure = start(command)
        assert procedure is not None
        return self.calm(procedure)

    def hostile(self, command: Message, interfere: Callable[[], None]) -> Message | None:
        """Run the procedure for `command` with faults, and `interfere` before and after any request."""
        procedure = start(command)
        assert procedure is not None
        answer: Response | None = None
        faults = 0
        for _ in range(500):
            try:
                request = procedure.send(answer)  # type: ignore[arg-type]
            except StopIteration as stop:
                event: Message | None = stop.value
                return event
            if isinstance(request, Pause):
                answer = Resumed()
                continue
            self._maybe(interfere)
            fault = self.rng.choice(["", "", "lost request", "lost answer", "full"]) if faults < FAULTS else ""
            faults += fault != ""
            puts = [op for op in request.then if isinstance(op, Put)] if isinstance(request, Txn) else []
            if fault == "lost request":
                answer = Unknown("lost before it was applied")
            elif fault == "full":
                answer = Refused(Reason.NO_SPACE, "quota")
            elif len(puts) > self.max_puts:
                answer = Refused(Reason.TOO_LARGE, "request is too large")
            else:
                answer = self.kv.apply(request, 0.0)
                if fault:
                    answer = Unknown("lost after it was applied")
            self.ledger.check()
            self._maybe(interfere)
        raise AssertionError(f"{type(command).__name__} does not end")

    def _maybe(self, interfere: Callable[[], None]) -> None:
        if self.rng.random() < 0.3:
            interfere()
            self.ledger.check()

    # --- what a cluster does ---

    def submit(self, *specs: TaskSpec) -> None:
        self.do(SubmitBatch(0, specs))

    def assignments(self, workers: tuple[str, ...], scheduler: str, count: int = 100) -> Assign | None:
        """An assignment of what is ready now."""
        self.batch += 1
        ready = [kv for kv in self.listing(keys.READY) if isinstance(kv.value, Marker)][:count]
        items = tuple(
            Assignment(
                kv.key,
                kv.mod_revision,
                self.rng.choice(workers),
                replace(kv.value, scheduler=scheduler, batch=self.batch),
            )
            for kv in ready
            if isinstance(kv.value, Marker)
        )
        return Assign(self.batch, scheduler, items, 0.0) if items else None

    def assign(self, *workers: str, scheduler: str = "rival", count: int = 100) -> None:
        command = self.assignments(workers, scheduler, count)
        if command is not None:
            self.do(command)

    def jobs(self, worker: str) -> list[Job]:
        return [
            Job(kv.key, kv.mod_revision, kv.value)
            for kv in self.listing(keys.run_worker(worker))
            if isinstance(kv.value, Marker)
        ]

    def endings(self, jobs: list[Job]) -> list[Ending]:
        """Success, failure for good, or a retry, as it falls."""
        return [self.ending(job, self.rng.choice(["succeeded", "failed", "retry"])) for job in jobs]

    def ending(self, job: Job, kind: str) -> Ending:
        if kind == "retry":
            return Ending(job, None, retry_at=self.wall + self.rng.choice([0.0, 5.0]), error="oh")
        marker = job.marker
        worker = job.key.split("/")[1]
        outcome = Outcome(Verdict(kind), attempt=marker.attempt, losses=marker.losses, worker=worker, token=job.token)
        return Ending(job, outcome)

    def promote(self) -> None:
        self.wall += 1.0
        self.do(Promote(self.wall, 3, "rival", ("rival",), 1.0))

    # --- rivals ---

    def rival(self) -> None:
        """Something that others may do at any time."""
        act = self.rng.choice(["assign", "assign", "complete", "promote", "kill", "requeue", "requeue"])
        worker = self.rng.choice(["w1", "w2"])
        if act == "assign":
            self.assign(*self.leases, scheduler="rival", count=2) if self.leases else None
        elif act == "complete":
            if worker not in self.ours and (jobs := self.jobs(worker)):
                self.do(Complete(1, worker, tuple(self.endings(jobs[:2]))))
        elif act == "promote":
            self.promote()
        elif act == "kill":
            self.kill(worker)
        else:
            self.do(Requeue(worker))
