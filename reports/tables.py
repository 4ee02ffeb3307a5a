"""The tables of the report, each a function from runs to Markdown."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pandas as pd

from reports.markdown import Md, code, escape, table
from reports.numbers import (
    MISSING,
    error_of,
    integer,
    interval,
    milliseconds,
    number,
    percent,
    signed_percent,
    spread_of,
)
from reports.runs import STAGES, WORLD_NAMES, WORLDS, Estimate, Runs, Scenario, World

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
MAX_ENVIRONMENT_CHARS = 240
NBSP_THIN = "\N{NARROW NO-BREAK SPACE}"


def throughput_of(scenario: Scenario, world: World) -> Estimate | None:
    """The steady throughput (10 % to 90 % of the commits), or the whole run's where that is not given."""
    return scenario.get(world, STEADY) or scenario.get(world, "throughput_per_s")


def scaling(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Throughput, bound and share of the bound for each scenario, real and model."""
    rows = []
    for scenario in scenarios:
        real, sim = (throughput_of(scenario, world) for world in WORLDS)
        bound = scenario.slot_bound_per_s
        share = real.value / bound if real and real.value and bound else None
        rows.append(
            [code(scenario.name), f"{scenario.workers} × {scenario.slots}", number(bound),
             number(scenario.tick_bound_per_s), interval(real), interval(sim), percent(share),
             signed_percent(error_of(real, sim))]
        )  # fmt: skip
    header = ["scenario", "workers × slots", "slot bound", "tick bound", "real", "model", "real / bound", "model error"]
    return table("scaling", caption, header, rows, "lcrrrrrr", small=True)


def polling(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Service time against ticker: throughput and both bounds."""
    rows = []
    for scenario in sorted(scenarios, key=lambda one: (one.ticker != "rate", one.service_s or 0.0)):
        real, sim = (throughput_of(scenario, world) for world in WORLDS)
        tick = number(scenario.tick_bound_per_s) if scenario.ticker == "rate" else MISSING
        rows.append(
            [code(scenario.name), scenario.ticker, f"{scenario.service_s:g}" if scenario.service_s else MISSING,
             number(scenario.slot_bound_per_s), tick, interval(real), interval(sim),
             signed_percent(error_of(real, sim))]
        )  # fmt: skip
    header = ["scenario", "ticker", "service (s)", "slot bound", "tick bound", "real", "model", "model error"]
    return table("polling", caption, header, rows, "llrrrrrr", small=True)


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
                rows.append([code(scenario.name), WORLD_NAMES[world], *figures, *counts])
    header = ["scenario", "world", "drain (s)", "tasks/s", "submitted", "completed", "lost", "run twice"]
    return table("burst", caption, header, rows, "llrrrrrr", small=True)


FIDELITY = (
    ("tasks/s", "throughput_per_s"),
    ("steady tasks/s", STEADY),
    ("makespan", "makespan_s"),
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
            cells.append(error if spread is None or error == MISSING else f"{error} (±{number(spread * 100, 2)})")
        rows.append([code(scenario.name), *cells])
    header = ["scenario", *(name for name, _ in FIDELITY)]
    return table("fidelity", caption, header, rows, "l" + "r" * len(FIDELITY), small=True)


def _family(component: str) -> str:
    head, _, tail = component.rpartition("-")
    return head if head and tail.isdigit() else component


def component_use(scenario: Scenario, world: World) -> pd.DataFrame:
    """CPU seconds per 1,000 completed tasks and peak resident bytes for each kind of component, mean over repetitions.

    `cpu_s` is cumulative per process; several processes of one kind are added, their memory is the largest one's.
    """
    parts = []
    metrics = scenario.metrics.get(world) or {}
    completed = float(metrics.get("completed") or 0)
    folders = max(len(scenario.repetitions(world)), 1)
    for samples in scenario.resources(world):
        each = samples.groupby("component").agg(low=("cpu_s", "min"), high=("cpu_s", "max"), rss=("rss_bytes", "max"))
        each["cpu_s"] = each["high"] - each["low"]
        parts.append(each.groupby(_family).agg(cpu_s=("cpu_s", "sum"), rss_bytes=("rss", "max"), count=("rss", "size")))
    if not parts:
        return pd.DataFrame(columns=["cpu_s_per_1000", "rss_bytes", "count"])
    mean = pd.concat(parts).groupby(level=0).mean()
    # `completed` counts all repetitions of the summary; the samples are of one repetition each.
    mean["cpu_s_per_1000"] = mean["cpu_s"] / (completed / folders) * 1000 if completed else float("nan")
    return mean[["cpu_s_per_1000", "rss_bytes", "count"]]


def resources(scenarios: Sequence[Scenario], caption: str) -> Md:
    """CPU and memory of each kind of component of the real system, the CPU of the model beside it."""
    rows: list[list[Any]] = []
    for scenario in scenarios:
        real, sim = (component_use(scenario, world) for world in WORLDS)
        for component, use in real.iterrows():
            modelled = sim["cpu_s_per_1000"].get(component) if len(sim) else None
            rows.append(
                [code(scenario.name), str(component), f"{use['count']:.0f}", number(use["cpu_s_per_1000"]),
                 number(None if modelled is None else float(modelled)), number(use["rss_bytes"] / 2**20)]
            )  # fmt: skip
        total = [interval(scenario.get(world, "cpu_s_per_1000")) for world in WORLDS]
        if any(cell != MISSING for cell in total):
            rows.append([code(scenario.name), Md("*all*"), "", *total, MISSING])
    header = ["scenario", "component", "processes", "CPU s, real", "CPU s, model", "peak RSS (MiB)"]
    return table("resources", caption, header, rows, "llrrrr", small=True)


def verdict(text: Any) -> Md:
    """A verdict in bold with a class for its colour; the words carry the meaning."""
    plain = str(text or "not judged")
    kind = next((kind for start, kind in VERDICT_CLASSES if plain.lower().startswith(start)), "open")
    return Md(f"[**{escape(plain)}**]{{.verdict-{kind}}}")


def claim_value(value: Any) -> Md:
    """A measured or predicted value of a claim: a sentence, a number or a figure of metrics.json."""
    if isinstance(value, dict):
        unit = value.get("unit")
        known = {key: value[key] for key in ("value", "low", "high", "n") if key in value}
        text = interval(msgspec.convert(known, Estimate)) if "value" in known else ", ".join(
            f"{key} {number(item) if isinstance(item, int | float) else item}" for key, item in value.items()
        )  # fmt: skip
        return escape(f"{text} {unit}" if unit else text)
    return escape(float(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def tally(rows: Sequence[dict[str, Any]]) -> str:
    """How often each verdict was given, most frequent first: `5 holds, 1 holds only if`."""
    counts = Counter(str(row.get("verdict") or "not judged") for row in rows)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def claims(rows: Sequence[dict[str, Any]], caption: str) -> Md:
    """Every claim with its verdict and where the evidence is."""
    cells = []
    for claim in rows:
        judged = str(verdict(claim.get("verdict")))
        if claim.get("condition"):
            judged += f" {escape(claim['condition'])}"
        paths = claim.get("evidence") or []
        listed = ", ".join(code(path) for path in (paths if isinstance(paths, list) else [paths]))
        cells.append(
            [Md(f"**{escape(claim.get('id'))}** §{NBSP_THIN}{escape(claim.get('section'))}"), claim.get("claim"),
             claim_value(claim.get("measured")), claim_value(claim.get("predicted")), Md(judged),
             Md(listed or MISSING)]
        )  # fmt: skip
    header = ["claim", "as stated", "measured", "model", "verdict", "evidence"]
    return table("claims", caption, header, cells, "llllll", widths=(9, 25, 18, 15, 18, 15), small=True)


def _flatten(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in _flatten(f"{prefix}.{key}" if prefix else key, item)]
    if isinstance(value, list):
        return [(prefix, ", ".join(str(item) for item in value))]
    return [(prefix, value)]


def environment(runs: Runs, caption: str) -> Md:
    """Every fact of environment.json, nested names joined by dots."""
    rows = []
    for key, value in _flatten("", runs.environment):
        text = str(value) if isinstance(value, str) else escape(value)
        cut = isinstance(value, str) and len(text) > MAX_ENVIRONMENT_CHARS
        rows.append([key.replace("_", " "), f"{text[:MAX_ENVIRONMENT_CHARS]}…" if cut else text])
    return table("environment", caption, ["fact", "value"], rows, "ll", widths=(28, 72), small=True)


def calibration(runs: Runs, caption: str) -> Md:
    """The parameters of the model with where each comes from."""
    rows = []
    for name, entry in runs.calibration.items():
        known = entry if isinstance(entry, dict) else {"value": entry}
        value = known.get("value")
        shown = number(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
        rows.append([code(name), shown[:80], known.get("unit", ""), known.get("source", ""), known.get("when", "")])
    header = ["parameter", "value", "unit", "source", "when"]
    return table("calibration", caption, header, rows, "lrlll", widths=(26, 14, 10, 34, 16), small=True)
