"""Assign: the ready marker is unchanged and the worker takes tasks -> the marker moves to `run/{worker}/{id}`.

A worker that drains rewrites its record: from that revision on nothing can be assigned to it, so that what it lists
then is all that it must hand back.
"""

from collections.abc import Sequence

from core.kv import keys
from core.kv.requests import Compare, Delete, Get, Kv, Put, Refused, Txn, TxnDone, Unknown, unchanged, unrevised
from core.machine.messages import Assign, AssignDone, Assignment
from core.model import Marker
from core.procedure.base import Patience, Procedure, RefusedError, transact
from core.procedure.split import Pieces


def assign(command: Assign) -> Procedure:
    items = command.items
    assigned: list[int] = []
    lost: list[int] = []
    gone: set[str] = set()
    look = unsure = False  # `unsure`: an earlier attempt may have been applied; a changed marker may be our own doing
    pieces = Pieces([item.marker.spec.id for item in items])
    patience = Patience()
    while piece := pieces.next():
        piece = [index for index in piece if items[index].worker not in gone]
        if not piece:
            continue
        answer = yield from transact(_transaction([items[index] for index in piece], look=look, check_runs=unsure))
        if isinstance(answer, Unknown):
            look = unsure = True
            pieces.again(piece)
            yield patience.pause()
        elif isinstance(answer, Refused):
            if not pieces.split(piece, answer):
                raise RefusedError(answer)
        elif answer.succeeded:
            assigned += piece
        elif not look:  # rare: worth a second transaction, so that the first one carries no reads
            look = True
            pieces.again(piece)
        else:
            pieces.again(_sort_out(piece, command, answer, assigned, lost, gone, check_runs=unsure))
    return AssignDone(command.batch, tuple(assigned), tuple(lost), tuple(sorted(gone)))


def _workers(items: Sequence[Assignment]) -> list[str]:
    return sorted({item.worker for item in items})


def _transaction(items: Sequence[Assignment], *, look: bool, check_runs: bool) -> Txn:
    """With `look`, the else-branch reads what tells why a compare failed."""
    compares: list[Compare] = []
    then: list[Put | Delete] = []
    orelse: list[Get] = []
    for item in items:
        run_key = keys.run(item.worker, item.marker.spec.id)
        compares.append(unchanged(item.ready_key, item.ready_revision))
        then.append(Delete(item.ready_key))
        then.append(Put(run_key, item.marker))
        if look:
            orelse.append(Get(item.ready_key, keys_only=True))
        if check_runs:
            orelse.append(Get(run_key))
    for worker in _workers(items):
        compares.append(unrevised(keys.worker(worker)))
        if look:
            orelse.append(Get(keys.worker(worker), keys_only=True))
    return Txn(tuple(compares), tuple(then), tuple(orelse))


def _sort_out(
    piece: Sequence[int],
    command: Assign,
    answer: TxnDone,
    assigned: list[int],
    lost: list[int],
    gone: set[str],
    *,
    check_runs: bool,
) -> list[int]:
    """Why the batch failed. Returns what to send again: fewer items, or fewer workers."""
    items = [command.items[index] for index in piece]
    found = iter(answer.found)
    rest: list[int] = []
    for index, item in zip(piece, items, strict=True):
        ready = next(found).kvs
        run = next(found).kvs if check_runs else ()
        if ready and ready[0].mod_revision == item.ready_revision:
            rest.append(index)
        elif run and _is_ours(run[0], command):
            assigned.append(index)
        else:
            lost.append(index)
    for worker in _workers(items):
        record = next(found).kvs
        if not record or record[0].version != 1:
            gone.add(worker)
    return rest


def _is_ours(run: Kv, command: Assign) -> bool:
    marker = run.value
    return isinstance(marker, Marker) and marker.scheduler == command.scheduler and marker.batch == command.batch
