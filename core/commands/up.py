"""`tandem up`: an etcd, schedulers and workers on this machine, until Ctrl-C.

What dies meanwhile is started again. While it runs, commands and clients of this user find its etcd
(`core.runtime.discovery`).
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from core.etcd.embedded import EmbeddedEtcd
from core.policy.placement import find_placement
from core.runtime.discovery import Announcement, running_endpoints
from core.runtime.nanny import HEALTHY_AFTER_S, RESTART_MAX_S, USAGE_ERROR, exit_text
from core.settings import Config, load_config

STOP_TIMEOUT_S = 40.0
"""The workers' drain limit of 30 s, and some."""
LOOK_EVERY_S = 0.2
RESTART_FIRST_S = 0.5


class Plan(NamedTuple):
    """What the user asked for. `endpoints` None: start an etcd."""

    workers: int
    slots: int | None  # None: as configured
    schedulers: int
    endpoints: str | None
    namespace: str
    config: Path | None
    app: str | None
    placement: str | None


def run_up(plan: Plan) -> int:
    """Start everything, wait for Ctrl-C or SIGTERM, stop everything; the exit code.

    Raises EtcdServerError, EtcdUnreachable, EtcdUnsupported, and ValueError for a mistake in the plan: it shows here,
    once, and not in every process.
    """
    config = Config() if plan.config is None else load_config(plan.config)
    if plan.placement is not None:
        find_placement(plan.placement)
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
        etcd: EmbeddedEtcd | None = None
        if endpoints is None:
            etcd = stack.enter_context(EmbeddedEtcd())
            endpoints = ",".join(etcd.endpoints)
            if etcd.server.warning:
                console.print(f"[bold red]{etcd.server.warning}[/]")
            console.print(f"etcd {etcd.server.version_text} at {endpoints} (its data goes when this command ends)")
        others = running_endpoints()
        if others:
            console.print(f"[yellow]another `tandem up` runs (etcd at {others[0]}); commands now find this one[/]")
        theirs, ours = os.pipe()  # a leash: if we are killed, its end tells the processes to drain
        stack.callback(os.close, ours)
        stack.callback(os.close, theirs)
        services = [_Service(name, arguments, theirs) for name, arguments in _commands(plan, endpoints)]
        stack.callback(_stop, services, console)
        for service in services:
            service.start()
        stack.enter_context(Announcement(endpoints))
        slots = plan.workers * (plan.slots or config.worker.slots)
        console.print(
            f"schedulers: {plan.schedulers}, workers: {plan.workers}, slots in all: {slots}. Try:\n"
            f"  tandem submit --type echo --count 1000 --wait\n"
            f"Ctrl-C stops everything."
        )
        return _look_after(services, etcd, console, ended)


def _look_after(services: list["_Service"], etcd: EmbeddedEtcd | None, console: Console, ended: threading.Event) -> int:
    """Start again what dies, as a service manager would, until the end is asked for; the exit code."""
    while not ended.wait(LOOK_EVERY_S):
        if etcd is not None and not etcd.running():
            console.print("[bold red]etcd has ended: starting it again on its data[/]")
            etcd.restart()
        for service in services:
            code = service.ended()
            if code == USAGE_ERROR:
                console.print(f"[bold red]{service.name} cannot run (see above): stopping[/]")
                return 1
            if code is not None:
                console.print(f"[bold red]{service.name} has ended with {exit_text(code)}: starting it again[/]")
                service.start()
    return 0


class _Service:
    """A scheduler, or a worker's nanny."""

    def __init__(self, name: str, arguments: list[str], leash: int) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "core.cli", *arguments, "--leash-fd", str(leash)]
        self._leash = leash
        self._started = 0.0
        self._pause_s = RESTART_FIRST_S
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # A session of its own: Ctrl-C comes to us, and we stop them in order.
        self._started = time.monotonic()
        self.process = subprocess.Popen(self._command, start_new_session=True, pass_fds=(self._leash,))

    def ended(self) -> int | None:
        """The exit code, once it has ended and the pause before another start is over."""
        code = self.process.poll() if self.process is not None else None
        if code is None:
            return None
        lived_s = time.monotonic() - self._started
        if lived_s < self._pause_s:
            return None
        self._pause_s = RESTART_FIRST_S if lived_s > HEALTHY_AFTER_S else min(2 * self._pause_s, RESTART_MAX_S)
        return code


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
    slots = ["--slots", str(plan.slots)] if plan.slots is not None else []
    placement = ["--placement", plan.placement] if plan.placement is not None else []
    return [(name, ["scheduler", "--name", name, *placement, *common]) for name in schedulers] + [
        (name, ["worker", "--name", name, *slots, *app, *common]) for name in workers
    ]


def _stop(services: list[_Service], console: Console) -> None:
    """Drain the workers first, then the schedulers, which may still be needed for what is handed back."""
    console.print("stopping: running tasks may finish ...")
    for kind in ("worker", "scheduler"):
        chosen = [one.process for one in services if one.name.startswith(kind) and one.process is not None]
        for process in chosen:
            process.terminate()
        for process in chosen:
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
