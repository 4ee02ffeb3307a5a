"""What a person wants to know: where a task is, and how the whole is doing. Procedures: no I/O here."""

from collections import Counter
from collections.abc import Callable, Generator
from itertools import pairwise

import msgspec

from core.kv import keys
from core.kv.requests import Get, Kv, Refused, Request, Response, Txn, TxnDone
from core.model import (
    DeadRecord,
    Marker,
    Outcome,
    Record,
    SchedulerRecord,
    TaskRecord,
    TaskSpec,
    WorkerRecord,
)
from core.procedure.base import Patience, RefusedError, read, transact
from core.states import TaskState

PAGE = 5_000
"""Markers and tasks of each kind whose values are looked at: enough to find a mistake, little enough to be quick."""
FOREIGN_PAGE = 100


class TaskStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a task is. `where` is the worker it runs on, or `due_at` when it waits for its retry."""

    id: str
    state: TaskState
    spec: TaskSpec
    attempt: int = 1
    losses: int = 0
    worker: str = ""
    due_at: float | None = None
    last_error: str = ""
    outcome: Outcome | None = None


class WorkerStatus(msgspec.Struct, frozen=True):
    id: str
    name: str
    host: str
    pid: int
    slots: int
    assigned: int
    draining: bool
    types: tuple[str, ...]


class SchedulerStatus(msgspec.Struct, frozen=True):
    id: str
    name: str
    host: str
    pid: int


class Overview(msgspec.Struct, frozen=True):
    """The whole at one revision, as far as one look can tell. Counts are tasks."""

    revision: int
    schedulers: tuple[SchedulerStatus, ...]
    workers: tuple[WorkerStatus, ...]
    ready: dict[str, int]  # by queue
    later: int
    running: int
    ended: int  # with an outcome: the dead ones are among them
    dead: dict[str, int]  # by queue
    orphaned: int  # assigned to workers that are gone; a scheduler will requeue them
    unserved: tuple[str, ...]  # task types that wait although no live worker has a handler
    foreign: tuple[str, ...]  # keys under the namespace that are not Tandem's; they are left alone

    @property
    def types(self) -> tuple[str, ...]:
        """Task types that some live worker has a handler for."""
        return tuple(sorted({handler for worker in self.workers for handler in worker.types}))


def describe_task(task_id: str) -> Generator[Request, Response, TaskStatus | None]:
    """None where there is no such task."""
    patience = Patience()
    found = yield from read(Get(keys.task(task_id)))
    if not found.kvs or not isinstance(record := found.kvs[0].value, TaskRecord):
        return None
    spec = record.spec
    while True:
        done = yield from read(Get(keys.done(task_id)))
        if done.kvs and isinstance(outcome := done.kvs[0].value, Outcome):
            state = TaskState.DEAD if outcome.verdict == "failed" else TaskState.DONE
            return TaskStatus(task_id, state, spec, outcome.attempt, outcome.losses, outcome.worker, outcome=outcome)
        status = yield from _find_marker(spec)
        if status is not None:
            return status
        yield patience.pause()  # it moved while we looked: look again


def _find_marker(spec: TaskSpec) -> Generator[Request, Response, TaskStatus | None]:
    ready = yield from read(Get(keys.ready(spec.queue, spec.priority, spec.id)))
    if ready.kvs and isinstance(marker := ready.kvs[0].value, Marker):
        return _status(spec, TaskState.READY, marker)
    for prefix, state in ((keys.RUN, TaskState.RUNNING), (keys.LATER, TaskState.LATER)):
        key = yield from _scan(prefix, spec.id)
        if key is None:
            continue
        found = yield from read(Get(key))
        if found.kvs and isinstance(marker := found.kvs[0].value, Marker):
            run, later = keys.parse_run(key), keys.parse_later(key)
            if state == TaskState.RUNNING and run is not None:
                return _status(spec, state, marker, worker=run.worker)
            return _status(spec, state, marker, due_at=later.due_at if later else None)
    return None


def _status(
    spec: TaskSpec, state: TaskState, marker: Marker, *, worker: str = "", due_at: float | None = None
) -> TaskStatus:
    return TaskStatus(spec.id, state, spec, marker.attempt, marker.losses, worker, due_at, marker.error)


def _scan(prefix: str, task_id: str) -> Generator[Request, Response, str | None]:
    start = prefix
    while True:
        page = yield from read(Get(start, keys.prefix_end(prefix), limit=PAGE, keys_only=True))
        for kv in page.kvs:
            if kv.key.endswith(task_id):
                return kv.key
        if not page.more:
            return None
        start = keys.after(page.kvs[-1].key)


def overview() -> Generator[Request, Response, Overview]:
    """One transaction for the counts. Values are looked at up to a page: for types nobody serves, and for garbage."""
    ranges = (keys.SCHEDULER, keys.WORKER, keys.RUN, keys.LATER, keys.DEAD, keys.READY)
    values = (keys.SCHEDULER, keys.WORKER)
    gets = (
        *(Get(p, keys.prefix_end(p), keys_only=p not in values) for p in ranges),
        Get(keys.DONE, keys.prefix_end(keys.DONE), count_only=True),
    )
    patience = Patience()
    while True:
        answer = yield from transact(Txn((), gets))
        if isinstance(answer, TxnDone):
            break
        if isinstance(answer, Refused):
            raise RefusedError(answer)
        yield patience.pause()
    schedulers, workers, runs, later, dead, ready, _ = (found.kvs for found in answer.found)
    held = Counter(run.worker for kv in runs if (run := keys.parse_run(kv.key)))
    live = tuple(_worker(kv, held) for kv in workers if _ours(kv))
    pages: list[Kv] = []
    for prefix in (keys.READY, keys.RUN, keys.LATER, keys.DEAD, keys.DONE, keys.TASK):
        page = yield from read(Get(prefix, keys.prefix_end(prefix), limit=PAGE))
        pages += page.kvs
    served = {handler for worker in live for handler in worker.types}
    wanted = {kv.value.spec.type for kv in pages if kv.key.startswith(keys.READY) and isinstance(kv.value, Marker)}
    foreign = yield from _foreign((*schedulers, *workers, *pages), (*runs, *later, *dead, *ready))
    return Overview(
        answer.revision,
        tuple(_scheduler(kv) for kv in schedulers if _ours(kv)),
        live,
        dict(Counter(parsed.queue for kv in ready if (parsed := keys.parse_ready(kv.key)))),
        sum(1 for kv in later if keys.parse_later(kv.key)),
        sum(held.values()),
        answer.found[-1].count,
        dict(Counter(buried.queue for kv in dead if (buried := keys.parse_dead(kv.key)))),
        sum(count for worker, count in held.items() if worker not in {one.id for one in live}),
        tuple(sorted(wanted - served)),
        foreign,
    )


def _scheduler(kv: Kv) -> SchedulerStatus:
    record = kv.value
    assert isinstance(record, SchedulerRecord)
    return SchedulerStatus(kv.key.removeprefix(keys.SCHEDULER), record.name, record.host, record.pid)


def _worker(kv: Kv, held: Counter[str]) -> WorkerStatus:
    record = kv.value
    assert isinstance(record, WorkerRecord)
    worker = kv.key.removeprefix(keys.WORKER)
    return WorkerStatus(
        worker, record.name, record.host, record.pid, record.slots, held[worker], record.draining, record.types
    )


def _foreign(with_values: tuple[Kv, ...], keys_only: tuple[Kv, ...]) -> Generator[Request, Response, tuple[str, ...]]:
    r"""Keys that are not ours: outside our prefixes, of another form, or with a value that is none of our records.

    Printable: bytes that are not UTF-8 appear as `\xff`.
    """
    names = {kv.key for kv in (*with_values, *keys_only) if not _ours(kv)}
    ours = sorted(_SHAPES)
    gaps = [("", ours[0]), *((keys.prefix_end(a), b) for a, b in pairwise(ours))]
    gaps += [(keys.TASK, keys.task("0")), (keys.task("g"), keys.prefix_end(keys.TASK))]  # no id is there
    for start, end in (*gaps, (keys.prefix_end(ours[-1]), keys.LAST)):
        page = yield from read(Get(start, end, limit=FOREIGN_PAGE, keys_only=True))
        names |= {kv.key for kv in page.kvs}
    return tuple(sorted(key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for key in names))


_SHAPES: dict[str, tuple[Callable[[str], object], type[Record]]] = {
    keys.DEAD: (keys.parse_dead, DeadRecord),
    keys.DONE: (keys.parse_done, Outcome),
    keys.LATER: (keys.parse_later, Marker),
    keys.READY: (keys.parse_ready, Marker),
    keys.RUN: (keys.parse_run, Marker),
    keys.SCHEDULER: (lambda key: keys.parse_named(keys.SCHEDULER, key), SchedulerRecord),
    keys.TASK: (lambda key: keys.is_task_id(key.removeprefix(keys.TASK)), TaskRecord),
    keys.WORKER: (lambda key: keys.parse_named(keys.WORKER, key), WorkerRecord),
}
"""What a key under each prefix must look like, and what it must hold."""


def _ours(kv: Kv) -> bool:
    parse, kind = _SHAPES[kv.key.split("/")[0] + "/"]
    return bool(parse(kv.key)) and (kv.value is None or isinstance(kv.value, kind))
