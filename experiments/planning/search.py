"""The search for the cheapest configuration.

Configurations lie on lines: along a line one number grows (the slots of a worker, or the workers), and the cost with
it. A target is missed up to some point of a line and met from there on; the point is found by galloping and bisecting.
Queueing theory says where to begin on the first line (`erlang`), and each line where to begin on the next. Lines are
taken in the order of the least they could cost, and one that could not beat what is known is left out. More workers can
also make things worse, since all share the cores of a host: a line on which more of the same does not help is given up.

Then what costs nothing is settled: poll intervals and the lease's time to live as long as the targets allow, because
long ones use less of etcd and of the processors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from experiments.planning.erlang import fewest_slots, likely_slots
from experiments.planning.evaluate import FINAL_REPETITIONS, Evaluation, Evaluator, OutOfBudget
from experiments.planning.question import Bounds, Question, steps
from experiments.planning.syntax import Costs
from experiments.schema import Topology

FEW = 8
"""Up to so many sizes of a worker, workers are counted for each size; beyond, slots are for each number of workers."""
HOPELESS_SLOTS, HOPELESS_GAIN = 0.7, 0.02
"""Slots used less than this, and a gain of less than that by the last step up: more of the same does not help."""
MAX_STEPS_UP = 12
MAX_GROWN = 6
"""So many larger configurations are tried where the interval of the answer reaches beyond a target."""
TIED = 1e-9


def cost_of(costs: Costs, topology: Topology, cores: float = 0.0) -> float:
    """What a configuration costs; `cores`: kept busy on average."""
    slots = topology.workers * topology.slots
    return (
        costs.worker * topology.workers
        + costs.slot * slots
        + costs.scheduler * topology.schedulers
        + costs.core * cores
    )


@dataclass(slots=True)
class Found:
    """The best so far. `complete`: the search was not cut short by its budget."""

    best: Evaluation | None = None
    closest: Evaluation | None = None
    complete: bool = True


class Search:
    """One search; `run` does it."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._try = evaluator
        self._question: Question = evaluator.question
        self._found = Found()
        self._wanted = likely_slots(evaluator.question)  # in all: what the last line taught

    def run(self) -> Found:
        """The cheapest configuration that meets all targets, its interval included, if there is any."""
        try:
            for dispatch in self._question.bounds.dispatch:
                self._dispatch(Topology(dispatch=dispatch, etcd_members=self._question.etcd_members))
            best = self._found.best
            if best is not None:
                self._found.best = self._confirmed(best)
        except OutOfBudget:
            self._found.complete = False
        return self._found

    # --- the search proper ---

    def _dispatch(self, base: Topology) -> None:
        bounds = self._question.bounds
        if base.dispatch == "poll":
            base = with_intervals(base, bounds.intervals_s[0])
        if self._question.survive is not None:
            base = msgspec.structs.replace(base, lease_ttl_s=bounds.lease_ttls_s[0])
        for points in lines(self._question, base):
            affordable = points[: self._affordable(points)]
            if affordable:
                found = self._along(affordable)
                self._keep(self._relaxed(found) if found else None)

    def _affordable(self, points: Sequence[Topology]) -> int:
        """How many points of a line are worth trying: those that cost no more than the best known."""
        if self._found.best is None:
            return len(points)
        best = self._cost(self._found.best)
        return sum(cost_of(self._question.costs, one) <= best + TIED for one in points)

    def _along(self, points: Sequence[Topology]) -> Evaluation | None:
        """The first point of a line that meets the targets."""
        high = next((place for place, one in enumerate(points) if slots_of(one) >= self._wanted), len(points) - 1)
        low, last = -1, None
        for step in range(MAX_STEPS_UP):
            now = self._evaluate(points[high])
            if now.met:
                return self._first(points, low, high)
            self._wanted = max(self._wanted, slots_of(points[high]) + 1)
            if high == len(points) - 1 or (last is not None and hopeless(last, now)):
                return None
            low, last = high, now
            high = min(high + 2**step, len(points) - 1)
        return None

    def _first(self, points: Sequence[Topology], low: int, high: int) -> Evaluation:
        """`low` misses (or lies before the line), `high` meets: down in growing steps, then bisecting."""
        step = 1
        while high - low > 1:
            middle = max(high - step, (low + high) // 2)
            if self._evaluate(points[middle]).met:
                high, step = middle, step * 2
            else:
                low = middle
        self._wanted = slots_of(points[high])
        return self._evaluate(points[high])

    def _relaxed(self, found: Evaluation) -> Evaluation:
        """With the longest intervals and time to live that still meet the targets."""
        bounds = self._question.bounds
        if found.topology.dispatch == "poll":
            found = self._longest(found, [with_intervals(found.topology, pair) for pair in bounds.intervals_s])
        if self._question.survive is not None:
            ladder = [msgspec.structs.replace(found.topology, lease_ttl_s=seconds) for seconds in bounds.lease_ttls_s]
            found = self._longest(found, ladder)
        return found

    def _longest(self, found: Evaluation, ladder: Sequence[Topology]) -> Evaluation:
        """The last of a ladder that does, by bisection; the first is known to."""
        low, high = 0, len(ladder)
        while high - low > 1:
            middle = (low + high) // 2
            tried = self._evaluate(ladder[middle])
            if tried.met:
                low, found = middle, tried
            else:
                high = middle
        return found

    def _keep(self, found: Evaluation | None) -> None:
        best = self._found.best
        if found is None:
            return
        if best is None or self._better(found, best):
            self._found.best = found

    def _better(self, one: Evaluation, other: Evaluation) -> bool:
        """Cheaper; at the same cost, less CPU time."""
        difference = self._cost(one) - self._cost(other)
        return one.cores_busy < other.cores_busy if abs(difference) <= TIED else difference < 0

    def _cost(self, one: Evaluation) -> float:
        return cost_of(self._question.costs, one.topology, one.cores_busy)

    def _evaluate(self, topology: Topology) -> Evaluation:
        result = self._try(topology)
        closest = self._found.closest
        if closest is None or (result.keeps_up, -result.excess) > (closest.keeps_up, -closest.excess):
            self._found.closest = result
        return result

    # --- the end ---

    def _confirmed(self, best: Evaluation) -> Evaluation:
        """The answer with more repetitions; the next larger one while the interval reaches beyond a target."""
        for topology in grown(best.topology, self._question.bounds):
            evaluation = self._try(topology, repetitions=FINAL_REPETITIONS)
            if evaluation.met_surely:
                return evaluation
        return self._try(best.topology, repetitions=FINAL_REPETITIONS)


def slots_of(topology: Topology) -> int:
    """In all."""
    return topology.workers * topology.slots


def lines(question: Question, base: Topology) -> list[Sequence[Topology]]:
    """Configurations of growing cost, none with fewer slots than the slot bound; the cheapest beginnings first."""
    fewest = fewest_slots(question)
    found = [
        [
            msgspec.structs.replace(base, schedulers=many, workers=workers, slots=slots)
            for workers, slots in sizes
            if workers * slots >= fewest
        ]
        for many in question.schedulers
        for sizes in _sizes(question.bounds, question.workers, fewest)
    ]
    return sorted(filter(None, found), key=lambda points: cost_of(question.costs, points[0]))


def _sizes(bounds: Bounds, workers: Sequence[int], fewest: int) -> Iterator[list[tuple[int, int]]]:
    """(workers, slots) of each line."""
    if len(bounds.slots) <= FEW:
        for size in bounds.slots:
            yield [(one, size) for one in workers]
    else:
        largest = bounds.slots[-1]
        for one in steps([one for one in workers if one * largest >= fewest]):
            yield [(one, size) for size in bounds.slots]


def grown(topology: Topology, bounds: Bounds) -> Iterator[Topology]:
    """The configuration, and a few larger ones in small steps: more slots in each worker, or else more workers."""
    yield topology
    sizes = [one for one in bounds.slots if one > topology.slots]
    counts = [one for one in bounds.workers if one > topology.workers]
    for size in sizes[:MAX_GROWN]:
        yield msgspec.structs.replace(topology, slots=size)
    for one in counts[: 0 if sizes else MAX_GROWN]:
        yield msgspec.structs.replace(topology, workers=one)


def hopeless(last: Evaluation, now: Evaluation) -> bool:
    """Whether the last step up brought nothing, although slots are free."""
    free = now.shares["slots"] < HOPELESS_SLOTS
    return free and now.excess > last.excess * (1 - HOPELESS_GAIN)


def with_intervals(topology: Topology, pair: tuple[float, float]) -> Topology:
    return msgspec.structs.replace(topology, scheduler_poll_interval_s=pair[0], worker_poll_interval_s=pair[1])
