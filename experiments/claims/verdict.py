"""What a verdict is, and the measure that all rules judge by.

A figure better than the source's is no objection. "About" is read as within 10 %, and two figures differ when they
are more than 10 % apart and, where there are enough repetitions to say so, their intervals do not overlap: nothing is
refuted on a knife edge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec

from experiments.claims.reading import Runs
from experiments.phrases import MIN_FOR_INTERVAL

ABOUT = 0.10
"""The source rounds to "about"; its figures are bounds that no real system reaches exactly."""
HOLDS, FAILS, ONLY_IF, NOT_SHOWN, NOT_RUN = "holds", "does not hold", "holds only if", "not shown", "not run"

STEADY = "steady_throughput_per_s"
THROUGHPUT = "throughput_per_s"
PER_SECOND = "/s"

Change: TypeAlias = Literal["more", "less", "same"]


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    section: str
    stated: str
    """In a few words, for the first page."""
    statement: str


class Verdict(msgspec.Struct, frozen=True):
    """One row of the claims table.

    `verdict`: holds, does not hold, holds only if, not shown (`condition` goes on from these two) or not run.
    """

    id: str
    section: str
    stated: str
    claim: str
    measured: str
    """Parts joined by "; ", the one that counts most first."""
    predicted: str
    verdict: str
    condition: str
    evidence: list[str]
    """Run directories and files, relative to the folder of runs."""


@dataclass(frozen=True, slots=True)
class Finding:
    verdict: str
    measured: str = ""
    predicted: str = ""
    condition: str = ""


Rule = Callable[[Runs], Finding]


def judge(holds: bool | str, measured: str, predicted: str) -> Finding:  # noqa: FBT001
    """Holds, does not hold, or, given a condition, holds only if."""
    if isinstance(holds, str):
        return Finding(ONLY_IF, measured, predicted, holds)
    return Finding(HOLDS if holds else FAILS, measured, predicted)


def unshown(measured: str, predicted: str, reason: str) -> Finding:
    """No difference was seen: neither shown nor refuted. `reason`: a clause that says what of."""
    return Finding(NOT_SHOWN, measured, predicted, f"{reason}; more runs, or another load, may show it")


def about(value: float | None, expected: float) -> bool:
    return value is not None and abs(value - expected) <= ABOUT * expected


def change(runs: Runs, before: str, after: str, key: str, world: str = "real") -> Change | None:
    """Whether a figure is more or less in `after` than in `before`; None where one of them is missing."""
    one, two = runs.figure(before, key, world), runs.figure(after, key, world)
    if not isinstance(one, dict) or not isinstance(two, dict) or one["value"] is None or two["value"] is None:
        return None
    if abs(two["value"] - one["value"]) <= ABOUT * one["value"] or _overlap(one, two):
        return "same"
    return "more" if two["value"] > one["value"] else "less"


def _overlap(one: dict[str, Any], two: dict[str, Any]) -> bool:
    if min(one["n"], two["n"]) < MIN_FOR_INTERVAL:
        return False
    overlapping: bool = one["low"] <= two["high"] and two["low"] <= one["high"]
    return overlapping


def intact(runs: Runs, scenario: str, world: str = "real") -> bool | None:
    """Whether every acknowledged task ended, was committed once, and none is lost; None where it was not run."""
    names = ("submitted", "completed", "lost", "committed_twice")
    submitted, completed, lost, twice = (runs.value(scenario, name, world) for name in names)
    if None in (submitted, completed, lost, twice):
        return None
    return submitted == completed and lost == 0 and twice == 0


def untold(runs: Runs, scenario: str) -> str:
    """What went wrong with the tasks of a real scenario, in words; "" where nothing did."""
    if intact(runs, scenario) in (True, None):
        return ""
    submitted, completed = runs.value(scenario, "submitted") or 0, runs.value(scenario, "completed") or 0
    lost, twice = runs.value(scenario, "lost") or 0, runs.value(scenario, "committed_twice") or 0
    parts = [(submitted - completed, "not completed"), (lost, "lost"), (twice, "committed twice")]
    return ", ".join(f"{count:,.0f} {word}" for count, word in parts if count)
