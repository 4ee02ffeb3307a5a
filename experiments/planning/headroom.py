"""How much more load a configuration takes until a target is missed, and what gives way there."""

from dataclasses import dataclass

from experiments.planning.evaluate import Evaluation, Evaluator
from experiments.schema import Topology

MAX_LOAD = 16.0
"""Beyond that the question is another one."""
PRECISION = 0.02
RESOURCES = {
    "slots": "the slots",
    "host": "the processors of the host",
    "etcd": "etcd: the writing of its log",
    "scheduler": "a scheduler process (one core at most)",
    "worker": "a worker process (one core at most)",
    "client": "the client process (one core at most)",
}
FULL = 0.9
"""Of a processor, a process or the log; queues in front of it are long then. Slots are judged alike."""
STAGES_OF_ETCD = ("enqueue", "assign", "commit")
NOT_FOR_GROWTH = ("total", "overhead", "dispatch", "execution")


@dataclass(frozen=True, slots=True)
class Headroom:
    """What was found. Loads in times what was asked."""

    load: float
    """The last one that meets the targets."""
    missed: Evaluation | None
    """The first that does not; None: there is none up to MAX_LOAD."""
    breaks: str
    breaks_share: float | None
    """How full it is at the first load that misses."""
    grew: str
    """The stage whose mean grew most on the way."""
    grew_by_s: float


def find(evaluate: Evaluator, topology: Topology) -> Headroom:
    """Bisect on the load. Raises OutOfBudget."""
    base = evaluate(topology)
    low, high, missed = 1.0, 1.0, None
    while missed is None and high < MAX_LOAD:
        high = min(high * 1.5, MAX_LOAD)
        tried = evaluate(topology, high)
        low, missed = (high, None) if tried.met else (low, tried)
    while missed is not None and high / low > 1 + PRECISION:
        middle = round((low * high) ** 0.5, 4)
        tried = evaluate(topology, middle)
        if tried.met:
            low = middle
        else:
            high, missed = middle, tried
    last = missed or evaluate(topology, low)
    grew, by_s = most_grown(base, last)
    breaks, share = fullest(last, grew)
    return Headroom(low, missed, breaks, share, grew, by_s)


def fullest(evaluation: Evaluation, grew: str) -> tuple[str, float | None]:
    """The resource nearest to its limit, in words, and how full it is.

    Where none is near its limit and a stage grew that waits for etcd's log, it is that.
    """
    name, share = max(evaluation.shares.items(), key=lambda item: item[1])
    if share < FULL / 2 and grew in STAGES_OF_ETCD and "etcd" not in evaluation.shares:
        return RESOURCES["etcd"], None
    return RESOURCES[name], share


def most_grown(base: Evaluation, last: Evaluation) -> tuple[str, float]:
    """The stage whose mean grew most, and by how many seconds."""
    grown = {name: last.stages_s[name] - base.stages_s[name] for name in base.stages_s if name not in NOT_FOR_GROWTH}
    name = max(grown, key=lambda stage: grown[stage])
    return name, grown[name]
