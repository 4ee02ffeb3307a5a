"""Reads: a scheduler's whole picture, pages of it, a worker's own tasks, task records; and registration."""

from collections.abc import Generator, Sequence

from core.kv import keys
from core.kv.requests import (
    Found,
    Get,
    Grant,
    Granted,
    Put,
    Reason,
    Refused,
    Request,
    Response,
    Revoke,
    Revoked,
    Txn,
    TxnDone,
    Unknown,
    absent,
    present,
)
from core.machine.messages import (
    Announce,
    FetchOutcomes,
    FetchTasks,
    ListRuns,
    Load,
    Loaded,
    LoadPage,
    OutcomesFetched,
    PageLoaded,
    Reconcile,
    Reconciled,
    Register,
    Registered,
    RunsListed,
    TasksFetched,
    Unregister,
)
from core.model import Outcome, WorkerRecord
from core.procedure.base import Patience, Procedure, RefusedError, read, transact
from core.procedure.listing import list_queues

READS_PER_TXN = 100
"""Under etcd's default of 128 operations a transaction."""


def _read_together(*gets: Get) -> Generator[Request, Response, TxnDone]:
    """Several reads at one revision."""
    patience = Patience()
    while True:
        answer = yield from transact(Txn((), gets))
        if isinstance(answer, TxnDone):
            return answer
        if isinstance(answer, Refused):
            raise RefusedError(answer)
        yield patience.pause()


def _all(prefix: str, *, limit: int = 0, keys_only: bool = False) -> Get:
    return Get(prefix, keys.prefix_end(prefix), limit=limit, keys_only=keys_only)


def load(command: Load) -> Procedure:
    """One transaction for what is small; the queues page by page, at the same revision."""
    answer = yield from _read_together(
        _all(keys.WORKER),
        _all(keys.SCHEDULER),
        _all(keys.RUN, keys_only=True),
        _all(keys.LATER, limit=1, keys_only=True),
        _all(keys.READY, limit=command.ready_limit),
    )
    workers, schedulers, runs, later, ready = answer.found
    pages = yield from list_queues(ready, answer.revision, command.ready_limit)
    due = keys.parse_later(later.kvs[0].key) if later.kvs else None
    if later.kvs and due is None:  # a key that is not ours hides the first that is: promotion looks behind it
        due = keys.LaterKey(0.0, "")
    return Loaded(
        answer.revision,
        workers.kvs,
        schedulers.kvs,
        tuple(kv.key for kv in runs.kvs),
        pages,
        due.due_at if due else None,
    )


def load_page(command: LoadPage) -> Procedure:
    end = keys.after(command.until) if command.until else keys.prefix_end(keys.ready_queue(command.queue))
    page = yield from read(Get(keys.after(command.after), end, limit=command.limit))
    return PageLoaded(command.queue, command.after, page.kvs, page.more, page.revision, command.until)


def reconcile(command: Reconcile) -> Procedure:
    start = keys.after(command.after) if command.after else keys.RUN
    runs = Get(start, keys.prefix_end(keys.RUN), limit=command.limit, keys_only=True)
    answer = yield from _read_together(runs, _all(keys.WORKER, keys_only=True))
    page, workers = answer.found
    names = (keys.parse_named(keys.WORKER, kv.key) for kv in workers.kvs)
    return Reconciled(
        tuple(kv.key for kv in page.kvs),
        tuple(name for name in names if name),
        page.kvs[-1].key if page.more else "",
        answer.revision,
    )


def list_runs(command: ListRuns) -> Procedure:
    page = yield from read(_all(keys.run_worker(command.worker), limit=command.limit))
    return RunsListed(page.kvs, page.revision, page.more)


def _read_each(gets: Sequence[Get]) -> Generator[Request, Response, tuple[list[Found], int]]:
    """Many small reads, as many together as etcd allows; and the revision of the first ones."""
    found: list[Found] = []
    revision, together = 0, READS_PER_TXN
    patience = Patience()
    while len(found) < len(gets):
        answer = yield from transact(Txn((), tuple(gets[len(found) : len(found) + together])))
        if isinstance(answer, TxnDone):
            found += answer.found
            revision = revision or answer.revision
        elif isinstance(answer, Unknown):
            yield patience.pause()
        elif answer.reason in (Reason.TOO_MANY_OPERATIONS, Reason.TOO_LARGE) and together > 1:
            together //= 2
        else:
            raise RefusedError(answer)
    return found, revision


def fetch_tasks(command: FetchTasks) -> Procedure:
    found, _ = yield from _read_each([Get(keys.task(task_id)) for task_id in command.ids])
    missing = tuple(task_id for task_id, one in zip(command.ids, found, strict=True) if not one.kvs)
    return TasksFetched(tuple(kv for one in found for kv in one.kvs), missing)


def fetch_outcomes(command: FetchOutcomes) -> Procedure:
    """Without ids it tells the revision only.

    An outcome that comes after the first of several reads is seen twice, by a later read and by the watch: harmless.
    """
    ids = command.ids
    gets = [get for task_id in ids for get in (Get(keys.done(task_id)), Get(keys.task(task_id), keys_only=True))]
    found, revision = yield from _read_each(gets or [Get(keys.DONE, keys_only=True)])
    outcomes: list[tuple[str, Outcome]] = []
    missing: list[str] = []
    for task_id, done, task in zip(ids, found[::2], found[1::2], strict=False):
        if done.kvs and isinstance(outcome := done.kvs[0].value, Outcome):
            outcomes.append((task_id, outcome))
        elif not task.kvs:
            missing.append(task_id)
    return OutcomesFetched(tuple(outcomes), tuple(missing), revision)


def register(command: Register) -> Procedure:
    """A lease, and the component's record under it."""
    patience = Patience()
    prefix = keys.WORKER if isinstance(command.record, WorkerRecord) else keys.SCHEDULER
    while True:
        granted = yield Grant(command.ttl_s)
        if isinstance(granted, Refused) and granted.reason != Reason.NO_SPACE:
            raise RefusedError(granted)
        if not isinstance(granted, Granted):
            yield patience.pause()  # a lease granted without our knowing expires by itself
            continue
        component = f"{command.record.name}.{granted.lease:x}"
        key = prefix + component
        txn = Txn((absent(key),), (Put(key, command.record, granted.lease),), (Get(key, keys_only=True),))
        answer = yield from transact(txn)
        while isinstance(answer, Unknown):
            yield patience.pause()
            answer = yield from transact(txn)
        if isinstance(answer, TxnDone):  # where it failed, an unknown attempt of ours was applied
            return Registered(component, granted.lease, granted.ttl_s)
        if answer.reason != Reason.LEASE_NOT_FOUND:
            raise RefusedError(answer)


def announce(command: Announce) -> Procedure:
    """Rewrite the worker's record, if its lease still lives; then list what it was given until then."""
    key = keys.worker(command.id)
    txn = Txn((present(key),), (Put(key, command.record, command.lease),))
    patience = Patience()
    while isinstance((yield from transact(txn)), Unknown):
        yield patience.pause()
    return (yield from list_runs(ListRuns(command.id)))


def unregister(command: Unregister) -> Procedure:
    """Best effort with a few tries: a lease that is not revoked expires."""
    patience = Patience()
    for _ in range(3):
        if isinstance((yield Revoke(command.lease)), Revoked):
            break
        yield patience.pause()
    return None
