"""`tandem submit`."""

import time
from typing import NamedTuple

import msgspec
from msgspec import Raw
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from core.client import Client, Handle, SubmitError
from core.inspect import overview
from core.runtime.calls import perform

SHOWN = 10
LOOK_TIMEOUT_S = 10.0
TASK_FAILED = 1


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
    try:
        payload = Raw(msgspec.json.encode(msgspec.json.decode(order.payload)))
    except msgspec.DecodeError as error:
        raise ValueError(f"--payload is not JSON: {error}") from error
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
        except (SubmitError, TimeoutError) as error:
            raise ValueError(str(error)) from error
        taken_s = time.monotonic() - started
        for handle in handles[:SHOWN]:
            print(handle.id)
        if len(handles) > SHOWN:
            print(f"... and {len(handles) - SHOWN} more")
        Console(stderr=True).print(f"submitted {len(handles)} tasks to {order.queue!r} in {taken_s:.2f} s")
        return _wait(handles, order.timeout_s, started, out) if order.wait else 0


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
    columns = (TextColumn("waiting"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=len(handles))
        for handle in handles:
            try:
                outcome = handle.outcome(max(0.0, until - time.monotonic()))
            except TimeoutError as error:
                raise ValueError(f"{error}; it goes on: see `tandem task {handle.id}`") from error
            if outcome.error:
                failed.append(f"{handle.id}: {outcome.error}")
            progress.advance(bar)
    seconds = time.monotonic() - started
    done = len(handles) - len(failed)
    out.print(f"{done} succeeded, {len(failed)} failed, in {seconds:.2f} s ({len(handles) / seconds:,.0f} tasks/s)")
    for line in failed[:SHOWN]:
        out.print(f"  {line}", highlight=False, markup=False)
    return TASK_FAILED if failed else 0
