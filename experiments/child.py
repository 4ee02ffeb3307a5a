"""A process of ours that speaks JSON, a line at a time in each direction: started, spoken with, ended.

It says {"error": text} when something is wrong, and ends by itself when its input does: so it never outlives us.
"""

import contextlib
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from experiments.components import ROOT
from experiments.world import ExperimentError


class Child:
    """Runs `python -m module arguments...`. `name`: what it is called in errors. On exit it is ended.

    `environment`: ours where it is None. `patience_s`: how long it may take to end when its input has ended; then it
    is killed.
    """

    def __init__(
        self,
        name: str,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        patience_s: float = 15.0,
    ) -> None:
        self.name = name
        self._patience_s = patience_s
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, name=name, daemon=True)
        self._listener.start()

    def say(self, words: Any) -> None:
        """Raises ExperimentError where it has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(words) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise ExperimentError(f"{self.name} has ended") from error

    def hear(self, timeout_s: float) -> dict[str, Any]:
        """What it says next. Raises ExperimentError where it says nothing in time, ends, or names an error."""
        try:
            said = self._said.get(timeout=max(timeout_s, 0.0))
        except queue.Empty:
            raise ExperimentError(f"{self.name} does not answer") from None
        if "error" in said:
            raise ExperimentError(f"{self.name}: {said['error']}")
        return said

    def wait(self, timeout_s: float) -> None:
        """Until it has ended by itself; where it does not, it is killed. Calling it again does nothing."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(msgspec.json.decode(line))
        self._said.put({"error": f"ended with status {self._process.wait()}"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End it. Calling it again does nothing."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self.wait(self._patience_s)
        self._listener.join()
        self._process.stdout.close()
