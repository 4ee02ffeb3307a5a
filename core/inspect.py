"""What a person wants to know: where a task is, and how the whole is doing. Procedures: no I/O here."""

from collections import Counter
from collections.abc import Generator
from itertools import pairwise

import msgspec

from core.kv import keys
from core.kv.requests import Get, Kv, Refused, Request, Response, Txn, TxnDone
from core.model import Garbage, Marker, Outcome, SchedulerRecord, TaskRecord, TaskSpec, WorkerRecord
from core.procedure.base import Patience, RefusedError, read, transact
from core.states import TaskState

PAGE = 5_000


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


class Overview(msgspec.Struct, frozen=True):
    """The whole at one revision, as far as one look can tell. Counts are tasks."""

    revision: int
    schedulers: tuple[str, ...]
    workers: tuple[WorkerStatus, ...]
    ready: dict[str, int]  # by queue
    later: int
    running: int
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
    while True:
        found = yield from read(Get(keys.task(task_id)))
        if not found.kvs or not isinstance(record := found.kvs[0].value, TaskRecord):
            return None
        spec = record.spec
        if record.outcome is not None:
            outcome = record.outcome
            state = TaskState.DEAD if outcome.verdict == "failed" else TaskState.DONE
            return TaskStatus(task_id, state, spec, outcome.attempt, outcome.losses, outcome.worker, outcome=outcome)
        status = yield from _find_marker(spec)
        if status is not None:
            return status
        # It moved while we looked: look again.


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
    """One transaction for the counts; the ready markers are looked at up to a page, for task types nobody serves."""
    ranges = (keys.SCHEDULER, keys.WORKER, keys.RUN, keys.LATER, keys.DEAD, keys.READY)
    values = (keys.SCHEDULER, keys.WORKER)
    gets = tuple(Get(p, keys.prefix_end(p), keys_only=p not in values) for p in ranges)
    patience = Patience()
    while True:
        answer = yield from transact(Txn((), gets))
        if isinstance(answer, TxnDone):
            break
        if isinstance(answer, Refused):
            raise RefusedError(answer)
        yield patience.pause()
    schedulers, workers, runs, later, dead, ready = (found.kvs for found in answer.found)
    held = Counter(run.worker for kv in runs if (run := keys.parse_run(kv.key)))
    live = tuple(_worker(kv, held) for kv in workers if isinstance(kv.value, WorkerRecord))
    first = yield from read(Get(keys.READY, keys.prefix_end(keys.READY), limit=PAGE))
    served = {handler for worker in live for handler in worker.types}
    wanted = {kv.value.spec.type for kv in first.kvs if isinstance(kv.value, Marker)}
    foreign = yield from _foreign((*schedulers, *workers, *first.kvs), (*runs, *later, *dead, *ready))
    return Overview(
        answer.revision,
        tuple(kv.key.removeprefix(keys.SCHEDULER) for kv in schedulers if isinstance(kv.value, SchedulerRecord)),
        live,
        dict(Counter(parsed.queue for kv in ready if (parsed := keys.parse_ready(kv.key)))),
        sum(1 for kv in later if keys.parse_later(kv.key)),
        sum(held.values()),
        dict(Counter(kv.key.split("/")[1] for kv in dead)),
        sum(count for worker, count in held.items() if worker not in {one.id for one in live}),
        tuple(sorted(wanted - served)),
        foreign,
    )


def _worker(kv: Kv, held: Counter[str]) -> WorkerStatus:
    record = kv.value
    assert isinstance(record, WorkerRecord)
    worker = kv.key.removeprefix(keys.WORKER)
    return WorkerStatus(
        worker, record.name, record.host, record.pid, record.slots, held[worker], record.draining, record.types
    )


def _foreign(with_values: tuple[Kv, ...], keys_only: tuple[Kv, ...]) -> Generator[Request, Response, tuple[str, ...]]:
    """Keys that are not ours: outside our prefixes, of another form, or with a value that is none of our records."""
    names = {kv.key for kv in with_values if isinstance(kv.value, Garbage)}
    parsers = {keys.RUN: keys.parse_run, keys.LATER: keys.parse_later, keys.READY: keys.parse_ready}
    for kv in keys_only:
        parse = parsers.get(kv.key.split("/")[0] + "/")
        if parse is not None and parse(kv.key) is None:
            names.add(kv.key)
    ours = sorted((keys.DEAD, keys.LATER, keys.READY, keys.RUN, keys.SCHEDULER, keys.TASK, keys.WORKER))
    gaps = [("\0", ours[0]), *((keys.prefix_end(a), b) for a, b in pairwise(ours))]
    for start, end in (*gaps, (keys.prefix_end(ours[-1]), "\x7f")):
        page = yield from read(Get(start, end, limit=100, keys_only=True))
        names |= {kv.key for kv in page.kvs}
    return tuple(sorted(names))
