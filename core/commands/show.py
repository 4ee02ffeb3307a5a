"""`tandem status` and `tandem task`."""

from collections.abc import Generator
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from rich.console import Console
from rich.table import Table

from core.etcd.store import EtcdStore
from core.inspect import Overview, TaskStatus, describe_task, overview
from core.kv.requests import Request, Response
from core.runtime.calls import perform

TIMEOUT_S = 10.0
NOT_FOUND = 1
ALARMS = {
    "NOSPACE": "its quota is used up and it refuses every write, so nothing can be submitted or run; make room "
    "(compact, defrag), or raise the quota, then disarm the alarm",
    "CORRUPT": "a member's data differs from that of the others, and it refuses every request",
}
"""What etcd's alarms mean for a user."""

T = TypeVar("T")


def ask(endpoints: str, namespace: str, procedure: Generator[Request, Response, T]) -> T:
    """Connect, run one procedure, disconnect.

    Raises ValueError (endpoints), EtcdUnreachable, EtcdUnsupported.
    """
    store = EtcdStore(endpoints, namespace)
    try:
        for alarm in store.check().alarms:
            Console(stderr=True).print(f"[bold red]etcd's alarm {alarm} is on: {ALARMS.get(alarm, 'see its log')}[/]")
        return perform(store.send, procedure, TIMEOUT_S)
    finally:
        store.close()


def _print_json(value: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(value)).decode())


def show_overview(endpoints: str, namespace: str, *, as_json: bool) -> None:
    """Raises as `ask`."""
    whole = ask(endpoints, namespace, overview())
    if as_json:
        _print_json(whole)
        return
    console = Console()
    console.print(f"{whole.running} running, {whole.later} waiting for a retry, {whole.ended} ended", highlight=False)
    console.print(_counts(whole))
    console.print(_workers(whole))
    if whole.unserved:
        console.print(f"[yellow]waiting, but no live worker has a handler: {', '.join(whole.unserved)}[/]")
    if whole.orphaned:
        console.print(f"[yellow]{whole.orphaned} tasks belong to workers that are gone; a scheduler requeues them[/]")
    if not whole.schedulers:
        console.print("[red]no scheduler is running: nothing will be assigned[/]")
    if whole.foreign:
        shown = ", ".join(repr(key) for key in whole.foreign[:5])
        console.print(f"[yellow]{len(whole.foreign)} keys under {namespace} are not Tandem's: {shown}[/]")


def _counts(whole: Overview) -> Table:
    table = Table("queue", "ready", "dead")
    for queue in sorted(set(whole.ready) | set(whole.dead)):
        table.add_row(queue, str(whole.ready.get(queue, 0)), str(whole.dead.get(queue, 0)))
    if not table.row_count:
        table.add_row("(nothing waits)", "0", "0")
    return table


def _workers(whole: Overview) -> Table:
    table = Table("component", "host", "pid", "assigned / slots", "state")
    for scheduler in whole.schedulers:
        table.add_row(scheduler.id, scheduler.host, str(scheduler.pid), "", "scheduler")
    for worker in whole.workers:
        state = "draining" if worker.draining else "worker"
        table.add_row(worker.id, worker.host, str(worker.pid), f"{worker.assigned} / {worker.slots}", state)
    return table


def show_task(task_id: str, endpoints: str, namespace: str, *, as_json: bool) -> int:
    """The exit code. Raises as `ask`."""
    status = ask(endpoints, namespace, describe_task(task_id))
    if status is None:
        Console(stderr=True).print(f"tandem: there is no task {task_id}", highlight=False)
        return NOT_FOUND
    if as_json:
        _print_json(status)
    else:
        Console().print(_task(status))
    return 0


def _task(status: TaskStatus) -> Table:
    spec, outcome = status.spec, status.outcome
    table = Table(show_header=False, title=f"task {status.id}")
    table.add_row("state", str(status.state))
    table.add_row("type, queue, priority", f"{spec.type}, {spec.queue}, {spec.priority}")
    table.add_row("submitted", _time(spec.submitted_at))
    table.add_row("attempt, losses", f"{status.attempt} (of {spec.max_attempts}), {status.losses}")
    if status.worker:
        table.add_row("worker", status.worker)
    if status.due_at is not None:
        table.add_row("next attempt", _time(status.due_at))
    if status.last_error:
        table.add_row("last error", status.last_error)
    if outcome is not None:
        table.add_row("ran", f"{_time(outcome.started_at)}, {outcome.finished_at - outcome.started_at:.3f} s")
        shown = outcome.error or bytes(outcome.result).decode()
        table.add_row("error" if outcome.error else "result", shown if len(shown) <= 500 else shown[:500] + " ...")
    return table


def _time(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC" if wall else "unknown"
