"""`tandem submit`."""

import sys
import time
from typing import NamedTuple

import msgspec
from msgspec import Raw
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from core.client import Client, Handle, SubmitError
from core.inspect import overview
from core.model import Verdict
from core.runtime.calls import perform
from core.specs import make_spec

SHOWN = 10
LOOK_TIMEOUT_S = 10.0
TASK_FAILED = 1
UNREACHABLE = 3
TIMED_OUT = 4


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


def run_submit(order: Order, endpoints: str, namespace: str) -> int:
    """Submit, print the ids, wait if asked; the exit code.

    Raises ValueError with a sentence for the user, EtcdUnreachable, EtcdUnsupported.
    """
    payload = _payload(order.payload)
    # Mistakes show before anything is asked of etcd.
    make_spec(order.type, payload, queue=order.queue, priority=order.priority, max_attempts=order.max_attempts)
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
            return _say(f"not submitted, or not certainly: {error}", UNREACHABLE)
        taken_s = time.monotonic() - started
        for handle in handles[:SHOWN]:
            print(handle.id)
        if len(handles) > SHOWN:
            print(f"... and {len(handles) - SHOWN} more")
        Console(stderr=True).print(f"submitted {len(handles)} tasks to {order.queue!r} in {taken_s:.2f} s")
        return _wait(handles, order.timeout_s, started, out) if order.wait else 0


def _payload(text: str) -> Raw:
    """The very bytes that were typed: decoding and encoding again would round large numbers."""
    try:
        raw = text.encode()
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"--payload is not JSON: {error}") from error
    return Raw(raw)


def _say(text: str, code: int) -> int:
    print(f"tandem: {text}", file=sys.stderr)
    return code


def _check_type(client: Client, order: Order) -> None:
    """Refuse a type that no live worker knows: most often it is a typing mistake, and the task would wait forever."""
    if order.force:
        return
    whole = perform(client.send, overview(), LOOK_TIMEOUT_S)
    if whole.workers and order.type not in whole.types:
        raise ValueError(
            f"no live worker has a handler for {order.type!r} (there are: {', '.join(whole.types)}); nothing was "
            "submitted. With --force it waits until a worker with that handler comes"
        )


def _wait(handles: list[Handle], timeout_s: float, started: float, out: Console) -> int:
    until = time.monotonic() + timeout_s
    failed: list[str] = []
    late = ""
    columns = (TextColumn("waiting"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=len(handles))
        for handle in handles:
            try:
                outcome = handle.outcome(max(0.0, until - time.monotonic()))
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
