"""Every key of Tandem, built and taken apart here and nowhere else. Keys carry no namespace.

    task/{id}                       ready/{queue}/{priority}/{id}     later/{due_ms}/{id}
    run/{worker}/{id}               worker/{worker}                   scheduler/{scheduler}
    dead/{queue}/{id}               done/{mailbox}/{id}

Ids are UUIDv7 in 32 hex digits, so key order is the order of submission. `due_ms` is wall time in milliseconds,
zero-padded, so key order is the order of due times. A task's mailbox is the end of its id: a client gives all its
tasks the same one, so that one watch tells it of their outcomes and of nobody else's.
"""

import re
from typing import NamedTuple

TASK = "task/"
READY = "ready/"
LATER = "later/"
RUN = "run/"
WORKER = "worker/"
SCHEDULER = "scheduler/"
DEAD = "dead/"
DONE = "done/"
LAST = b"\xff\xff".decode("utf-8", "surrogateescape")
"""Behind every key of a namespace, those included that are not UTF-8."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ID = re.compile(r"[0-9a-f]{32}")
_READY = re.compile(f"ready/({_NAME.pattern})/([0-9])/({_ID.pattern})")
_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")  # a name, a dot and a lease of up to 16 digits
_DUE = re.compile(r"[0-9]{13}")
_LAST_MS = 10**13 - 1
ID_DIGITS = 32
MAILBOX_DIGITS = 8
"""Of an id. 32 bits keep the clients of one namespace apart; the digits before them are time and counter."""


def check_name(kind: str, name: str) -> str:
    """Return `name` if it may stand in a key.

    Raises ValueError with a sentence for the user otherwise.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{kind} {name!r} is not a valid name: use 1 to 100 letters, digits, '.', '_' or '-', "
            "starting with a letter or digit"
        )
    return name


def is_name(text: str) -> bool:
    """Whether it is a name as users may give them, to queues for instance."""
    return _NAME.fullmatch(text) is not None


def is_task_id(text: str) -> bool:
    """Whether it is an id as Tandem makes them: 32 lower-case hexadecimal digits."""
    return _ID.fullmatch(text) is not None


def prefix_end(prefix: str) -> str:
    """The first key after all keys that start with `prefix` (ASCII)."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def after(key: str) -> str:
    """The first key after `key` itself."""
    return key + "\0"


def task(task_id: str) -> str:
    return TASK + task_id


def ready(queue: str, priority: int, task_id: str) -> str:
    return f"ready/{queue}/{priority}/{task_id}"


def ready_queue(queue: str) -> str:
    return f"ready/{queue}/"


def later(due_at: float, task_id: str) -> str:
    """`due_at` in seconds since the epoch."""
    return f"later/{min(round(due_at * 1000), _LAST_MS):013d}/{task_id}"


def later_before(due_at: float) -> str:
    """End of the range of everything due up to `due_at`."""
    return f"later/{round(due_at * 1000) + 1:013d}/"


def run(worker: str, task_id: str) -> str:
    return f"run/{worker}/{task_id}"


def run_worker(worker: str) -> str:
    return f"run/{worker}/"


def worker(worker_id: str) -> str:
    return WORKER + worker_id


def scheduler(scheduler_id: str) -> str:
    return SCHEDULER + scheduler_id


def dead(queue: str, task_id: str) -> str:
    return f"dead/{queue}/{task_id}"


def mailbox_of(task_id: str) -> str:
    return task_id[-MAILBOX_DIGITS:]


def mailbox(name: str) -> str:
    """Prefix of the outcomes in a mailbox; of all outcomes where `name` is empty."""
    return f"done/{name}/" if name else DONE


def done(task_id: str) -> str:
    return f"done/{task_id[-MAILBOX_DIGITS:]}/{task_id}"


class ReadyKey(NamedTuple):
    queue: str
    priority: int
    id: str


class RunKey(NamedTuple):
    worker: str
    id: str


class DeadKey(NamedTuple):
    queue: str
    id: str


class LaterKey(NamedTuple):
    due_at: float
    id: str


def parse_ready(key: str) -> ReadyKey | None:
    """None where the key is not one of ours."""
    found = _READY.fullmatch(key)
    return ReadyKey(found[1], int(found[2]), found[3]) if found else None


def queue_of_ready(key: str) -> str | None:
    """The queue of a ready key, None where the key is not one of ours: `parse_ready` for who needs no more."""
    found = _READY.fullmatch(key)
    return found[1] if found else None


def id_at_end(key: str) -> str:
    """The task's id in a key that is known to be one of ours and to end with it."""
    return key[-ID_DIGITS:]


def parse_run(key: str) -> RunKey | None:
    """None where the key is not one of ours."""
    parts = key.split("/")
    if len(parts) != 3 or not _ID.fullmatch(parts[2]) or not _COMPONENT.fullmatch(parts[1]):
        return None
    return RunKey(parts[1], parts[2])


def parse_later(key: str) -> LaterKey | None:
    """None where the key is not one of ours."""
    parts = key.split("/")
    if len(parts) != 3 or not _ID.fullmatch(parts[2]) or not _DUE.fullmatch(parts[1]):
        return None
    return LaterKey(int(parts[1]) / 1000, parts[2])


def parse_dead(key: str) -> DeadKey | None:
    """None where the key is not one of ours."""
    parts = key.split("/")
    if len(parts) != 3 or not _NAME.fullmatch(parts[1]) or not _ID.fullmatch(parts[2]):
        return None
    return DeadKey(parts[1], parts[2])


def parse_done(key: str) -> str | None:
    """The task's id; None where the key is not one of ours."""
    task_id = key.rpartition("/")[2]
    return task_id if _ID.fullmatch(task_id) and key == done(task_id) else None


def parse_named(prefix: str, key: str) -> str | None:
    """The id in `worker/{id}`, `scheduler/{id}` or `task/{id}`; None where the key is not one of ours."""
    name = key[len(prefix) :]
    return name if _COMPONENT.fullmatch(name) else None
