"""The first page: the few figures that decide, whether the model agrees, and why polling is slower."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from reports.estimate import MIN_FOR_INTERVAL, Estimate
from reports.markdown import Md, table
from reports.numbers import MISSING, error_of, integer, interval, number, percent, signed_percent
from reports.runs import WORLDS, Runs, Scenario, World
from reports.tables import TIMES, steady_of

CLOSE, ROUGH = 0.05, 0.2
"""Errors that count as agreement, and as the right size. The words are printed with the figures they stand for."""
Pick = Callable[[Scenario, World], Estimate | None]


def _get(key: str) -> Pick:
    return lambda scenario, world: scenario.get(world, key)


def _row(what: str, unit: str, theory: float | None, one: Scenario, pick: Pick, section: str) -> list[Any]:
    scale = 1000.0 if unit == "ms" else 1.0
    real, sim = (pick(one, world) for world in WORLDS)
    count = real or sim
    return [what, unit, number(theory), interval(real, scale), interval(sim, scale),
            str(count.n) if count else MISSING, signed_percent(error_of(real, sim)), Md(f"@sec:{section}")]  # fmt: skip


def _size(one: Scenario) -> str:
    return f"{one.workers} {TIMES} {one.slots} slots"


def _tasks(one: Scenario) -> str:
    return f"{one.service_s:g} s tasks" if one.service_s else "tasks without duration"


def _throughputs(runs: Runs) -> list[list[Any]]:
    largest = [one for one in runs.scaling() if one.dispatch == "watch" and one.workers in (3, 10)]
    rows = [
        _row(f"{_tasks(one)}, {_size(one)}, watch", "tasks/s", one.slot_bound_per_s, one, steady_of, "scaling")
        for one in largest
    ]
    for one in sorted(runs.polling(), key=lambda one: (one.ticker != "rate", one.service_s)):
        fixed_rate = one.ticker == "rate"
        theory = one.tick_bound_per_s if fixed_rate else None
        what = f"{_tasks(one)}, {_size(one)}, poll, fixed {one.ticker}"
        rows.append(_row(what, "tasks/s", theory, one, steady_of, "polling"))
    return rows


def table_of(runs: Runs, caption: str) -> Md:
    """The deciding figures of every part, real beside model and beside what theory allows."""
    rows = _throughputs(runs)
    for one in runs.latency():
        pick = _get("latency_s.dispatch.p50")
        rows.append(_row(f"median wait from submit to start, {one.dispatch}", "ms", None, one, pick, "latency"))
    for one in runs.select("burst"):
        count = one.spec.get("workload", {}).get("count")
        drain = one.service_s * count / (one.workers * one.slots) if one.service_s and count else None
        kind = f"of {one.service_s:g} s" if one.service_s else "without duration"
        what = f"{integer(count)} tasks {kind} at once, {_size(one)}"
        if drain:
            rows.append(_row(f"{what}: time to drain", "s", drain, one, _get("makespan_s"), "burst"))
        else:
            rows.append(_row(what, "tasks/s", None, one, _get("throughput_per_s"), "burst"))
    header = ["what", "unit", "theory", "real", "model", "n", "model error", "more in"]
    return table("headline", caption, header, rows, "llrrrrrl", small=True)


@dataclass(frozen=True)
class Agreement:
    """How far the model is from the real system in one group of scenarios."""

    what: str
    word: str
    errors: str


def _word(worst: float) -> str:
    return "agrees" if worst <= CLOSE else "has the right size" if worst <= ROUGH else "does not agree"


def _agreement(what: str, pairs: Sequence[tuple[Estimate | None, Estimate | None]]) -> Agreement | None:
    errors = sorted(error for real, sim in pairs if (error := error_of(real, sim)) is not None)
    if not errors:
        return None
    span = signed_percent(errors[0])
    if len(errors) > 1:
        span = f"{span} to {signed_percent(errors[-1])} in {len(errors)} scenarios"
    return Agreement(what, _word(max(abs(error) for error in errors)), span)


def agreement(runs: Runs) -> list[Agreement]:
    """The model's error for throughput, latency by each dispatch mode, and bursts."""

    def pairs(scenarios: Sequence[Scenario], pick: Pick) -> list[tuple[Estimate | None, Estimate | None]]:
        return [(pick(one, "real"), pick(one, "sim")) for one in scenarios]

    found = [_agreement("throughput of tasks with a duration", pairs(runs.select("scaling"), steady_of))]
    for mode in ("watch", "poll"):
        delays = [one for one in runs.select("latency") if one.dispatch == mode]
        found.append(
            _agreement(f"median wait from submit to start, {mode}", pairs(delays, _get("latency_s.dispatch.p50")))
        )
    found.append(_agreement("time to drain a burst", pairs(runs.select("burst"), _get("makespan_s"))))
    found.append(
        _agreement("processor time for each task", pairs(list(runs.scenarios.values()), _get("cpu_s_per_1000")))
    )
    return [one for one in found if one]


