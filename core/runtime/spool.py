"""Moments for the trace, written as they happen: JSON lines, one for each batch.

Unbuffered appends, so that `kill -9` loses nothing that was handed over.
"""

import os
from pathlib import Path

import msgspec

from core.machine.messages import Trace

_encoder = msgspec.json.Encoder()


class Spool:
    """The file `{component}-{pid}.spool.jsonl` in `directory`."""

    def __init__(self, directory: Path, component: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._component = component
        self._file = (directory / f"{component}-{os.getpid()}.spool.jsonl").open("ab", buffering=0)

    def write(self, trace: Trace) -> None:
        line = {"component": self._component, "kind": trace.kind, "rows": trace.rows}
        self._file.write(_encoder.encode(line) + b"\n")

    def close(self) -> None:
        self._file.close()
