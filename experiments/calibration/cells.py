"""What is measured, as data: the same cells are run on the real server and on the model of it.

writes   `concurrency` callers, each of which sends its next transaction of `batch` puts when the last is answered
rests    `sequence` single puts one after the other, then a rest of `rest_s`, again and again
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BATCHES = (1, 10, 100, 256)
CONCURRENCY = (1, 8, 64)
SEVERAL_UP_TO = 10
"""Puts in a transaction: with more of them the connection does not matter."""
RESTS: tuple[tuple[float, int], ...] = ((0.001, 1), (0.003, 1), (0.01, 4), (0.03, 1), (0.1, 1))
WATCHED_RESTS_S = (0.0, 0.003, 0.01, 0.03, 0.1)
ANSWERED_RESTS_S = (0.003, 0.01, 0.03, 0.1)


@dataclass(frozen=True, slots=True)
class Cell:
    """One load. Times of one transaction; CPU seconds for one transaction; operations for one fsync."""

    batch: int
    concurrency: int
    rest_s: float = 0.0
    sequence: int = 0
    connections: int = 1
    watched: bool = False
    """Another process hears of every put (`experiments.calibration.listener`)."""
    answered: bool = False
    """And makes one of its own for it, as a component does that is woken by a change."""

    @property
    def name(self) -> str:
        if self.sequence:
            heard = ", answered" if self.answered else ", watched" if self.watched else ""
            return f"{self.sequence} put after {self.rest_s * 1000:g} ms{heard}"
        return f"{self.concurrency} x {self.batch} puts" + (
            f", {self.connections} links" if self.connections > 1 else ""
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a cell. `latencies_s` in the order of the answers; in a sequence, place after place."""

    latencies_s: tuple[float, ...]
    client_cpu_s: float
    server_cpu_s: float
    puts_per_fsync: float
    fsync_s: float = 0.0
    """Mean of one fsync."""
    heard_s: tuple[float, ...] = ()
    """In watched cells: when each put was heard of, after its answer; negative: before it."""
    listener_cpu_s: float = 0.0
    """For one message, with its answer."""
    commit_s: float = 0.0
    commits: float = 0.0
    """Mean of one commit of the backend, and how many there were for one transaction. The model is told of both."""

    def quantile_s(self, share: float, place: int = 0, places: int = 1) -> float:
        return float(np.quantile(np.asarray(self.latencies_s)[place::places], share))


def writes() -> list[Cell]:
    """One connection for all callers, as a component has it; and several, as a system has them."""
    alone = [Cell(batch, concurrency) for batch in BATCHES for concurrency in CONCURRENCY]
    return [*alone, *(Cell(batch, 8, connections=8) for batch in BATCHES if batch <= SEVERAL_UP_TO)]


def rests() -> list[Cell]:
    alone = [Cell(1, 1, rest_s, sequence) for rest_s, sequence in RESTS]
    watched = [Cell(1, 1, rest_s, 1, watched=True) for rest_s in WATCHED_RESTS_S]
    return [*alone, *watched, *(Cell(1, 1, rest_s, 1, watched=True, answered=True) for rest_s in ANSWERED_RESTS_S)]


def together(rounds: Sequence[Seen]) -> Seen:
    """One of several measurements of a cell: all latencies, medians of the rest."""
    return Seen(
        tuple(one for seen in rounds for one in seen.latencies_s),
        float(np.median([seen.client_cpu_s for seen in rounds])),
        float(np.median([seen.server_cpu_s for seen in rounds])),
        float(np.median([seen.puts_per_fsync for seen in rounds])),
        float(np.median([seen.fsync_s for seen in rounds])),
        tuple(one for seen in rounds for one in seen.heard_s),
        float(np.median([seen.listener_cpu_s for seen in rounds])),
    )
