"""What etcd holds when a run is over: which tasks ended and how, and whether every one of them is somewhere."""

from collections.abc import Iterator
from dataclasses import dataclass

from core.etcd.store import EtcdStore
from core.kv import keys
from core.kv.requests import Delete, Found, Get, Kv, Txn
from core.model import Outcome
from experiments.world import ExperimentError

MARKERS = (keys.READY, keys.LATER, keys.RUN)
DELETE_BATCH = 100
"""Under etcd's default limit of 128 operations in a transaction."""
READ_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Aftermath:
    """`outcomes`: id -> (verdict, attempt). `lost`: neither ended nor under any marker. `doubled`: committed twice."""

    outcomes: dict[str, tuple[str, int]]
    stored: int
    lost: int
    doubled: int
    misplaced: int
    """Tasks in more than one place at once (ended and yet marked, or under two markers)."""


def inspect(store: EtcdStore, ids: frozenset[str] | None = None) -> Aftermath:
    """Read the whole namespace, markers before outcomes: a task that ends meanwhile is seen in one place at least.

    With `ids`, only these tasks count.

    Raises ExperimentError where etcd does not answer.
    """
    marked: dict[str, int] = {}
    for prefix in MARKERS:
        for kv in _of_tasks(_read(store, prefix, keys_only=True), ids):
            task_id = task_of(kv)
            marked[task_id] = marked.get(task_id, 0) + 1
    outcomes: dict[str, tuple[str, int]] = {}
    stored = lost = doubled = misplaced = 0
    for kv in _of_tasks(_read(store, keys.DONE, keys_only=False), ids):
        if isinstance(kv.value, Outcome):
            outcomes[task_of(kv)] = (str(kv.value.verdict), kv.value.attempt)
        doubled += kv.version > 1
    for kv in _of_tasks(_read(store, keys.TASK, keys_only=True), ids):
        task_id = task_of(kv)
        places = marked.get(task_id, 0) + (task_id in outcomes)
        stored += 1
        lost += places == 0
        misplaced += places > 1
    return Aftermath(outcomes, stored, lost, doubled, misplaced)


def erase(store: EtcdStore, ids: frozenset[str] | None = None) -> None:
    """Delete everything under the namespace; with `ids`, only what belongs to these tasks.

    Raises ExperimentError where etcd does not answer.
    """
    doomed = [kv.key for kv in _of_tasks(_read(store, "", keys_only=True), ids)]
    for first in range(0, len(doomed), DELETE_BATCH):
        store.call(Txn((), tuple(Delete(key) for key in doomed[first : first + DELETE_BATCH])))


def _of_tasks(kvs: tuple[Kv, ...], ids: frozenset[str] | None) -> Iterator[Kv]:
    return (kv for kv in kvs if ids is None or task_of(kv) in ids)


def task_of(kv: Kv) -> str:
    """Every key of a task ends with its id."""
    return kv.key.rpartition("/")[2]


def _read(store: EtcdStore, prefix: str, *, keys_only: bool) -> tuple[Kv, ...]:
    key, end = (prefix, keys.prefix_end(prefix)) if prefix else ("\0", "\x7f")
    found = store.call(Get(key, end, keys_only=keys_only), READ_TIMEOUT_S)
    if not isinstance(found, Found):
        raise ExperimentError(f"etcd could not be read after the run: {found}")
    return found.kvs
