"""Endings: the run marker still has our token -> the task ends, or waits for its retry.

    success          run/ -> done/{mailbox}/{id}, the outcome
    failure, again   run/ -> later/{due}/{id}, one attempt more
    failure, last    run/ -> done/{mailbox}/{id}, the outcome, and dead/{queue}/{id}

Where the token does not match, the outcome decides: if it carries our token, an earlier attempt of this very
transaction was applied; a retry leaves its trace in `later/` or `ready/`; otherwise we are fenced off.
"""

from collections.abc import Sequence

import msgspec

from core.kv import keys
from core.kv.requests import Compare, Delete, Get, Put, Refused, Txn, TxnDone, Unknown, unchanged
from core.machine.messages import Complete, CompleteDone, Ending
from core.model import DeadRecord, Marker, Outcome, Verdict
from core.procedure.base import Patience, Procedure, RefusedError, bare, transact
from core.procedure.split import Pieces

_FAILED = Verdict.FAILED  # a member of an enumeration is slow to find, and this is for every task


def complete(command: Complete) -> Procedure:
    endings = command.endings
    committed: list[int] = []
    fenced: list[int] = []
    pieces = Pieces([item.job.marker.spec.id for item in endings])
    patience = Patience()
    look = unsure = False  # `unsure`: an earlier attempt may have been applied
    while piece := pieces.next():
        answer = yield from transact(_transaction([endings[index] for index in piece], look=look, unsure=unsure))
        if isinstance(answer, Unknown):
            look = unsure = True
            pieces.again(piece)
            yield patience.pause()
        elif isinstance(answer, Refused):
            if not pieces.split(piece, answer):
                raise RefusedError(answer)
        elif answer.succeeded:
            committed += piece
        elif not look:  # rare: worth a second transaction, so that the first one carries no reads
            look = True
            pieces.again(piece)
        else:
            pieces.again(_sort_out(piece, endings, answer, committed, fenced, unsure=unsure))
    return CompleteDone(command.batch, tuple(committed), tuple(fenced))


def _transaction(endings: Sequence[Ending], *, look: bool, unsure: bool) -> Txn:
    """With `look`, the else-branch reads what tells why a compare failed."""
    compares: list[Compare] = []
    then: list[Put | Delete] = []
    orelse: list[Get] = []
    for item in endings:
        job = item.job
        spec = job.marker.spec
        compares.append(unchanged(job.key, job.token))
        then.append(Delete(job.key))
        if item.outcome is None:
            then.append(Put(_later_key(item), _retry(item)))
        else:
            then.append(Put(keys.done(spec.id), item.outcome))
            if item.outcome.verdict is _FAILED:
                reason = DeadRecord(item.outcome.error, item.outcome.attempt, item.outcome.losses)
                then.append(Put(keys.dead(spec.queue, spec.id), reason))
        if look:
            orelse += _reads(item, unsure=unsure)
    return Txn(tuple(compares), tuple(then), tuple(orelse))


def _reads(item: Ending, *, unsure: bool) -> list[Get]:
    spec = item.job.marker.spec
    reads = [Get(item.job.key, keys_only=True)]
    if unsure and item.outcome is None:
        reads += [Get(_later_key(item)), Get(keys.ready(spec.queue, spec.priority, spec.id))]
    elif unsure:
        reads.append(Get(keys.done(spec.id)))
    return reads


def _later_key(item: Ending) -> str:
    return keys.later(item.retry_at, item.job.marker.spec.id)


def _retry(item: Ending) -> Marker:
    marker = bare(item.job.marker)
    return msgspec.structs.replace(marker, attempt=marker.attempt + 1, error=item.error)


def _sort_out(
    piece: Sequence[int],
    endings: Sequence[Ending],
    answer: TxnDone,
    committed: list[int],
    fenced: list[int],
    *,
    unsure: bool,
) -> list[int]:
    """Which of a failed batch are settled; the rest is returned, to be sent again (at least one fewer)."""
    rest: list[int] = []
    found = iter(answer.found)
    for index in piece:
        item = endings[index]
        run, *traces = [next(found).kvs for _ in _reads(item, unsure=unsure)]
        if run and run[0].mod_revision == item.job.token:
            rest.append(index)
        elif any(trace and _is_ours(trace[0].value, item) for trace in traces):
            committed.append(index)
        else:
            fenced.append(index)
    return rest


def _is_ours(record: object, item: Ending) -> bool:
    """Whether the record we found is what an earlier attempt of ours wrote."""
    if item.outcome is None:
        marker = item.job.marker  # nobody else fails this very attempt
        mine = (marker.attempt + 1, marker.losses)
        return isinstance(record, Marker) and (record.attempt, record.losses) == mine
    # A burial carries the token too, and one loss more.
    mine = (item.outcome.token, item.outcome.losses)
    return isinstance(record, Outcome) and (record.token, record.losses) == mine
