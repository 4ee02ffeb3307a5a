"""The promise, checked at every revision: each task is in exactly one of ready, later, run, dead and done.

And on top: attempts and losses never go back, an outcome never changes, a dead marker stands beside a failed outcome.
"""

from collections import defaultdict

from core.kv import keys
from core.kv.history import Written
from core.kv.memory import MemoryKv
from core.model import AnyRecord, DeadRecord, Marker, Outcome, TaskRecord, Verdict


class Ledger:
    """Follows a store's log of changes. Call `check` as often as you like: it goes on where it stopped."""

    def __init__(self, kv: MemoryKv) -> None:
        self._kv = kv
        self._seen = 0
        self._places: dict[str, set[str]] = defaultdict(set)
        self._records: dict[str, TaskRecord] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._attempts: dict[str, tuple[int, int]] = {}

    @property
    def tasks(self) -> dict[str, TaskRecord]:
        return self._records

    @property
    def outcomes(self) -> dict[str, Outcome]:
        return self._outcomes

    def place(self, task_id: str) -> str:
        """The task's state: ready, later, run, dead or done."""
        places = self._places[task_id]
        if places:
            return next(iter(places)).split("/")[0]
        return "done"

    def check(self) -> None:
        """Raises AssertionError at the first revision that breaks the promise."""
        revisions: dict[int, list[Written]] = defaultdict(list)
        for written in self._kv.history:
            if written.revision > self._seen:
                revisions[written.revision].append(written)
        for revision, changes in sorted(revisions.items()):
            touched = {task_id for written in changes if (task_id := self._take_in(written))}
            for task_id in touched:
                self._check_task(task_id, revision)
            self._seen = revision

    def _take_in(self, written: Written) -> str | None:
        key = written.key
        kind, _, rest = key.partition("/")
        if kind not in {"ready", "later", "run", "dead", "done", "task"}:
            return None
        task_id = rest.rpartition("/")[2]
        if not keys.is_task_id(task_id):
            return None  # somebody else's key under the namespace
        value: AnyRecord | None = written.after.value if written.after else None
        if kind == "task":
            assert isinstance(value, TaskRecord), f"{key} deleted or garbled"
            assert task_id not in self._records, f"the specification of {task_id} was written again"
            self._records[task_id] = value
        elif kind == "done":
            assert isinstance(value, Outcome), f"{key} deleted or garbled"
            assert key == keys.done(task_id)
            assert task_id not in self._outcomes, f"{task_id} ended twice"
            self._outcomes[task_id] = value
        elif value is None:
            self._places[task_id].discard(key)
        else:
            self._places[task_id].add(key)
            if isinstance(value, Marker):
                self._check_marker(key, task_id, value)
            else:
                assert isinstance(value, DeadRecord)
        return task_id

    def _check_marker(self, key: str, task_id: str, marker: Marker) -> None:
        attempt, losses = self._attempts.get(task_id, (1, 0))
        assert marker.attempt >= attempt, f"{task_id}: attempt went back"
        assert marker.losses >= losses, f"{task_id}: losses went back"
        assert marker.attempt - marker.losses >= attempt - losses
        self._attempts[task_id] = (marker.attempt, marker.losses)
        spec = self._records[task_id].spec
        if not marker.by_reference:
            assert marker.spec == spec
        else:
            assert bytes(marker.spec.payload) == b"null", f"{key} carries a payload that should stay in the record"
        assert bool(marker.scheduler) == key.startswith(keys.RUN), f"{key}: scheduler {marker.scheduler!r}"

    def _check_task(self, task_id: str, revision: int) -> None:
        record = self._records.get(task_id)
        assert record is not None, f"{task_id} has a marker but no record at revision {revision}"
        places = sorted(self._places[task_id])
        outcome = self._outcomes.get(task_id)
        if outcome is None:
            assert len(places) == 1, f"revision {revision}: {task_id} is in {places or 'no place'}"
            assert not places[0].startswith(keys.DEAD), f"{task_id} is dead without an outcome"
        elif outcome.verdict == Verdict.FAILED:
            assert places == [keys.dead(record.spec.queue, task_id)], f"revision {revision}: failed {task_id}: {places}"
        else:
            assert places == [], f"revision {revision}: {task_id} is done and in {places}"
