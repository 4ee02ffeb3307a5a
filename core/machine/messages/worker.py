"""Events and commands of the worker's machine."""

from typing import NamedTuple

from msgspec import Raw

from core.kv.requests import Kv
from core.machine.messages.common import Message
from core.model import Marker, Outcome, WorkerRecord


class Job(NamedTuple):
    """An assigned task as the worker holds it. `token` is the run marker's mod_revision."""

    key: str
    token: int
    marker: Marker


class ListRuns(Message, frozen=True):
    """Call: the worker's own run markers, at most `limit` (0: all)."""

    worker: str
    limit: int = 0


class RunsListed(Message, frozen=True):
    kvs: tuple[Kv, ...]
    revision: int
    more: bool = False


class FetchTasks(Message, frozen=True):
    """Call: read the task records of these ids."""

    ids: tuple[str, ...]


class TasksFetched(Message, frozen=True):
    """`missing`: no such task."""

    kvs: tuple[Kv, ...]
    missing: tuple[str, ...]


class Execute(Message, frozen=True):
    """Run these in free slots. The executor answers with `Finished`, in any order and batching."""

    jobs: tuple[Job, ...]


class Result(NamedTuple):
    """How one execution ended: `error` is None where it succeeded."""

    key: str
    token: int
    result: Raw
    error: str | None
    started_mono: float
    finished_mono: float


class Finished(Message, frozen=True):
    results: tuple[Result, ...]


class Ending(NamedTuple):
    """What becomes of a finished execution: `outcome` ends the task; without one it is retried at `retry_at`."""

    job: Job
    outcome: Outcome | None
    retry_at: float = 0.0
    error: str = ""


class Complete(Message, frozen=True):
    """Call: commit these endings, each guarded by its fencing token."""

    batch: int
    worker: str
    endings: tuple[Ending, ...]


class CompleteDone(Message, frozen=True):
    """Indices into the endings. `fenced`: the task belongs to somebody else by now; our result does not count."""

    batch: int
    committed: tuple[int, ...]
    fenced: tuple[int, ...]


class HandBack(Message, frozen=True):
    """Call: give unstarted tasks back to ready/; no attempt is charged."""

    jobs: tuple[Job, ...]


class HandedBack(Message, frozen=True):
    keys: tuple[str, ...]


class Announce(Message, frozen=True):
    """Call: rewrite the worker's record (it drains). Answered with `RunsListed`: nothing is assigned to it any more."""

    id: str
    lease: int
    record: WorkerRecord
