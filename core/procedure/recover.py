"""Moves that bring tasks back: requeue after a worker's loss, hand-back on drain, promotion when due."""

from collections.abc import Generator, Sequence
from typing import NamedTuple

import msgspec

from core.kv import keys
from core.kv.requests import (
    Compare,
    Delete,
    Get,
    Kv,
    Put,
    Refused,
    Request,
    Response,
    Txn,
    Unknown,
    absent,
    unchanged,
)
from core.machine.messages import HandBack, HandedBack, Promote, PromoteDone, Requeue, RequeueDone
from core.model import DeadRecord, Marker, Outcome, Verdict
from core.policy.share import owner
from core.procedure.base import Patience, Procedure, RefusedError, bare, read, transact
from core.procedure.split import Pieces

PAGE = 128
"""Markers moved by one transaction: at most three operations each, under the smallest common --max-txn-ops of 512
with room; smaller limits are met by halving."""


class Move(NamedTuple):
    """One marker goes, others are written instead."""

    id: str
    key: str
    revision: int
    puts: tuple[Put, ...]


def move(moves: Sequence[Move], guards: tuple[Compare, ...] = ()) -> Generator[Request, Response, tuple[int, bool]]:
    """Carry out the moves whose marker is unchanged, while every guard holds.

    Returns how many were moved (by us, as far as we can know) and whether the guards held to the end.
    """
    done = 0
    pieces = Pieces([item.id for item in moves])
    patience = Patience()
    while piece := pieces.next():
        part = [moves[index] for index in piece]
        answer = yield from transact(_transaction(part, guards))
        if isinstance(answer, Unknown):
            pieces.again(piece)
            yield patience.pause()
        elif isinstance(answer, Refused):
            if not pieces.split(piece, answer):
                raise RefusedError(answer)
        elif answer.succeeded:
            done += len(piece)
        else:
            guarded, found = answer.found[: len(guards)], answer.found[len(guards) :]
            if any(answered.kvs for answered in guarded):
                return done, False
            stands = [f.kvs and f.kvs[0].mod_revision == moves[i].revision for i, f in zip(piece, found, strict=True)]
            pieces.again([index for index, ok in zip(piece, stands, strict=True) if ok])
    return done, True


def _transaction(moves: Sequence[Move], guards: tuple[Compare, ...]) -> Txn:
    then: list[Put | Delete] = []
    for item in moves:
        then.append(Delete(item.key))
        then.extend(item.puts)
    orelse = [Get(guard.key, keys_only=True) for guard in guards] + [Get(m.key, keys_only=True) for m in moves]
    return Txn(guards + tuple(unchanged(m.key, m.revision) for m in moves), tuple(then), tuple(orelse))


def requeue(command: Requeue) -> Procedure:
    """The worker key is absent -> each run marker goes back to ready/, or to dead/ when lost too often."""
    guard = (absent(keys.worker(command.worker)),)
    prefix = keys.run_worker(command.worker)
    start, requeued, buried = prefix, 0, 0
    while True:
        page = yield from read(Get(start, keys.prefix_end(prefix), limit=PAGE))
        back: list[Move] = []
        bury: list[Move] = []
        for kv in page.kvs:
            if keys.parse_run(kv.key) is None or not isinstance(kv.value, Marker):
                continue
            poison = kv.value.losses + 1 >= kv.value.spec.max_losses
            if poison:
                bury.append(_burial(kv, kv.value, command.worker))
            else:
                back.append(_return(kv, kv.value))
        moved, gone = yield from move(back, guard)
        requeued += moved
        if gone:
            moved, gone = yield from move(bury, guard)
            buried += moved
        if not gone:
            return RequeueDone(command.worker, requeued, buried, alive=True)
        if not page.more:
            return RequeueDone(command.worker, requeued, buried)
        start = keys.after(page.kvs[-1].key)


def _return(kv: Kv, marker: Marker) -> Move:
    spec = marker.spec
    lost = msgspec.structs.replace(marker, attempt=marker.attempt + 1, losses=marker.losses + 1, scheduler="", batch=0)
    return Move(spec.id, kv.key, kv.mod_revision, (Put(keys.ready(spec.queue, spec.priority, spec.id), lost),))


def _burial(kv: Kv, marker: Marker, worker: str) -> Move:
    spec = marker.spec
    losses = marker.losses + 1
    reason = f"lost with its worker {losses} times (max_losses={spec.max_losses}), last with {worker}"
    outcome = Outcome(
        Verdict.FAILED, error=reason, attempt=marker.attempt, losses=losses, worker=worker, token=kv.mod_revision
    )
    puts = (
        Put(keys.done(spec.id), outcome),
        Put(keys.dead(spec.queue, spec.id), DeadRecord(reason, marker.attempt, losses)),
    )
    return Move(spec.id, kv.key, kv.mod_revision, puts)


def hand_back(command: HandBack) -> Procedure:
    """The run marker is unchanged -> ready/, no attempt charged."""
    moves = []
    for job in command.jobs:
        marker = bare(job.marker)
        spec = marker.spec
        put = Put(keys.ready(spec.queue, spec.priority, spec.id), marker)
        moves.append(Move(spec.id, job.key, job.token, (put,)))
    yield from move(moves)
    return HandedBack(tuple(job.key for job in command.jobs))


def promote(command: Promote) -> Procedure:
    """What is due goes to ready/. The next due time is told, so that nobody has to ask before it."""
    start, promoted = keys.LATER, 0
    waits: list[float] = []
    while True:
        page = yield from read(Get(start, keys.prefix_end(keys.LATER), limit=command.limit))
        moves: list[Move] = []
        last_due_at = 0.0
        for kv in page.kvs:
            later = keys.parse_later(kv.key)
            if later is None or not isinstance(kv.value, Marker):
                continue
            last_due_at = later.due_at
            mine = owner(later.id, command.members) in (command.scheduler, None)
            due_at = later.due_at if mine else later.due_at + command.steal_after_s
            if due_at <= command.wall:
                spec = kv.value.spec
                put = Put(keys.ready(spec.queue, spec.priority, spec.id), kv.value)
                moves.append(Move(spec.id, kv.key, kv.mod_revision, (put,)))
            else:
                waits.append(due_at)
        promoted += (yield from move(moves))[0]
        if page.more and (promoted >= command.limit or last_due_at > command.wall):
            waits.append(max(last_due_at, command.wall))  # of what lies behind the page, nothing is due before
        elif page.more:
            start = keys.after(page.kvs[-1].key)  # what others own must not hide what is ours
            continue
        return PromoteDone(promoted, min(waits, default=None))
