"""What every process of Tandem has: options, logging, a leash. Light: the nanny imports it, and stays small."""

import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

log = logging.getLogger("tandem")

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
