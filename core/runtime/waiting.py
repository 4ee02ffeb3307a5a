"""Waits for an etcd that is still starting, as after `docker-compose up` or when a host boots."""

import time
from collections.abc import Callable

from core.etcd.errors import EtcdUnreachable
from core.etcd.store import EtcdStore

LOOK_EVERY_S = 0.25
ATTEMPT_TIMEOUT_S = 2.0
TELL_EVERY_S = 10.0


def wait_for_etcd(endpoints: str, patience_s: float, tell: Callable[[str], None]) -> None:
    """Return once etcd serves: it answers, and a majority of its members agrees. Without patience, at once.

    Each attempt looks the names up anew: the name of a container exists only once it has been started. `tell` is given
    a sentence for the user when the first attempt fails, every `TELL_EVERY_S`, and when the wait is over.

    Raises EtcdUnreachable when the patience (seconds) is over; ValueError (endpoints) and EtcdUnsupported at once.
    """
    if patience_s <= 0:
        return
    started = time.monotonic()
    told = -TELL_EVERY_S
    while True:
        waited_s = time.monotonic() - started
        try:
            _attempt(endpoints)
        except EtcdUnreachable:
            if waited_s > patience_s:
                raise
            if waited_s - told >= TELL_EVERY_S:
                tell(f"etcd at {endpoints} does not serve yet; waiting up to {patience_s - waited_s:.0f} s for it")
                told = waited_s
            time.sleep(min(LOOK_EVERY_S, patience_s))
        else:
            if told >= 0:
                tell(f"etcd at {endpoints} serves, after {waited_s:.1f} s")
            return


def _attempt(endpoints: str) -> None:
    store = EtcdStore(endpoints, timeout_s=ATTEMPT_TIMEOUT_S)
    try:
        store.check()
        store.learn_max_operations()  # a linearizable read: refused while there is no leader
    finally:
        store.close()
