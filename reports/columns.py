"""A table with a row for each scenario, told by its columns: a header and what to show of a scenario."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from reports.estimate import Estimate
from reports.language import gettext
from reports.markdown import Md, code, table
from reports.numbers import (
    MISSING,
    count_of,
    error_of,
    integer,
    interval,
    number,
    percent,
    plain,
    signed_percent,
    value_of,
)
from reports.provenance import sourced
from reports.runs import WORLDS, Scenario, World, in_world

STEADY = "steady_throughput_per_s"
TIMES = "\N{MULTIPLICATION SIGN}"
Pick = Callable[[Scenario, World], Estimate | None]


@dataclass(frozen=True)
class Column:
    """One column; `align` is l, c or r."""

    header: str
    show: Callable[[Scenario], Any]
    align: str = "r"


def rows_of(label: str, caption: str, scenarios: Iterable[Scenario], columns: Sequence[Column]) -> Md:
    """The table; columns in which no row has anything are left out, and a sentence stands where none has."""
    rows = [[column.show(one) for column in columns] for one in scenarios]
    kept = [at for at in range(len(columns)) if any(row[at] not in (MISSING, "", None) for row in rows)]
    if not {columns[at].header for at in kept} - {name().header, repetitions().header}:
        return Md(gettext("Not recorded in these runs: {caption}", caption=caption))
    header = [columns[at].header for at in kept]
    align = "".join(columns[at].align for at in kept)
    return table(label, caption, header, [[row[at] for at in kept] for row in rows], align, small=True)


def figure(key: str) -> Pick:
    """The figure at a dotted key."""
    return lambda scenario, world: scenario.get(world, key)


def throughput_of(scenario: Scenario, world: World) -> Estimate | None:
    """The whole run's throughput, which no queue can bring above the slot bound.

    The steady one can exceed it: tasks of equal length finish in waves, and a cut between waves counts one too many.
    """
    return scenario.get(world, "throughput_per_s") or scenario.get(world, STEADY)


def steady_of(scenario: Scenario, world: World) -> Estimate | None:
    """Throughput between 10 % and 90 % of the commits: without the wait for the first tick, which a short run feels."""
    return scenario.get(world, STEADY) or scenario.get(world, "throughput_per_s")


# --- columns ---------------------------------------------------------------------------------------------------------


def name() -> Column:
    return Column(gettext("scenario"), lambda one: code(one.name), "l")


def told(header: str, attribute: str) -> Column:
    """What the scenario states."""
    return Column(header, lambda one: plain(one.told(attribute)))


def size() -> Column:
    """Workers and slots of each."""
    return Column(f"W {TIMES} C", lambda one: f"{plain(one.told('workers'))} {TIMES} {plain(one.told('slots'))}", "c")


def dispatch() -> Column:
    return Column(gettext("dispatch"), dispatch_of, "l")


def dispatch_of(one: Scenario) -> str:
    """How tasks reach workers, in words."""
    if one.dispatch == "watch":
        return gettext("watch")
    return gettext("poll, fixed rate") if one.ticker == "rate" else gettext("poll, fixed delay")


def both(what: str, pick: Pick, scale: float = 1.0) -> list[Column]:
    """Real and model, each with its interval."""

    def show(world: World) -> Callable[[Scenario], str]:
        return lambda one: interval(pick(one, world), scale)

    return [Column(in_world(what, world), show(world)) for world in WORLDS]


def only(world: World, header: str, key: str, scale: float = 1.0) -> Column:
    """One figure of one world, with its interval."""
    return Column(header, lambda one: interval(one.get(world, key), scale))


def bare(world: World, header: str, key: str, scale: float = 1.0) -> Column:
    """One figure of one world, without its interval."""
    return Column(header, lambda one: value_of(one.get(world, key), scale))


def slashed(header: str, keys: Sequence[str], world: World, scale: float = 1.0) -> Column:
    """Several figures of one world in a cell, such as percentiles."""

    def show(one: Scenario) -> str:
        cells = [value_of(one.get(world, key), scale) for key in keys]
        return MISSING if set(cells) == {MISSING} else " / ".join(cells)

    return Column(header, show)


def pair(header: str, pick: Pick, scale: float = 1.0) -> Column:
    """Real / model in one cell, without intervals."""

    def show(one: Scenario) -> str:
        cells = [value_of(pick(one, world), scale) for world in WORLDS]
        return MISSING if set(cells) == {MISSING} else " / ".join(cells)

    return Column(gettext("{what}, real / model", what=header), show)


def share(header: str, pick: Pick, world: World) -> Column:
    """A share of 1, in per cent."""

    def show(one: Scenario) -> str:
        found = pick(one, world)
        return percent(found.value if found else None)

    return Column(header, show)


def model_error(pick: Pick) -> Column:
    return Column(gettext("model error"), lambda one: signed_percent(error_of(pick(one, "real"), pick(one, "sim"))))


def count(header: str, key: str, world: World = "real") -> Column:
    """A plain count over all repetitions."""
    return Column(header, lambda one: integer(one.count(world, key)))


def repetitions() -> Column:
    """How many repetitions stand behind a row: of the real system, or of the model where it alone ran."""
    return Column("n", lambda one: count_of(next((e for world in WORLDS if (e := throughput_of(one, world))), None)))


def bound(header: str, attribute: str) -> Column:
    """A bound that follows from the scenario."""
    return Column(header, lambda one: number(one.told(attribute)))


def words(header: str, show: Callable[[Scenario], str], *keys: str) -> Column:
    """A text with numbers in it, all of them from the scenario's file at `keys`."""

    def marked(one: Scenario) -> str:
        return sourced(show(one), *one.stated_at(*keys)) if show(one) else MISSING

    return Column(header, marked, "l")
