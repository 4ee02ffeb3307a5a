"""Real schedulers and workers as processes, as a user starts them, and the ledger that judges what became of tasks."""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

from core.etcd.store import EtcdStore
from core.etcd.watch import Watcher
from core.inspect import Overview, overview
from core.kv import keys
from core.kv.requests import Found, Get, Txn, TxnDone
from core.machine.messages import Changes, Message, Watch
from core.model import Outcome
from core.runtime.calls import perform
from core.settings import Config, SchedulerSettings, WorkerSettings

ROOT = Path(__file__).parents[1]
PATIENCE_S = 30.0
"""How long a test waits for what must come. Nothing is asserted about time: this only ends a test that has failed."""
POLL_S = 0.05
TTL_S = 2.0


class ImpatienceError(AssertionError):
    """What a test waited for did not come."""


def until(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait for `condition` to hold."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise ImpatienceError(f"waited {patience_s:.0f} s in vain: {what}")
        time.sleep(POLL_S)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, with the package importable, and nothing that would choose an etcd for the command under test."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("TANDEM_") or name == "TANDEM_ETCD"
    }
    path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path, "COLUMNS": "200", **(extra or {})}


def tandem(
    *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout_s: float = PATIENCE_S
) -> "subprocess.CompletedProcess[str]":
    """Run one command of the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "core.cli", *arguments],
        env=environment(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def family(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> list[psutil.Process]:
    """The process and everything below it that lives."""
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def alive(process: psutil.Process) -> bool:
    """Zombies don't count: they only wait to be looked at."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


class Cluster:
    """Schedulers and workers of one namespace. On exit all their processes are ended, by id.

    Workers are two processes each: the nanny, which is started here, and the worker, which it starts.
    """

    def __init__(
        self,
        endpoints: str,
        namespace: str,
        *,
        slots: int = 4,
        ttl_s: float = TTL_S,
        worker: WorkerSettings | None = None,
        scheduler: SchedulerSettings | None = None,
    ) -> None:
        self.endpoints = endpoints
        self.namespace = namespace if namespace.startswith("/") else f"/{namespace}/"
        self.store = EtcdStore(endpoints, self.namespace)
        self._folder = tempfile.TemporaryDirectory(prefix="tandem-test-")
        self.folder = Path(self._folder.name)
        config = Config(
            scheduler=scheduler or SchedulerSettings(lease_ttl_s=ttl_s),
            worker=worker or WorkerSettings(lease_ttl_s=ttl_s, slots=slots),
        )
        (self.folder / "config.toml").write_bytes(msgspec.toml.encode(config))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._seen: set[psutil.Process] = set()

    # --- life

    def start(self, *names: str, more: Sequence[str] = (), cwd: Path | None = None) -> None:
        """Start components named `scheduler-...` or `worker-...`, and wait until they are registered."""
        for name in names:
            with (self.folder / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    [
                        *(sys.executable, "-m", "core.cli", name.partition("-")[0], "--name", name),
                        *("--etcd-endpoints", self.endpoints, "--namespace", self.namespace),
                        *("--config", str(self.folder / "config.toml"), *more),
                    ],
                    env=environment(),
                    cwd=cwd or self.folder,
                    stderr=log,
                    stdout=log,
                )
        until(lambda: self._registered(names), f"{names} to register")
        for process in self.processes.values():
            self._seen.update(family(process))

    def _registered(self, names: Iterable[str]) -> bool:
        for name in names:
            assert self.processes[name].poll() is None, f"{name} ended: {self.log(name)}"
        return all(self.ids(name) for name in names)

    def ids(self, name: str) -> list[str]:
        """The live ids of a component; an id is its name and its lease."""
        prefix = f"{name.partition('-')[0]}/"
        found = self.store.call(Get(f"{prefix}{name}.", f"{prefix}{name}/", keys_only=True), PATIENCE_S)
        return [kv.key.removeprefix(prefix) for kv in found.kvs] if isinstance(found, Found) else []

    def look(self) -> Overview:
        return perform(self.store.send, overview(), PATIENCE_S)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self, name: str) -> int:
        """SIGTERM, and wait for the end: the exit code."""
        self.processes[name].terminate()
        return self.processes[name].wait(PATIENCE_S)

    def worker_process(self, name: str) -> psutil.Process:
        """The worker itself, below its nanny."""
        self._seen.update(family(self.processes[name]))
        (worker,) = psutil.Process(self.processes[name].pid).children()
        return worker

    def kill_host(self, name: str) -> None:
        """Worker and nanny at once: the nanny is stopped first, or it would revoke the worker's lease."""
        worker = self.worker_process(name)
        nanny = psutil.Process(self.processes[name].pid)
        nanny.suspend()
        worker.kill()
        nanny.kill()
        self.processes[name].wait(PATIENCE_S)

    def close(self) -> None:
        """End everything and remove the folder; asserts that nothing was left by itself is up to the test."""
        for process in self.processes.values():
            self._seen.update(family(process))
        for one in self._seen:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()  # psutil knows by the start time whether the id was given to somebody else
        for process in self.processes.values():
            process.wait(PATIENCE_S)
        self.store.close()
        self._folder.cleanup()

    def drain(self) -> None:
        """End everything as a user does, workers first, and check that no process is left."""
        for process in self.processes.values():
            self._seen.update(family(process))
        for kind in ("worker", "scheduler"):
            running = {n: p for n, p in self.processes.items() if n.startswith(kind) and p.poll() is None}
            for process in running.values():
                process.terminate()
            for name, process in running.items():
                assert process.wait(PATIENCE_S) == 0, self.log(name)
        left = [process for process in self._seen if alive(process)]
        assert not left, f"left behind: {left}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            for name in self.processes:
                print(f"--- {name}\n{self.log(name)[-3000:]}")
        self.close()


