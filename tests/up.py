"""`tandem up` as a process, started as a user starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil

from core.etcd.store import EtcdStore
from core.inspect import overview
from core.runtime.calls import perform
from tests.cluster import alive, environment, family, until

PATIENCE_S = 45.0


class Up:
    """A running `tandem up` with a temporary folder of its own, so that it is nobody else's."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.env = {"TMPDIR": str(folder)}
        self.log = folder / "up.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "core.cli", "up", *arguments],
                env=environment(self.env),
                stderr=log,
                stdout=log,
                cwd=folder,
                start_new_session=True,
            )
        self._seen: set[psutil.Process] = set()

    @property
    def state_file(self) -> Path:
        return self.folder / f"tandem-up-{os.getuid()}-{self.process.pid}.json"

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def said(self, words: str) -> bool:
        return words in self.text()

    def wait(self, workers: int, schedulers: int = 1) -> None:
        """Until everything is registered."""
        until(self.state_file.exists, f"the state file; {self.text()}", PATIENCE_S)
        store = EtcdStore(json.loads(self.state_file.read_text())["endpoints"], "/tandem/")

        def complete() -> bool:
            whole = perform(store.send, overview(), PATIENCE_S)
            return len(whole.workers) == workers and len(whole.schedulers) == schedulers

        try:
            until(complete, f"all to register; {self.text()}", PATIENCE_S)
        finally:
            store.close()
        self._seen.update(family(self.process))

    def ends(self) -> int:
        code = self.process.wait(PATIENCE_S)
        until(lambda: not any(map(alive, self._seen)), f"all processes to end: {list(filter(alive, self._seen))}")
        return code

    def leftover(self) -> list[str]:
        """What stands in the temporary folder besides our log."""
        return sorted(path.name for path in self.folder.iterdir() if path != self.log)

    def close(self) -> None:
        self._seen.update(family(self.process))
        for one in self._seen:
            if alive(one):
                one.kill()
        self.process.wait()
