"""Shared by all procedures: the type, patience, and reads."""

from collections.abc import Generator

import msgspec

from core.kv.requests import Found, Get, Pause, Reason, Refused, Request, Response, Txn, TxnDone, Unknown
from core.machine.messages import Message
from core.model import NULL, Marker

Procedure = Generator[Request, Response, Message | None]

RETRY_FIRST_S = 0.05
RETRY_MAX_S = 1.0
"""Retries of one conversation wait 50 ms, doubling to 1 s: well under a lease TTL, so that a component that comes
back after an etcd restart still does so within its lease."""


class RefusedError(Exception):
    """A refusal that no retry mends; the driver turns it into the `Failed` event."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(f"{refused.reason}: {refused.detail}")
        self.refused = refused


class Patience:
    """Growing pauses between attempts of one conversation."""

    _next_s = RETRY_FIRST_S  # of the class until the first pause: most conversations need none

    def pause(self) -> Pause:
        pause = Pause(self._next_s)
        self._next_s = min(self._next_s * 2, RETRY_MAX_S)
        return pause


def bare(marker: Marker) -> Marker:
    """The marker as it waits: given to nobody, and without a payload that the task record keeps for it."""
    spec = msgspec.structs.replace(marker.spec, payload=NULL) if marker.by_reference else marker.spec
    return msgspec.structs.replace(marker, spec=spec, scheduler="", batch=0)


def transact(txn: Txn) -> Generator[Request, Response, TxnDone | Refused | Unknown]:
    """One attempt; waits out refusals that pass by themselves (quota alarm)."""
    patience = Patience()
    while True:
        answer = yield txn
        if isinstance(answer, Refused) and answer.reason == Reason.NO_SPACE:
            yield patience.pause()
            continue
        if isinstance(answer, Refused) and answer.reason in (Reason.DENIED, Reason.INVALID):
            raise RefusedError(answer)
        assert isinstance(answer, TxnDone | Refused | Unknown)
        return answer


def read(get: Get) -> Generator[Request, Response, Found]:
    """A read until it is answered: a read has no outcome to be unsure of."""
    patience = Patience()
    while True:
        answer = yield get
        if isinstance(answer, Found):
            return answer
        if isinstance(answer, Refused) and answer.reason != Reason.NO_SPACE:
            raise RefusedError(answer)
        yield patience.pause()
