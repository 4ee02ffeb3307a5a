"""The tables of the report, each a function from runs to Markdown."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from reports.estimate import Estimate
from reports.markdown import Md, code, escape, table
from reports.numbers import (
    MISSING,
    NBSP,
    error_of,
    fixed,
    integer,
    interval,
    milliseconds,
    number,
    percent,
    signed_percent,
    spread_of,
    value_of,
)
from reports.runs import STAGES, WORLD_NAMES, WORLDS, Scenario, World

STEADY = "steady_throughput_per_s"
VERDICT_CLASSES = (
    ("holds only", "partly"),
    ("only if", "partly"),
    ("partly", "partly"),
    ("holds", "holds"),
    ("beaten", "holds"),
    ("does not", "fails"),
    ("fails", "fails"),
    ("refuted", "fails"),
    ("contradicted", "fails"),
)
_GLUED = re.compile(r"(?<=\d) (?=m?s\b)|(?<=\(n) (?==)|(?<=\(n =) (?=\d)|(?<=\d) (?=or \d+\))")
"""Spaces that must not end a line: before a unit, and in `(n = 1 or 2)`."""
TIMES = "\N{MULTIPLICATION SIGN}"
NBSP_THIN = "\N{NARROW NO-BREAK SPACE}"


def throughput_of(scenario: Scenario, world: World) -> Estimate | None:
    """The whole run's throughput, which no queue can bring above the slot bound.

    The steady one can exceed it: tasks of equal length finish in waves, and a cut between waves counts one too many.
    """
    return scenario.get(world, "throughput_per_s") or scenario.get(world, STEADY)


def repetitions_of(scenario: Scenario) -> str:
    """How many repetitions stand behind a row: of the real system, or of the model where it alone ran."""
    found = next((one for world in WORLDS if (one := throughput_of(scenario, world))), None)
    return str(found.n) if found else MISSING


def steady_of(scenario: Scenario, world: World) -> Estimate | None:
    """Throughput between 10 % and 90 % of the commits: without the wait for the first tick, which a short run feels."""
    return scenario.get(world, STEADY) or scenario.get(world, "throughput_per_s")


def scaling(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Throughput, bounds and share of the slot bound for each scenario, real and model."""
    rows = []
    for scenario in sorted(scenarios, key=lambda one: (one.dispatch != "watch", one.workers)):
        real, sim = (throughput_of(scenario, world) for world in WORLDS)
        bound = scenario.slot_bound_per_s
        share = real.value / bound if real and real.value and bound else None
        rows.append(
            [code(scenario.name), f"{scenario.workers} {TIMES} {scenario.slots}", number(bound),
             number(scenario.tick_bound_per_s), interval(real), interval(sim), repetitions_of(scenario), percent(share),
             signed_percent(error_of(real, sim)), value_of(scenario.get("real", STEADY))]
        )  # fmt: skip
    header = ["scenario", f"W {TIMES} C", "slot bound", "tick bound", "real", "model", "n", "real / bound",
              "model error", "steady, real"]  # fmt: skip
    return table("scaling", caption, header, rows, "lcrrrrrrrr", small=True)