class Ledger:
    """Counts commits by a watch on task/ from its first revision on, and checks conservation at single revisions."""

    def __init__(self, store: EtcdStore) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._commits: Counter[str] = Counter()
        self.outcomes: dict[str, Outcome] = {}
        self.problems: list[str] = []
        self.requeued_from: set[str] = set()
        self._watcher = Watcher(store, self._take)
        revision = self._get(Get("", count_only=True)).revision
        self._watcher.watch(Watch("done", keys.DONE, keys.prefix_end(keys.DONE), revision + 1))

    def _get(self, get: Get) -> Found:
        found = self._store.call(get, PATIENCE_S)
        assert isinstance(found, Found), found
        return found

    def _take(self, event: Message) -> None:
        with self._changed:
            if not isinstance(event, Changes):
                self.problems.append(repr(event))
                return
            for change in event.changes:
                if change.deleted:
                    self.problems.append(f"{change.key} was deleted")
                elif isinstance(change.value, Outcome):
                    task_id = change.key.rpartition("/")[2]
                    self._commits[task_id] += 1
                    self.outcomes[task_id] = change.value
            self._changed.notify_all()

    def wait(self, count: int, patience_s: float = PATIENCE_S) -> None:
        """Until so many tasks have ended."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._commits) >= count or self.problems, patience_s):
                raise ImpatienceError(f"{len(self._commits)} of {count} tasks ended within {patience_s:.0f} s")

    def conserved(self, submitted: Iterable[str]) -> dict[str, str]:
        """At one revision, each submitted task is in exactly one state and nothing else is there: id -> state."""
        prefixes = (keys.READY, keys.LATER, keys.RUN, keys.DONE, keys.TASK)
        gets = tuple(Get(prefix, keys.prefix_end(prefix)) for prefix in prefixes)
        answer = self._store.call(Txn((), gets), PATIENCE_S)
        assert isinstance(answer, TxnDone), answer
        states: dict[str, list[str]] = {task_id: [] for task_id in submitted}
        for prefix, found in zip(prefixes, answer.found, strict=True):
            for kv in found.kvs:
                if prefix != keys.TASK:
                    states.setdefault(kv.key.rpartition("/")[2], []).append(prefix)
        wrong = {task_id: where for task_id, where in states.items() if len(where) != 1}
        assert not wrong, f"not in exactly one state: {wrong}"
        assert {kv.key.removeprefix(keys.TASK) for kv in answer.found[-1].kvs} == set(submitted)
        return {task_id: where[0] for task_id, where in states.items()}

    def settle(self, submitted: Sequence[str], patience_s: float = PATIENCE_S) -> None:
        """Wait for the end of all tasks; each has exactly one outcome, committed once, and no marker is left."""
        self.wait(len(submitted), patience_s)
        assert not self.problems, self.problems
        assert set(self.conserved(submitted).values()) == {keys.DONE}
        # Whatever was committed is at or before the revision of that scan; the watch delivers it in order.
        until(lambda: sum(self._commits.values()) >= len(submitted), "the watch to catch up")
        assert set(self._commits) == set(submitted)
        twice = {task_id: count for task_id, count in self._commits.items() if count != 1}
        assert not twice, f"committed more than once: {twice}"
        versions = {kv.key: kv.version for kv in self._get(Get(keys.DONE, keys.prefix_end(keys.DONE))).kvs}
        assert set(versions.values()) == {1}, "an outcome is written once"

    def close(self) -> None:
        self._watcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def held_by(store: EtcdStore, worker: str) -> set[str]:
    """Ids of the tasks assigned to a worker."""
    prefix = keys.run_worker(worker)
    found = store.call(Get(prefix, keys.prefix_end(prefix), keys_only=True), PATIENCE_S)
    assert isinstance(found, Found)
    return {run.id for kv in found.kvs if (run := keys.parse_run(kv.key))}
