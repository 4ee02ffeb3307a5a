"""Which worker takes the next task: a placement is a function that scores a worker, and the lowest score wins.

    def most_loaded(worker: Candidate) -> float:
        return -worker.load

A setting names it (`[scheduler]` `placement = "packing:most_loaded"`, or the name of one below), so that scenarios vary
it like any other, and the real scheduler, the model and a replay run the same function.

Only workers with room for the task are asked for, and a free slot goes before a place in a buffer, whatever the scores;
ties go by id. A score is kept until the worker's record, its share or what it holds changes, so that a choice costs
O(log workers): it must depend on nothing else than the worker, not on a clock nor on a random number.
"""

import inspect
from collections.abc import Callable, Collection
from typing import Protocol, TypeAlias

from core.lookup import find_object
from core.model import WorkerRecord


class Candidate(Protocol):
    """A live worker, as a scheduler sees it."""

    @property
    def id(self) -> str: ...

    @property
    def record(self) -> WorkerRecord:
        """What it says of itself: name, slots, queues, types, host."""
        ...

    @property
    def held(self) -> Collection[str]:
        """Ids of the tasks that this scheduler has given it and that have not ended."""
        ...

    @property
    def slots_share(self) -> int:
        """Its slots that are this scheduler's to fill: all of them, where there is one scheduler."""
        ...

    @property
    def load(self) -> float:
        """Tasks held for each of these slots: 0 is idle, from 1 on a task would wait in the buffer."""
        ...


Placement: TypeAlias = Callable[[Candidate], float]


def least_loaded(worker: Candidate) -> float:
    """Spread: the default."""
    return len(worker.held) / worker.slots_share


DEFAULT = "least_loaded"
PLACEMENTS: dict[str, Placement] = {DEFAULT: least_loaded}


def find_placement(name: str) -> Placement:
    """One of `PLACEMENTS`, or the function at `module:name`.

    Raises ValueError with a sentence for the user.
    """
    known = PLACEMENTS.get(name)
    if known is not None:
        return known
    if ":" not in name:
        raise ValueError(f"placement {name!r} is neither one of {', '.join(PLACEMENTS)} nor of the form module:name")
    found = find_object(name, "placement")
    try:
        inspect.signature(found).bind(None)  # type: ignore[arg-type]  # whatever the user named
    except (TypeError, ValueError) as error:
        raise ValueError(f"placement {name!r} is no function of one worker: {error}") from error
    return found  # type: ignore[return-value]  # checked as far as Python can
