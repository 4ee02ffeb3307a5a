"""What the scheduler's and the worker's process have in common: options, logging, signals, the main loop."""

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec

from core.machine.api import Machine
from core.machine.messages import Drain, Message
from core.machine.replay import Recording
from core.runtime.driver import Driver, Inbox, Record
from core.runtime.link import EtcdLink
from core.runtime.recorder import Recorder
from core.runtime.spool import Spool

HOST = socket.gethostname()
PID = os.getpid()


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Where a component runs. `trace_dir` and `record_file` are for experiments and tests; None switches them off."""

    name: str
    endpoints: str
    namespace: str
    trace_dir: Path | None = None
    record_file: Path | None = None
    leash: int | None = None
    """A file descriptor whose other end our starter holds: when it closes, by death or on purpose, we drain."""


def hold_leash(leash: int | None, pulled: Callable[[], object]) -> None:
    """Call `pulled`, in a thread of its own, when the other end of the leash is gone; without a leash, never."""
    if leash is None:
        return
    os.set_inheritable(leash, False)  # noqa: FBT003  takes no keywords

    def wait() -> None:
        with contextlib.suppress(OSError):  # a reset: the other end died without having read what we told it
            os.read(leash, 1)
        pulled()

    threading.Thread(target=wait, name="leash", daemon=True).start()


def set_up_logging(name: str, *, verbose: bool = False) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format=f"%(asctime)s %(levelname)-7s {name}: %(message)s",
        stream=sys.stderr,
    )


def run_component(
    options: Options,
    build: Callable[[int], tuple[Machine, Recording]],
    inbox: Inbox,
    effects: dict[type[Message], Callable[[Any], None]],
) -> int:
    """Connect, build the machine for the server's transaction limit, run it until it stops; the exit code.

    SIGTERM and SIGINT drain. Raises EtcdUnreachable, EtcdUnsupported, ValueError (endpoints).
    """
    with ExitStack() as stack:
        link = stack.enter_context(EtcdLink(options.endpoints, options.namespace, inbox.put))
        machine, header = build(link.max_operations)
        spool = stack.enter_context(closing(Spool(options.trace_dir, options.name))) if options.trace_dir else None
        record: Record | None = None
        if options.record_file is not None:
            record = stack.enter_context(closing(Recorder(options.record_file, header))).record
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: inbox.put(Drain()))
        hold_leash(options.leash, lambda: inbox.put(Drain()))
        return Driver(machine, inbox, effects, spool=spool, record=record).run(link)
