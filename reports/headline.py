"""The first page: whether the model agrees, why polling is slower, and what stands behind the figures."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports import selection
from reports.columns import Pick, figure, steady_of
from reports.estimate import MIN_FOR_INTERVAL, Estimate
from reports.language import gettext, mark
from reports.numbers import MISSING, error_of, percent, signed_percent
from reports.provenance import sourced, sources_of
from reports.runs import WORLDS, Runs, Scenario

CLOSE, ROUGH = 0.05, 0.2
"""Errors that count as agreement, and as the right size. The words are printed with the figures they stand for."""
WORDS = (mark("agrees"), mark("has the right size"), mark("does not agree"))


@dataclass(frozen=True)
class Agreement:
    """How far the model is from the real system in one group of scenarios."""

    what: str
    word: str
    errors: str


def _word(worst: float) -> str:
    return WORDS[0] if worst <= CLOSE else WORDS[1] if worst <= ROUGH else WORDS[2]


def _agreement(what: str, pairs: Sequence[tuple[Estimate | None, Estimate | None]]) -> Agreement | None:
    errors = sorted(error for real, sim in pairs if (error := error_of(real, sim)) is not None)
    if not errors:
        return None
    span = signed_percent(errors[0])
    if len(errors) > 1:
        count = sourced(str(len(errors)), *sources_of(*errors))
        span = gettext(
            "{least} to {most} in {count} scenarios", least=span, most=signed_percent(errors[-1]), count=count
        )
    return Agreement(what, _word(max(abs(error) for error in errors)), span)


def agreement(runs: Runs) -> list[Agreement]:
    """The model's error for throughput, latency by each dispatch mode, bursts and processor time."""

    def pairs(scenarios: Sequence[Scenario], pick: Pick) -> list[tuple[Estimate | None, Estimate | None]]:
        return [(pick(one, "real"), pick(one, "sim")) for one in scenarios]

    filling = {one.name: one for group in (selection.scaling(runs), selection.polling(runs)) for one in group}
    found = [_agreement(gettext("steady throughput of tasks that fill slots"), pairs([*filling.values()], steady_of))]
    short = pairs([*selection.knee(runs), *selection.schedulers(runs)], figure("throughput_per_s"))
    found.append(_agreement(gettext("throughput of short tasks, which processors bound"), short))
    for mode, what in (
        ("watch", gettext("median wait from submit to start, watch")),
        ("poll", gettext("median wait from submit to start, poll")),
    ):
        delays = [one for one in selection.latency(runs) if one.dispatch == mode]
        found.append(_agreement(what, pairs(delays, figure("latency_s.dispatch.p50"))))
    drains = pairs(selection.burst(runs), figure("makespan_s"))
    found.append(_agreement(gettext("time to drain a burst"), drains))
    cpu = pairs(runs.everything(), figure("cpu_s_per_1000"))
    found.append(_agreement(gettext("processor time for each task"), cpu))
    return [one for one in found if one]


@dataclass(frozen=True)
class PollStory:
    """The case that misses its tick, one that just makes it, and the same with fixed delay; None if not run."""

    critical: Scenario
    early: Scenario | None
    delayed: Scenario | None


def poll_story(runs: Runs) -> PollStory | None:
    """The scenarios that tell why polling is slower, if the critical one ran on the real system."""
    polled = [one for one in selection.polling(runs) if one.has("real")]
    rate = [one for one in polled if one.ticker == "rate"]

    def misses(one: Scenario) -> bool:
        return bool(one.service_s) and abs(((one.service_s or 0) / one.pull_interval_s) % 1.0) < 1e-9

    critical = next((one for one in rate if misses(one)), None)
    if critical is None:
        return None
    shorter = [one for one in rate if (one.service_s or 0.0) < (critical.service_s or 0.0)]
    early = max(shorter, key=lambda one: one.service_s or 0.0, default=None)
    delayed = next((one for one in polled if one.ticker == "delay" and one.service_s == critical.service_s), None)
    return PollStory(critical, early, delayed)


def _found(scenarios: Sequence[Scenario]) -> list[Estimate]:
    found = (one.get(world, "throughput_per_s") for one in scenarios for world in WORLDS)
    return [one for one in found if one]


def _counts(scenarios: Sequence[Scenario]) -> list[int]:
    return sorted({one.n for one in _found(scenarios)})


def repetitions(scenarios: Sequence[Scenario]) -> str:
    """`n = 3`, or a range: how many repetitions stand behind the figures."""
    counts = _counts(scenarios) or [0]
    sources = sources_of(*(one.value for one in _found(scenarios)))
    if len(counts) == 1:
        return sourced(f"n = {counts[0]}", *sources)
    text = gettext("n = {least} or {most}") if counts[-1] - counts[0] == 1 else gettext("n = {least} to {most}")
    return sourced(text.format(least=counts[0], most=counts[-1]), *sources)


def notation(scenarios: Sequence[Scenario]) -> str:
    """What stands behind a value in the tables of these scenarios."""
    counts = _counts(scenarios)
    repeated = any(n >= MIN_FOR_INTERVAL for n in counts)
    if repeated and 2 in counts:
        return gettext("mean [95 % interval], (the two values) where n = 2")
    if repeated:
        return gettext("mean [95 % interval]")
    return gettext("mean (the two values) where n = 2") if 2 in counts else gettext("single values")


def bars(scenarios: Sequence[Scenario]) -> str:
    """What the error bars of a figure of these scenarios are."""
    counts = _counts(scenarios)
    repeated = any(n >= MIN_FOR_INTERVAL for n in counts)
    if repeated and 2 in counts:
        return gettext("bars are 95 % intervals, span the two values where n = 2")
    if repeated:
        return gettext("bars are 95 % intervals")
    return gettext("bars span the two values where n = 2") if 2 in counts else gettext("no bars, as n = 1")


def share_of_bound(one: Scenario) -> str:
    """Throughput of the whole run as a share of the slot bound, real system."""
    found = one.get("real", "throughput_per_s")
    limit = one.told("slot_bound_per_s")
    return percent(found.value / limit) if found and found.value and limit else MISSING
