"""How much more load a configuration takes until a target is missed, and what gives way there."""

from dataclasses import dataclass

from experiments.planning.evaluate import Evaluation, Evaluator
from experiments.schema import Topology

MAX_LOAD = 16.0
"""Beyond that the question is another one."""
PRECISION = 0.02
RESOURCES = {
    "slots": "slots",
    "host": "processors of the host",
    "scheduler": "a scheduler process (one core at most)",
    "worker": "a worker process (one core at most)",
    "client": "the client process (one core at most)",
}
ETCD = "etcd (round trips through its log)"
TICKS = "the poll intervals (slots stand idle until the next pull)"
FULL_SLOTS = 0.85
FULL = 0.7
"""Of a processor or a process: from here on queues in front of it count."""
ETCD_STAGES = ("enqueue", "assign", "commit")
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
    low, high, missed = 1.0, _first_guess(evaluate, topology), None
    while True:
        tried = evaluate(topology, high)
        if not tried.met:
            missed = tried
            break
        low = high
        if high >= MAX_LOAD:
            break
        high = min(high * 1.5, MAX_LOAD)
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


def _first_guess(evaluate: Evaluator, topology: Topology) -> float:
    """Where the slots are all busy, or half as much again."""
    offered = evaluate.question.offered
    bound = topology.workers * topology.slots / offered if offered > 0 else MAX_LOAD
    return round(min(max(bound, 1 + PRECISION), 1.5), 4)


def fullest(evaluation: Evaluation, grew: str) -> tuple[str, float | None]:
    """The resource nearest to its limit, in words, and how full it is.

    Where no processor or process is near its limit, it is etcd if a stage grew most that waits for etcd, and the ticks
    if slots stand idle until the next pull.
    """
    shares = evaluation.shares
    name = max(shares, key=lambda one: shares[one])
    if max(share for one, share in shares.items() if one != "slots") < FULL:
        if grew in ETCD_STAGES:
            return ETCD, None
        if evaluation.topology.dispatch == "poll" and shares["slots"] < FULL_SLOTS:
            return TICKS, shares["slots"]
    return RESOURCES[name], shares[name]


def most_grown(base: Evaluation, last: Evaluation) -> tuple[str, float]:
    """The stage whose mean grew most, and by how many seconds."""
    grown = {name: last.stages_s[name] - base.stages_s[name] for name in base.stages_s if name not in NOT_FOR_GROWTH}
    name = max(grown, key=lambda stage: grown[stage])
    return name, grown[name]
