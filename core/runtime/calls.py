"""Runs one procedure to its end in the calling thread: for commands and reads outside a machine."""

import queue
import time
from collections.abc import Callable, Generator
from typing import TypeVar

from core.etcd.errors import EtcdUnreachable
from core.kv.requests import Get, Grant, Pause, Request, Response, Resumed, Revoke, Txn
from core.procedure.base import RefusedError

T = TypeVar("T")


def perform(
    send: Callable[[Get | Txn | Grant | Revoke, Callable[[Response], None]], None],
    procedure: Generator[Request, Response, T],
    timeout_s: float,
) -> T:
    """What the procedure returns.

    Raises EtcdUnreachable after `timeout_s` or where etcd refuses.
    """
    until = time.monotonic() + timeout_s
    box: queue.SimpleQueue[Response] = queue.SimpleQueue()
    try:
        request = next(procedure)
        while True:
            left = until - time.monotonic()
            if left <= 0:
                procedure.close()
                raise EtcdUnreachable(f"etcd did not answer within {timeout_s} s")
            if isinstance(request, Pause):
                time.sleep(min(request.seconds, left))
                answer: Response = Resumed()
            else:
                send(request, box.put)
                answer = box.get()  # every call has a deadline of its own
            request = procedure.send(answer)
    except StopIteration as stop:
        value: T = stop.value
        return value
    except RefusedError as error:
        raise EtcdUnreachable(f"etcd refused: {error}") from error