def polling(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Service time against ticker: what the intervals imply, and what came out."""
    rows = []
    for scenario in sorted(scenarios, key=lambda one: (one.ticker != "rate", one.service_s or 0.0)):
        real, sim = (steady_of(scenario, world) for world in WORLDS)
        fixed_rate = scenario.ticker == "rate"
        rows.append(
            [code(scenario.name), scenario.ticker,
             f"{scenario.service_s:g}" if scenario.service_s else MISSING,
             number(scenario.cycle_s) if fixed_rate else MISSING, number(scenario.slot_bound_per_s),
             number(scenario.tick_bound_per_s) if fixed_rate else MISSING, interval(real), interval(sim),
             repetitions_of(scenario), signed_percent(error_of(real, sim)),
             value_of(throughput_of(scenario, "real"))]
        )  # fmt: skip
    header = ["scenario", "ticks", "s (s)", "cycle (s)", "slot bound", "tick bound", "real", "model", "n",
              "model error", "whole run"]  # fmt: skip
    return table("polling", caption, header, rows, "llrrrrrrrrr", small=True)


def percentiles(scenario: Scenario, label: str, caption: str) -> Md:
    """Mean and percentiles of every stage in milliseconds, real beside model."""
    rows: list[list[Any]] = []
    for stage in (*STAGES, "dispatch", "overhead", "total"):
        cells = [
            milliseconds(scenario.get(world, f"latency_s.{stage}.{statistic}"))
            for statistic in ("mean", "p50", "p95", "p99")
            for world in WORLDS
        ]
        if any(cell != MISSING for cell in cells):
            name = escape(stage) if stage in STAGES else Md(f"*{escape(stage)}*")
            rows.append([name, *cells])
    header = ["stage", *(f"{statistic}, {WORLD_NAMES[world]}" for statistic in ("mean", "p50", "p95", "p99")
                         for world in WORLDS)]  # fmt: skip
    return table(label, caption, header, rows, "lrrrrrrrr", small=True)


def burst(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Drain time, throughput and the counts that must be zero."""
    rows = []
    for scenario in scenarios:
        for world in WORLDS:
            if scenario.has(world):
                metrics = scenario.metrics[world]
                counts = [integer(metrics.get(key)) for key in ("submitted", "completed", "lost", "executed_twice")]
                figures = [interval(scenario.get(world, key)) for key in ("makespan_s", "throughput_per_s")]
                found = throughput_of(scenario, world)
                n = str(found.n) if found else MISSING
                rows.append([code(scenario.name), WORLD_NAMES[world], n, *figures, *counts])
    header = ["scenario", "world", "n", "drain (s)", "tasks/s", "submitted", "completed", "lost", "run twice"]
    return table("burst", caption, header, rows, "llrrrrrrr", small=True)


FIDELITY = (
    ("tasks/s", "throughput_per_s"),
    ("steady tasks/s", STEADY),
    ("dispatch p50", "latency_s.dispatch.p50"),
    ("dispatch p99", "latency_s.dispatch.p99"),
    ("overhead mean", "latency_s.overhead.mean"),
    ("CPU", "cpu_s_per_1000"),
)


def fidelity(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Signed error of the model for each scenario and figure, beside the spread of the real system."""
    rows: list[list[Any]] = []
    for scenario in scenarios:
        cells = []
        for _, key in FIDELITY:
            real = scenario.get("real", key)
            error = signed_percent(error_of(real, scenario.get("sim", key)))
            spread = spread_of(real)
            cells.append(error if spread is None or error == MISSING else f"{error} (±{fixed(spread * 100, 1)})")
        rows.append([code(scenario.name), repetitions_of(scenario), *cells])
    header = ["scenario", "n", *(name for name, _ in FIDELITY)]
    return table("fidelity", caption, header, rows, "l" + "r" * (len(FIDELITY) + 1), small=True)


def _components(scenarios: Sequence[Scenario], key: str) -> list[str]:
    return list(dict.fromkeys(part for one in scenarios for world in WORLDS for part in one.parts(world, key)))


def resources(scenarios: Sequence[Scenario], caption: str) -> Md:
    """CPU seconds per 1,000 tasks of each kind of component, real / model, and their sum with its interval."""
    kinds = _components(scenarios, "cpu_s_per_1000_of")
    rows: list[list[Any]] = []
    for one in scenarios:
        pairs = [[value_of(one.get(world, f"cpu_s_per_1000_of.{kind}")) for world in WORLDS] for kind in kinds]
        total = [interval(one.get(world, "cpu_s_per_1000")) for world in WORLDS]
        rows.append([code(one.name), *(" / ".join(pair) for pair in pairs), *total])
    header = ["scenario", *kinds, "all, real", "all, model"]
    return table("resources", caption, header, rows, "l" + "r" * (len(kinds) + 2), small=True)


def memory(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Peak resident memory of the largest process of each kind in MB, real system."""
    kinds = _components(scenarios, "rss_peak_mb_of")
    rows = [
        [code(one.name), *(interval(one.get("real", f"rss_peak_mb_of.{kind}")) for kind in kinds)] for one in scenarios
    ]
    return table("memory", caption, ["scenario", *kinds], rows, "l" + "r" * len(kinds), small=True)


def split_verdict(text: Any) -> tuple[str, str]:
    """A verdict and the condition that may follow in the same sentence."""
    plain = str(text or "not judged")
    start = "holds only if"
    return (start, plain[len(start) :].strip()) if plain.lower().startswith(start) else (plain, "")


def verdict(text: Any) -> Md:
    """A verdict in bold with a class for its colour, then its condition; the words carry the meaning."""
    word, condition = split_verdict(text)
    kind = next((kind for start, kind in VERDICT_CLASSES if word.lower().startswith(start)), "open")
    return Md(f"[**{escape(word)}**]{{.verdict-{kind}}}" + (f" {escape(condition)}" if condition else ""))


def claim_value(value: Any) -> Md:
    """A measured or predicted value of a claim: a sentence, a number or a figure of metrics.json."""
    if isinstance(value, dict):
        unit = value.get("unit")
        known = {key: value[key] for key in ("value", "low", "high", "n") if key in value}
        text = interval(msgspec.convert(known, Estimate)) if "value" in known else ", ".join(
            f"{key} {number(item) if isinstance(item, int | float) else item}" for key, item in value.items()
        )  # fmt: skip
        return escape(f"{text} {unit}" if unit else text)
    if value == "":
        return Md(MISSING)
    if isinstance(value, str):
        value = _GLUED.sub(NBSP, value)
    return escape(float(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def tally(rows: Sequence[dict[str, Any]]) -> str:
    """How often each verdict was given, most frequent first: `5 holds, 1 holds only if`."""
    counts = Counter(split_verdict(row.get("verdict"))[0] for row in rows)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


SECTIONS = ("scaling", "latency", "burst")
"""A scenario whose name starts so is shown in the section of that name."""


def evidence(paths: Any) -> Md:
    """Run folders in brief, after the section that shows them: `Section 3: scaling-1, 3, poll-100-rate`."""
    listed = [str(path) for path in (paths if isinstance(paths, list) else [paths])] if paths else []
    groups: dict[str, list[str]] = {}
    for path in listed:
        groups.setdefault(next((name for name in SECTIONS if path.startswith(name)), ""), []).append(path)
    texts = []
    for section, found in groups.items():
        first, *more = found
        shown = [first, *(path.removeprefix(f"{section}-") if section else path for path in more)]
        texts.append((f"@sec:{section}: " if section else "") + ", ".join(code(path) for path in shown))
    return Md("; ".join(texts) or MISSING)


def claims(rows: Sequence[dict[str, Any]], caption: str) -> Md:
    """Every claim with its verdict and where the evidence is."""
    cells = []
    for claim in rows:
        judged = str(verdict(claim.get("verdict")))
        if claim.get("condition"):
            judged += f" {escape(_GLUED.sub(NBSP, str(claim['condition'])))}"
        cells.append(
            [Md(f"**{escape(claim.get('id'))}** (§{NBSP_THIN}{escape(claim.get('section'))}) "
                f"{escape(claim.get('claim'))}"),
             claim_value(claim.get("measured")), claim_value(claim.get("predicted")), Md(judged),
             evidence(claim.get("evidence"))]
        )  # fmt: skip
    header = ["claim, as stated", "measured", "model", "verdict", "evidence"]
    return table("claims", caption, header, cells, "lllll", widths=(23, 20, 19, 23, 15), small=True)
