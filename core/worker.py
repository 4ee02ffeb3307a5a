"""The worker process. `core.runtime.nanny` starts it, and is there when it dies."""

import random
import secrets
import socket
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from core.handlers import Handlers, load_app
from core.kv.keys import check_name
from core.machine.api import Machine
from core.machine.messages import Execute, Message, Registered
from core.machine.replay import Recording, header
from core.machine.worker import WorkerMachine
from core.model import WorkerRecord
from core.runtime.builtin import builtin
from core.runtime.component import run_component
from core.runtime.driver import Inbox
from core.runtime.executor import Executor
from core.runtime.process import HOST, PID, Options
from core.scheduler import tasks_per_txn
from core.settings import WorkerSettings


def gather_handlers(app: str | None) -> Handlers:
    """The built-in handlers and those of `module:name`.

    Raises ValueError with a sentence for the user.
    """
    handlers = Handlers()
    handlers.include(builtin)
    if app is not None:
        handlers.include(load_app(app))
    return handlers


def check_names(worker: str, queues: Iterable[str]) -> None:
    """Raises ValueError with a sentence for the user."""
    check_name("worker", worker)
    for queue in queues:
        check_name("queue", queue)


def run_worker(options: Options, settings: WorkerSettings, handlers: Handlers, nanny: int | None = None) -> int:
    """Run a worker until SIGTERM; the exit code. `nanny` is the file descriptor of the socket to the nanny.

    The nanny never speaks; when the line goes dead it is gone, and a worker without one drains.

    Raises EtcdUnreachable, EtcdUnsupported, ValueError (a bad name or endpoint).
    """
    check_names(options.name, settings.queues)
    record = WorkerRecord(options.name, settings.slots, tuple(settings.queues), handlers.types, HOST, PID)
    seed = secrets.randbits(63)
    phone = socket.socket(fileno=nanny) if nanny is not None else None

    def build(max_operations: int) -> tuple[Machine, Recording]:
        fitted = msgspec.structs.replace(settings, max_batch=min(settings.max_batch, tasks_per_txn(max_operations)))
        trace = options.trace_dir is not None
        return (
            WorkerMachine(record, fitted, random.Random(seed), trace=trace),
            header("worker", fitted, record, seed=seed, trace=trace),
        )

    inbox: Inbox = Inbox()
    executor = Executor(handlers, settings.slots, inbox.put)
    effects: dict[type[Message], Callable[[Any], None]] = {Execute: lambda command: executor.run(command.jobs)}
    if phone is not None:
        effects[Registered] = lambda event: phone.sendall(f"{event.lease}\n".encode())
    return run_component(msgspec.structs.replace(options, leash=nanny), build, inbox, effects)
