"""The tables of the report, each a function from runs to Markdown."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from reports.markdown import Md, code, escape, table
from reports.numbers import (
    MISSING,
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
TIMES = "\N{MULTIPLICATION SIGN}"
NBSP_THIN = "\N{NARROW NO-BREAK SPACE}"


def throughput_of(scenario: Scenario, world: World) -> Estimate | None:
    """The whole run's throughput, which no queue can bring above the slot bound.

    The steady one can exceed it: tasks of equal length finish in waves, and a cut between waves counts one too many.
    """
    return scenario.get(world, "throughput_per_s") or scenario.get(world, STEADY)


def scaling(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Throughput, bounds and share of the slot bound for each scenario, real and model."""
    rows = []
    for scenario in sorted(scenarios, key=lambda one: (one.dispatch != "watch", one.workers)):
        real, sim = (throughput_of(scenario, world) for world in WORLDS)
        bound = scenario.slot_bound_per_s
        share = real.value / bound if real and real.value and bound else None
        rows.append(
            [code(scenario.name), f"{scenario.workers} {TIMES} {scenario.slots}", number(bound),
             number(scenario.tick_bound_per_s), interval(real), interval(sim), percent(share),
             signed_percent(error_of(real, sim)), value_of(scenario.get("real", STEADY))]
        )  # fmt: skip
    header = ["scenario", f"W {TIMES} C", "slot bound", "tick bound", "real", "model", "real / bound", "model error",
              "steady, real"]  # fmt: skip
    return table("scaling", caption, header, rows, "lcrrrrrrr", small=True)


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
            cells.append(error if spread is None or error == MISSING else f"{error} (±{fixed(spread * 100, 1)})")
        rows.append([code(scenario.name), *cells])
    header = ["scenario", *(name for name, _ in FIDELITY)]
    return table("fidelity", caption, header, rows, "l" + "r" * len(FIDELITY), small=True)


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
    return escape(float(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def tally(rows: Sequence[dict[str, Any]]) -> str:
    """How often each verdict was given, most frequent first: `5 holds, 1 holds only if`."""
    counts = Counter(split_verdict(row.get("verdict"))[0] for row in rows)
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
    return table("claims", caption, header, cells, "llllll", widths=(7, 18, 26, 21, 17, 11), small=True)


def _shown(key: str, value: Any) -> tuple[str, Any]:
    """A fact with its name for people: bytes as GiB, lists and tables of versions on one line."""
    if isinstance(value, dict):
        return key, ", ".join(f"{name} {item}" for name, item in value.items() if item is not None)
    if isinstance(value, list):
        return key, ", ".join(number(item) if isinstance(item, float) else str(item) for item in value)
    if key.endswith("_bytes") and isinstance(value, int | float):
        return key.removesuffix("_bytes"), f"{number(value / 2**30)} GiB"
    return key, value


def _facts(runs: Runs) -> list[tuple[str, Any]]:
    etcd = runs.environment.get("etcd")
    nested = {f"etcd_{key}": value for key, value in etcd.items()} if isinstance(etcd, dict) else {"etcd": etcd}
    plain = {key: value for key, value in runs.environment.items() if key != "etcd"}
    return [_shown(key, value) for key, value in (plain | nested).items() if value not in (None, "", [], {})]


def environment(runs: Runs, caption: str) -> Md:
    """Every fact of environment.json that is known."""
    rows = []
    for key, value in _facts(runs):
        text = str(value) if isinstance(value, str) else escape(value)
        cut = isinstance(value, str) and len(text) > MAX_ENVIRONMENT_CHARS
        rows.append([key.replace("_", " "), f"{text[:MAX_ENVIRONMENT_CHARS]}…" if cut else text])
    return table("environment", caption, ["fact", "value"], rows, "ll", widths=(20, 80), small=True)


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
