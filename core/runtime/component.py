"""What the scheduler's and the worker's process have in common: the connection, signals, the main loop."""

import signal
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

from core.machine.api import Machine
from core.machine.messages import Drain, Message
from core.machine.replay import Recording
from core.runtime.driver import Driver, Inbox, Record
from core.runtime.link import EtcdLink
from core.runtime.process import Options, hold_leash
from core.runtime.recorder import Recorder
from core.runtime.spool import Spool


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