@dataclass(frozen=True)
class PollStory:
    """The case that misses its tick, one that just makes it, and the same with fixed delay; None if not run."""

    critical: Scenario
    early: Scenario | None
    delayed: Scenario | None


def poll_story(runs: Runs) -> PollStory | None:
    """The scenarios that tell why polling is slower, if the critical one ran on the real system."""
    polled = [one for one in runs.polling() if one.has("real")]
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


def claims_told(rows: Sequence[dict[str, Any]], judged: Callable[[Any], tuple[str, str]]) -> str:
    """`5 hold, 4 hold only under a condition`: how often each verdict was given."""
    words = {"holds": "hold", "holds only if": "hold only under a condition", "does not hold": "do not hold",
             "not run": "were not run"}  # fmt: skip
    counts: dict[str, int] = {}
    for row in rows:
        word = judged(row.get("verdict"))[0]
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{count} {words.get(word, word)}" for word, count in sorted(counts.items(), key=_by_count))


def _by_count(item: tuple[str, int]) -> tuple[int, str]:
    return (-item[1], item[0])


def _counts(scenarios: Sequence[Scenario]) -> list[int]:
    found = (one.get(world, "throughput_per_s") for one in scenarios for world in WORLDS)
    return sorted({one.n for one in found if one})


def repetitions(scenarios: Sequence[Scenario]) -> str:
    """`n = 3`, or a range: how many repetitions stand behind the figures."""
    counts = _counts(scenarios) or [0]
    if len(counts) == 1:
        return f"n = {counts[0]}"
    joint = "or" if counts[-1] - counts[0] == 1 else "to"
    return f"n = {counts[0]} {joint} {counts[-1]}"


def notation(scenarios: Sequence[Scenario]) -> str:
    """What stands behind a value in the tables of these scenarios."""
    counts = _counts(scenarios)
    parts = ["[95 % interval]"] if any(n >= MIN_FOR_INTERVAL for n in counts) else []
    parts += ["(the two values) where n = 2"] if 2 in counts else []
    return f"mean {', '.join(parts)}" if parts else "single values"


def bars(scenarios: Sequence[Scenario]) -> str:
    """What the error bars of a figure of these scenarios are."""
    counts = _counts(scenarios)
    parts = ["are 95 % intervals"] if any(n >= MIN_FOR_INTERVAL for n in counts) else []
    parts += ["span the two values where n = 2"] if 2 in counts else []
    return f"bars {', '.join(parts)}" if parts else "no bars, as n = 1"


def share_of_bound(one: Scenario) -> str:
    """Throughput of the whole run as a share of the slot bound, real system."""
    found = one.get("real", "throughput_per_s")
    bound = one.slot_bound_per_s
    return percent(found.value / bound) if found and found.value and bound else MISSING
