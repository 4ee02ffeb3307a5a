"""`tandem up`: an etcd, schedulers and workers on this machine, until Ctrl-C.

While it runs, the address of its etcd stands in a file of this user, where the other commands find it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil
from rich.console import Console

from core.etcd.embedded import EmbeddedEtcd
from core.settings import load_config

STOP_TIMEOUT_S = 40.0
"""The workers' drain limit of 30 s, and some."""


class Plan(NamedTuple):
    """What the user asked for. `endpoints` None: start an etcd."""

    workers: int
    slots: int
    schedulers: int
    endpoints: str | None
    namespace: str
    config: Path | None
    app: str | None


def run_up(plan: Plan) -> int:
    """Start everything, wait for Ctrl-C or SIGTERM, stop everything; the exit code.

    Raises EtcdServerError, EtcdUnreachable, EtcdUnsupported, and ValueError for a mistake in the plan: it shows here,
    once, and not in every process.
    """
    if plan.config is not None:
        load_config(plan.config)
    from core.worker import gather_handlers  # noqa: PLC0415

    gather_handlers(plan.app)
    if plan.endpoints is not None:
        _check_etcd(plan.endpoints)
    console = Console(stderr=True, highlight=False)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with ExitStack() as stack:
        endpoints = plan.endpoints
        if endpoints is None:
            etcd = stack.enter_context(EmbeddedEtcd())
            endpoints = ",".join(etcd.endpoints)
            if etcd.server.warning:
                console.print(f"[bold red]{etcd.server.warning}[/]")
            console.print(f"etcd {etcd.server.version_text} at {endpoints} (its data goes when this command ends)")
        theirs, ours = os.pipe()  # a leash: if we are killed, its end tells the processes to drain
        stack.callback(os.close, ours)
        processes: dict[str, subprocess.Popen[bytes]] = {}
        stack.callback(_stop, processes, console)
        for name, arguments in _commands(plan, endpoints):
            # Sessions of their own: Ctrl-C comes to us, and we stop them in order.
            command = [sys.executable, "-m", "core.cli", *arguments, "--leash-fd", str(theirs)]
            processes[name] = subprocess.Popen(command, start_new_session=True, pass_fds=(theirs,))
        os.close(theirs)
        stack.enter_context(_announced(endpoints))
        slots = plan.workers * plan.slots
        console.print(
            f"{plan.schedulers} scheduler(s) and {plan.workers} workers with {slots} slots in all are starting. Try:\n"
            f"  tandem submit --type echo --count 1000 --wait\n"
            f"Ctrl-C stops everything."
        )
        while not ended.wait(0.2):
            for name, process in processes.items():
                if process.poll() is not None:
                    console.print(f"[bold red]{name} has ended with exit code {process.returncode}: stopping[/]")
                    return 1
    return 0


def _check_etcd(endpoints: str) -> None:
    from core.etcd.store import EtcdStore  # noqa: PLC0415

    store = EtcdStore(endpoints)
    try:
        store.check()
    finally:
        store.close()


def _commands(plan: Plan, endpoints: str) -> list[tuple[str, list[str]]]:
    common = ["--etcd-endpoints", endpoints, "--namespace", plan.namespace]
    if plan.config is not None:
        common += ["--config", str(plan.config)]
    app = ["--app", plan.app] if plan.app is not None else []
    schedulers = [f"scheduler-{number}" for number in range(1, plan.schedulers + 1)]
    workers = [f"worker-{number}" for number in range(1, plan.workers + 1)]
    return [(name, ["scheduler", "--name", name, *common]) for name in schedulers] + [
        (name, ["worker", "--name", name, "--slots", str(plan.slots), *app, *common]) for name in workers
    ]


def _stop(processes: dict[str, subprocess.Popen[bytes]], console: Console) -> None:
    """Drain the workers first, then the schedulers, which may still be needed for what is handed back."""
    console.print("stopping: running tasks may finish ...")
    for kind in ("worker", "scheduler"):
        chosen = [process for name, process in processes.items() if name.startswith(kind)]
        for process in chosen:
            process.terminate()
        for process in chosen:
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


# --- where the running one is ---


def _state_file() -> Path:
    return Path(tempfile.gettempdir()) / f"tandem-up-{os.getuid()}.json"


class _announced:  # noqa: N801 - used like a function
    """The state file exists while this is entered."""

    def __init__(self, endpoints: str) -> None:
        process = psutil.Process()
        self._content = json.dumps({"endpoints": endpoints, "pid": process.pid, "created_at": process.create_time()})

    def __enter__(self) -> None:
        fresh = _state_file().with_suffix(f".{os.getpid()}")
        fresh.write_text(self._content)
        fresh.replace(_state_file())

    def __exit__(self, *_: object) -> None:
        if _read_state() == self._content:
            _state_file().unlink(missing_ok=True)


def _read_state() -> str:
    """The state file's text; empty where there is none of this user's."""
    try:
        if _state_file().lstat().st_uid != os.getuid():
            return ""
        return _state_file().read_text()
    except OSError:
        return ""


def running_endpoints() -> str | None:
    """The etcd of this user's running `tandem up`, None where none runs."""
    try:
        state = json.loads(_read_state())
        process = psutil.Process(state["pid"])
        alive = abs(process.create_time() - state["created_at"]) < 1.0
    except (ValueError, KeyError, TypeError, psutil.Error):
        return None
    return str(state["endpoints"]) if alive else None
