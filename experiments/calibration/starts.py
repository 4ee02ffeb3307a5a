"""How long processes take to come to life: a scheduler, a worker with its nanny, a worker that was killed, etcd."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from signal import SIGKILL
from typing import NamedTuple

from core.etcd.embedded import EmbeddedEtcd
from core.runtime.nanny import RESTART_FIRST_S
from experiments.calibration.book import Book
from experiments.calibration.register import PATIENCE_S, Register
from experiments.components import Components
from experiments.schema import Topology
from experiments.world import ExperimentError

ROUNDS = 2
RESTARTS, RESTARTS_QUICK = 10, 2
LOOK_S = 0.02
SETTLE_S = 0.3
"""A nanny is told of its worker's lease a little after etcd is: killed in between, it could not be revoked."""
SCHEDULER, WORKER = "scheduler-1", "worker-1"


class Lives(NamedTuple):
    """Seconds. `worker_s`: of nanny and worker; `revoked_s`: from a worker's death to the end of its lease."""

    scheduler_s: float
    worker_s: float
    revoked_s: float
    again_s: float
    """From there to the registration of the next worker."""


def measure(book: Book, etcd: EmbeddedEtcd, *, quick: bool) -> None:
    """Raises ExperimentError where a process does not come to life."""
    processes(book, etcd, rounds=1 if quick else ROUNDS)
    with EmbeddedEtcd(server=etcd.server) as fresh:  # the one that was measured has a large log to read again
        _restarts(book, fresh, RESTARTS_QUICK if quick else RESTARTS)


def processes(book: Book, etcd: EmbeddedEtcd, *, rounds: int) -> None:
    """Those of Tandem alone. Raises ExperimentError where one does not come to life."""
    place = ",".join(etcd.endpoints), "/calibrate-starts/"
    with Register(*place) as register, Components(Topology(workers=1), *place) as components:
        lives = [_lives(components, register) for _ in range(rounds)]
    worker_s = [life.again_s - RESTART_FIRST_S for life in lives]
    nanny_s = [life.worker_s - again_s for life, again_s in zip(lives, worker_s, strict=True)]
    _put(book, "scheduler_start_s", "from the start of a scheduler", [life.scheduler_s for life in lives])
    _put(book, "worker_start_s", "from the second start of a worker by its nanny", worker_s)
    _put(book, "nanny_start_s", "a worker's first start, less that", nanny_s)
    _put(book, "nanny_revoke_s", "from the death of a worker to the end of its lease", [one.revoked_s for one in lives])


def _restarts(book: Book, etcd: EmbeddedEtcd, rounds: int) -> None:
    """Raft draws how long a member waits before it elects itself: an even spread with their mean and deviation."""
    seconds = [_restart(etcd) for _ in range(rounds)]
    range_s = min(math.sqrt(12) * statistics.stdev(seconds), 2 * statistics.fmean(seconds))
    start_s = statistics.fmean(seconds) - range_s / 2
    what = f"restarts of a small server after a kill, n = {rounds}"
    book.put("etcd_start_s", start_s, "s", f"{what}: mean, less half the range")
    book.put("etcd_election_s", range_s, "s", f"{what}: the range of an even spread of their deviation")


def _put(book: Book, name: str, what: str, seconds: Sequence[float]) -> None:
    book.put(name, max(0.0, statistics.median(seconds)), "s", f"{what}, n = {len(seconds)}")


def _lives(components: Components, register: Register) -> Lives:
    """One life of each. Afterwards none is left."""
    began = time.monotonic()
    components.start(SCHEDULER)
    scheduler_s = register.appears(SCHEDULER) - began
    began = time.monotonic()
    components.start(WORKER)
    worker_s = register.appears(WORKER) - began
    # Else nobody would be killed: on a busy machine the worker may not be seen yet beside its nanny.
    _until(components, lambda: len(components.processes(WORKER)) > 1)
    time.sleep(SETTLE_S)
    killed = time.monotonic()
    components.signal_worker(WORKER, SIGKILL)
    revoked = register.vanishes(WORKER)
    again = register.appears(WORKER)
    components.drain()
    _until(components, lambda: not components.registered())
    return Lives(scheduler_s, worker_s, revoked - killed, again - revoked)


def _until(components: Components, holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > until:
            logs = "; ".join(components.log_tail(name) for name in (SCHEDULER, WORKER))
            raise ExperimentError(f"processes that were to be measured did not start or end: {logs}")
        time.sleep(LOOK_S)


def _restart(etcd: EmbeddedEtcd) -> float:
    etcd.kill()
    before = time.monotonic()
    etcd.restart()
    return time.monotonic() - before
