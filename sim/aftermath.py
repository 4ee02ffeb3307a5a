"""What the store holds when a run is over: is every task in exactly one place, and ended once?

The same counts as for the real store (`experiments.aftermath`), from memory and at one revision.
"""

from dataclasses import dataclass

from core.kv import keys
from core.kv.memory import MemoryKv
from core.model import Outcome


@dataclass(frozen=True, slots=True)
class Aftermath:
    """`outcomes`: id -> (verdict, attempt). `lost`: in no place; `misplaced`: in several; `doubled`: ended twice."""

    outcomes: dict[str, tuple[str, int]]
    stored: int
    lost: int
    doubled: int
    misplaced: int


def inspect(kv: MemoryKv) -> Aftermath:
    marked: dict[str, int] = {}
    for prefix in (keys.READY, keys.LATER, keys.RUN):
        for one in kv.records.each(prefix):
            task_id = one.key.rpartition("/")[2]
            marked[task_id] = marked.get(task_id, 0) + 1
    outcomes: dict[str, tuple[str, int]] = {}
    stored = lost = doubled = misplaced = 0
    for one in kv.records.each(keys.DONE):
        assert isinstance(one.value, Outcome)
        outcomes[one.key.rpartition("/")[2]] = (str(one.value.verdict), one.value.attempt)
        doubled += one.version > 1
    for one in kv.records.each(keys.TASK):
        task_id = one.key.removeprefix(keys.TASK)
        places = marked.pop(task_id, 0) + (task_id in outcomes)
        stored += 1
        lost += places == 0
        misplaced += places > 1
    return Aftermath(outcomes, stored, lost, doubled, misplaced + len(marked))
