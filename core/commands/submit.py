"""`tandem submit`."""

import sys
import time
from typing import NamedTuple

import msgspec
from msgspec import Raw
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from core.client import Client, Handle, SubmitError
from core.etcd.errors import EtcdUnreachable
from core.inspect import overview
from core.kv import keys
from core.kv.requests import Get
from core.model import Outcome, Verdict
from core.procedure.base import read
from core.runtime.calls import perform
from core.runtime.waiting import wait_for_etcd
from core.specs import make_spec

SHOWN = 10
LOOK_TIMEOUT_S = 10.0
TASK_FAILED = 1
UNREACHABLE = 3
TIMED_OUT = 4
LOOK_EVERY_S = 5.0
GIVE_UP_S = 60.0
"""A restart of etcd takes seconds; a minute without an answer is worth an error."""


class Order(NamedTuple):
    """What the user typed."""

    type: str
    queue: str
    tasks: int
    payload: str
    priority: int
    max_attempts: int
    wait: bool
    timeout_s: float
    force: bool
    etcd_wait_s: float = 0.0


def run_submit(order: Order, endpoints: str, namespace: str) -> int:
    """Submit, print the ids, wait if asked; the exit code.

    Raises ValueError with a sentence for the user, EtcdUnreachable, EtcdUnsupported.
    """
    payload = _payload(order.payload)
    # Mistakes show before anything is asked of etcd.
    make_spec(order.type, payload, queue=order.queue, priority=order.priority, max_attempts=order.max_attempts)
    wait_for_etcd(endpoints, order.etcd_wait_s, _note)
    out = Console()
    with Client(endpoints, namespace=namespace) as client:
        _check_type(client, order)
        started = time.monotonic()
        try:
            handles = client.submit_many(
                order.type,
                [payload] * order.tasks,
                queue=order.queue,
                priority=order.priority,
                max_attempts=order.max_attempts,
            )
        except (SubmitError, TimeoutError, RuntimeError) as error:
            return _say(f"not submitted, or not certainly: {error} (is etcd well? see `tandem status`)", UNREACHABLE)
        taken_s = time.monotonic() - started
        for handle in handles[:SHOWN]:
            print(handle.id)
        if len(handles) > SHOWN:
            print(f"... and {len(handles) - SHOWN} more")
        tasks = "1 task" if len(handles) == 1 else f"{len(handles)} tasks"
        _note(f"submitted {tasks} to queue {order.queue!r} (etcd at {endpoints}) in {taken_s:.2f} s")
        return _wait(client, handles, order.timeout_s, started, out) if order.wait else 0


def _payload(text: str) -> Raw:
    """The very bytes that were typed: decoding and encoding again would round large numbers."""
    try:
        raw = text.encode()
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"--payload is not JSON: {error}") from error
    return Raw(raw)


def _note(text: str) -> None:
    print(text, file=sys.stderr)


def _say(text: str, code: int) -> int:
    print(f"tandem: {text}", file=sys.stderr)
    return code


def _check_type(client: Client, order: Order) -> None:
    """Refuse a type that no live worker knows: most often it is a typing mistake, and the task would wait forever.

    Where nobody is there to serve the task, say so: that may be meant.
    """
    if order.force:
        return
    whole = perform(client.send, overview(), LOOK_TIMEOUT_S)
    if whole.workers and order.type not in whole.types:
        raise ValueError(
            f"no live worker has a handler for {order.type!r} (there are: {', '.join(whole.types)}); nothing was "
            "submitted. With --force it waits until a worker with that handler comes"
        )
    served_by = {"scheduler": whole.schedulers, "worker": whole.workers}
    missing = " and no ".join(kind for kind, there in served_by.items() if not there)
    if missing:
        _note(f"no {missing} is there: what is submitted waits until one comes")


class _Silence:
    """Tells etcd that is slow from etcd that is gone, while results are waited for."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._since: float | None = None

    def look(self) -> None:
        """Raises EtcdUnreachable once etcd has not answered for `GIVE_UP_S`; says so before."""
        try:
            perform(self._client.send, read(Get(keys.SCHEDULER, keys_only=True)), LOOK_EVERY_S)
        except EtcdUnreachable as error:
            now = time.monotonic()
            if self._since is None:
                self._since = now
                _say(f"etcd does not answer; waiting up to {GIVE_UP_S:.0f} s for it", UNREACHABLE)
            if now - self._since > GIVE_UP_S:
                raise EtcdUnreachable(f"no etcd has answered for {GIVE_UP_S:.0f} s ({error})") from error
        else:
            self._since = None


def _outcome(handle: Handle, until: float, silence: _Silence) -> Outcome:
    """Raises TimeoutError, EtcdUnreachable."""
    while True:
        left = until - time.monotonic()
        try:
            return handle.outcome(max(0.0, min(left, LOOK_EVERY_S)))
        except TimeoutError:
            if left <= LOOK_EVERY_S:
                raise
            silence.look()


def _wait(client: Client, handles: list[Handle], timeout_s: float, started: float, out: Console) -> int:
    until = time.monotonic() + timeout_s
    failed: list[str] = []
    late = ""
    silence = _Silence(client)
    columns = (TextColumn("waiting"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=len(handles))
        for handle in handles:
            try:
                outcome = _outcome(handle, until, silence)
            except EtcdUnreachable as error:
                return _say(f"{error}; what was submitted stays in etcd: see `tandem status`", UNREACHABLE)
            except TimeoutError:
                late = (
                    f"task {handle.id} has not ended within {timeout_s:g} s; it goes on: see `tandem task {handle.id}`"
                )
                break
            except RuntimeError as error:
                return _say(f"{error}; the tasks go on: see `tandem status`", UNREACHABLE)
            if outcome.verdict != Verdict.SUCCEEDED:
                failed.append(f"{handle.id}: {outcome.error}")
            progress.advance(bar)
    if late:
        return _say(late, TIMED_OUT)
    seconds = time.monotonic() - started
    done = len(handles) - len(failed)
    out.print(f"{done} succeeded, {len(failed)} failed, in {seconds:.2f} s ({len(handles) / seconds:,.0f} tasks/s)")
    for line in failed[:SHOWN]:
        out.print(f"  {line}", highlight=False, markup=False)
    return TASK_FAILED if failed else 0
