"""The tables of the setting: where the runs were made, and what the model was told."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from reports.facts import etcd_of, parse_date
from reports.markdown import Md, code, escape, table
from reports.numbers import MISSING, NBSP, integer, number, percent
from reports.runs import Runs, Scenario

MAX_CHARS = 240
TOLD_ELSEWHERE = ("disturbed", "disturbance", "date", "dirty", "uncommitted_changes")
PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
MINUTES = "%Y-%m-%d %H:%M UTC"


def _line(value: Any) -> str:
    """A list or a table of versions on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_line(item)}" for name, item in value.items() if item is not None)
    if isinstance(value, list):
        return ", ".join(_line(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, float) else str(value)


def _machine(facts: dict[str, Any]) -> str:
    memory = facts.get("memory_bytes")
    cores = facts.get("cores") or facts.get("cpu_count")
    parts = [
        facts.get("cpu_model"),
        f"{cores} cores" if cores else None,
        f"{number(memory / 2**30)} GiB of memory" if memory else None,
        facts.get("machine"),
        facts.get("kernel"),
    ]
    return ", ".join(str(part) for part in parts if part)  # fmt: skip


def _etcd(runs: Runs) -> str:
    facts = etcd_of(runs)
    durable = facts.get("durable")
    members = facts.get("members")
    parts = [
        facts.get("version"),
        f"from {facts['origin']}" if facts.get("origin") else None,
        f"{members} member{'s' if members != 1 else ''}" if members else None,
        None if durable is None else "acknowledged writes survive a crash" if durable else "NOT DURABLE",
        f"up to {integer(facts['max_txn_ops'])} operations a transaction" if facts.get("max_txn_ops") else None,
        f"data on {facts['filesystem']}" if facts.get("filesystem") else None,
    ]
    return ", ".join(str(part) for part in parts if part)


def put_p50_ms(scenarios: Iterable[Scenario]) -> list[float]:
    """The median of single puts, in ms, as each repetition of the real system measured it before it began."""
    found = [facts.get("etcd") for one in scenarios for facts in one.environments]
    return sorted(facts["put_p50_ms"] for facts in found if isinstance(facts, dict) and facts.get("put_p50_ms"))


def puts_in_dispatch(one: Scenario) -> tuple[float, float] | None:
    """The median single put in ms, and how many of them the median wait from submit to start is worth."""
    puts, wait = put_p50_ms([one]), one.get("real", "latency_s.dispatch.p50")
    if not puts or wait is None or wait.value is None:
        return None
    put = statistics.fmean(puts)
    return put, wait.value * 1000 / put


def _puts(runs: Runs) -> str:
    found = put_p50_ms(runs.scenarios.values())
    if not found:
        return ""
    return (
        f"p50 {number(statistics.median(found))} ms, {number(found[0])} to {number(found[-1])} ms over {len(found)} "
        "repetitions, each just before its run"
    )


KNOWN = {"cpu_model", "cores", "cores_physical", "cpu_count", "memory_bytes", "machine", "kernel", "etcd"}


def environment(runs: Runs, caption: str, date: str, commit: str | None) -> Md:
    """Every fact of environment.json that is known, those that belong together on one line."""
    facts = runs.environment
    rows: list[list[Any]] = [
        ["machine", _machine(facts)],
        ["etcd server", _etcd(runs)],
        ["a single etcd put", _puts(runs)],
        ["date of the runs", date],
        ["code", Md(f"commit {code(commit)}{', with files that differed from it' if commit.endswith('*') else ''}")
         if commit else ""],
    ]  # fmt: skip
    for key, value in facts.items():
        if key not in KNOWN and key not in TOLD_ELSEWHERE and not key.endswith("commit"):
            text = _line(value)
            rows.append([key.replace("_", " "), f"{text[:MAX_CHARS]}…" if len(text) > MAX_CHARS else text])
    kept = [row for row in rows if row[1]]
    return table("environment", caption, ["fact", "value"], kept, "ll", widths=(18, 82), small=True)


def scaled(value: float, unit: str) -> tuple[str, str]:
    """A number of seconds (or seconds an item) with the prefix that leaves no zeros in front."""
    if not unit.startswith("s") or value == 0:
        return (integer(value) if value == round(value) else number(value)), unit
    scale, prefix = next(((scale, prefix) for scale, prefix in PREFIXES if abs(value) >= scale), PREFIXES[-1])
    return number(value / scale), f"{prefix}{unit}"


def _value(known: dict[str, Any]) -> tuple[str, str]:
    value, unit = known.get("value"), str(known.get("unit") or "")
    if isinstance(value, list) and value and all(isinstance(item, int | float) for item in value):
        return f"{number(min(value))} to {number(max(value))}, {len(value)} quantiles", unit
    if isinstance(value, int | float) and not isinstance(value, bool):
        return scaled(float(value), unit)
    return str(value)[:80], unit


def dates(runs: Runs) -> list[str]:
    """When the model's parameters were measured, each date once."""
    found = [str(entry.get("when") or "") for entry in runs.calibration.values() if isinstance(entry, dict)]
    return sorted({_date(text) for text in found if text})


def _date(text: str) -> str:
    parsed = parse_date(text)
    return text if parsed is None else parsed.strftime(MINUTES if ":" in text else "%Y-%m-%d")


def calibration(runs: Runs, caption: str) -> Md:
    """The parameters of the model with where each comes from; the date in a column only if it differs."""
    several = len(dates(runs)) > 1
    rows: list[Sequence[Any]] = []
    for name, entry in runs.calibration.items():
        known = entry if isinstance(entry, dict) else {"value": entry}
        value, unit = _value(known)
        fit = known.get("error")
        row = [code(name), f"{value}{NBSP}{unit}" if unit and unit != "ratio" else value,
               escape(known.get("source") or MISSING), percent(fit) if fit is not None else MISSING]  # fmt: skip
        rows.append([*row, escape(_date(str(known.get("when") or "")))] if several else row)
    header = ["parameter", "value", "source", "fit error", *(["when"] if several else [])]
    widths = (20, 14, 42, 10, 14) if several else (20, 14, 56, 10)
    return table("calibration", caption, header, rows, "lrlr" + "l" * several, widths=widths, small=True)
