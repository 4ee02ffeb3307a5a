"""Submit: `task/{id}` absent -> the task record and its ready marker.

The client chose the ids, so the same submit again is harmless: what exists with the same specification counts as
accepted, what exists with another is a conflict.
"""

from collections.abc import Sequence

import msgspec

from core.kv import keys
from core.kv.requests import Compare, Get, Put, Reason, Refused, TxnDone, Unknown, absent
from core.kv.requests import Txn as Transaction
from core.machine.messages import SubmitBatch, SubmitDone
from core.model import INLINE_PAYLOAD_BYTES, NULL, Marker, TaskRecord, TaskSpec, same_task
from core.procedure.base import Patience, Procedure, transact
from core.procedure.split import Pieces


def first_marker(spec: TaskSpec) -> Marker:
    """The marker of a task that was never run; a large payload stays in the task record."""
    if len(spec.payload) > INLINE_PAYLOAD_BYTES:
        return Marker(msgspec.structs.replace(spec, payload=NULL), by_reference=True)
    return Marker(spec)


def submit(command: SubmitBatch) -> Procedure:
    specs = command.specs
    accepted: list[int] = []
    conflicts: list[int] = []
    existing: list[int] = []
    pieces = Pieces([spec.id for spec in specs])
    patience = Patience()
    look = False
    while piece := pieces.next():
        answer = yield from transact(_transaction([specs[index] for index in piece], look=look))
        if isinstance(answer, Unknown):
            look = True
            pieces.again(piece)
            yield patience.pause()
        elif isinstance(answer, Refused):
            if not pieces.split(piece, answer):
                refused = _sentence(answer)
                return SubmitDone(command.batch, (*accepted, *existing), tuple(conflicts), refused, tuple(existing))
        elif answer.succeeded:
            accepted += piece
        elif not look:  # rare: worth a second transaction, so that the first one carries no reads
            look = True
            pieces.again(piece)
        else:
            pieces.again(_sort_out(piece, specs, answer, existing, conflicts))
    return SubmitDone(command.batch, (*accepted, *existing), tuple(conflicts), existing=tuple(existing))


def _transaction(specs: Sequence[TaskSpec], *, look: bool) -> Transaction:
    """With `look`, the else-branch reads what tells why a compare failed."""
    compares: list[Compare] = []
    then: list[Put] = []
    orelse: list[Get] = []
    for spec in specs:
        key = keys.task(spec.id)
        compares.append(absent(key))
        then.append(Put(key, TaskRecord(spec)))
        then.append(Put(keys.ready(spec.queue, spec.priority, spec.id), first_marker(spec)))
        if look:
            orelse.append(Get(key))
    return Transaction(tuple(compares), tuple(then), tuple(orelse))


def _sort_out(
    piece: Sequence[int], specs: Sequence[TaskSpec], answer: TxnDone, existing: list[int], conflicts: list[int]
) -> list[int]:
    """Which of a failed batch exist already; the rest is returned, to be sent again (at least one fewer)."""
    rest: list[int] = []
    for index, found in zip(piece, answer.found, strict=True):
        if not found.kvs:
            rest.append(index)
            continue
        record = found.kvs[0].value
        same = isinstance(record, TaskRecord) and same_task(record.spec, specs[index])
        (existing if same else conflicts).append(index)
    return rest


def _sentence(refused: Refused) -> str:
    if refused.reason == Reason.TOO_LARGE:
        return "the task is larger than etcd takes in one request: put the data elsewhere and pass its address"
    return f"etcd refused the task: {refused.reason} {refused.detail}"
