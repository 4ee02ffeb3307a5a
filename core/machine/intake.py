"""Tasks on their way into a slot: waiting for one, or for the payload that their run marker does not carry."""

from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from core.kv import keys
from core.kv.requests import Change, Kv
from core.machine.held import Held
from core.machine.messages import Job, TasksFetched
from core.model import Marker, TaskRecord


class Intake:
    """Those of one worker. `held` (everything that the worker has) learns what comes in and what is dropped."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self.waiting: deque[Job] = deque()
        self._fetching: dict[str, list[Job]] = {}

    def __iter__(self) -> Iterator[Job]:
        yield from self.waiting
        for jobs in self._fetching.values():
            yield from jobs

    def __len__(self) -> int:
        return len(self.waiting) + sum(len(jobs) for jobs in self._fetching.values())

    def receive(self, kvs: Sequence[Kv | Change], prefix: str) -> list[Job]:
        """Take the markers under `prefix` that are new; those for which `marker.by_reference` are to be fetched."""
        held = self._held
        jobs = []
        for kv in kvs:
            marker = kv.value
            if not isinstance(marker, Marker) or not held.is_new(kv) or not kv.key.startswith(prefix):
                continue
            job = Job(kv.key, kv.mod_revision, marker)
            held.take(kv)
            jobs.append(job)
            if marker.by_reference:
                self._fetching.setdefault(marker.spec.id, []).append(job)
            else:
                self.waiting.append(job)
        return jobs

    def fetched(self, event: TasksFetched) -> None:
        """With their payloads these wait for a slot; what has no record any more is dropped."""
        for kv in event.kvs:
            for job in self._fetching.pop(keys.parse_named(keys.TASK, kv.key) or "", []):
                if isinstance(kv.value, TaskRecord):
                    marker = msgspec.structs.replace(job.marker, spec=kv.value.spec)
                    self.waiting.append(job._replace(marker=marker))
                else:
                    self._held.drop(job.key)
        for task_id in event.missing:
            for job in self._fetching.pop(task_id, []):
                self._held.drop(job.key)

    def drop(self) -> None:
        """Forget all: none was begun, and a scheduler requeues them."""
        for job in self:
            self._held.drop(job.key)
        self.take_all()

    def take(self, limit: int) -> tuple[Job, ...]:
        """The first of those that wait."""
        waiting = self.waiting
        return tuple([waiting.popleft() for _ in range(min(limit, len(waiting)))])

    def take_all(self) -> list[Job]:
        """All, also what is being fetched."""
        jobs = list(self)
        self.waiting.clear()
        self._fetching.clear()
        return jobs
