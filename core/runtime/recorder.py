"""Keeps every step of a machine in a file, for replay (`core.machine.replay`)."""

from pathlib import Path

from core.machine.messages import Message, Now
from core.machine.replay import Recording, header_line, step_line


class Recorder:
    def __init__(self, path: Path, header: Recording) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._file.write(header_line(header))

    def record(self, event: Message, now: Now, commands: list[Message]) -> None:
        self._file.write(step_line(event, now, commands))

    def close(self) -> None:
        self._file.close()
