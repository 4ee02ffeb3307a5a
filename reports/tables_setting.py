"""The tables of the setting: where the runs were made, and what the model was told."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from reports import phrases
from reports.facts import etcd_of, parse_date
from reports.language import gettext, mark, ngettext
from reports.markdown import Md, code, escape, table
from reports.numbers import MISSING, NBSP, digits, integer
from reports.provenance import Known, Source, sourced
from reports.runs import Runs, Scenario

MAX_CHARS = 240
TOLD_ELSEWHERE = ("disturbed", "disturbance", "date", "dirty", "uncommitted_changes")
PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
ALIKE = 1.5
"""Two machines are about equally fast where their medians of single puts differ by no more than this factor."""
MINUTES = "%Y-%m-%d %H:%M UTC"


def _line(value: Any) -> str:
    """A list or a table of versions on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_line(item)}" for name, item in value.items() if item is not None)
    if isinstance(value, list):
        return ", ".join(_line(item) for item in value)
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    return digits(value) if isinstance(value, float) else str(value)


def _machine(facts: dict[str, Any]) -> str:
    memory = facts.get("memory_bytes")
    cores = facts.get("cores") or facts.get("cpu_count")
    parts = [
        facts.get("cpu_model"),
        gettext("{cores} cores", cores=cores) if cores else None,
        gettext("{size} GiB of memory", size=digits(memory / 2**30)) if memory else None,
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
        gettext("from {origin}", origin=facts["origin"]) if facts.get("origin") else None,
        ngettext("{members} member", "{members} members", members, members=members) if members else None,
        None if durable is None else _durability(durable=durable),
        gettext("up to {count} operations a transaction", count=integer(facts["max_txn_ops"]))
        if facts.get("max_txn_ops")
        else None,
        gettext("data on {filesystem}", filesystem=facts["filesystem"]) if facts.get("filesystem") else None,
    ]
    return ", ".join(str(part) for part in parts if part)  # fmt: skip


def _durability(*, durable: bool) -> str:
    return gettext("acknowledged writes survive a crash") if durable else gettext("NOT DURABLE")


def put_p50_ms(scenarios: Iterable[Scenario]) -> list[float]:
    """The median of single puts, in ms, as each repetition of the real system measured it before it began.

    Those whose disk was slowed down are left out.
    """
    found = [facts.get("etcd") for one in scenarios if not one.flush_delay_s for facts in one.environments]
    return sorted(facts["put_p50_ms"] for facts in found if isinstance(facts, dict) and facts.get("put_p50_ms"))


def puts_in_dispatch(one: Scenario) -> tuple[float, float] | None:
    """The median single put in ms, and how many of them the median wait from submit to start is worth."""
    puts, wait = put_p50_ms([one]), one.get("real", "latency_s.dispatch.p50")
    if not puts or wait is None or wait.value is None:
        return None
    files = Source(f"{one.path.name}/real/*/environment.json", "etcd.put_p50_ms")
    put = Known(statistics.fmean(puts), files)
    return put, wait.value * 1000 / put


class Speeds(NamedTuple):
    """The median single put, in ms, where the model's parameters were measured, and in these runs; their ratio."""

    there_ms: Known
    here_ms: Known
    scaled: dict[str, Known]
    """Where parameters of another machine were scaled: by what the costs of Python, etcd and the disk."""

    @property
    def alike(self) -> bool:
        """As far as such a short measurement can tell."""
        return 1 / ALIKE <= self.here_ms / self.there_ms <= ALIKE


def speeds(runs: Runs) -> Speeds | None:
    """None where one of them is not known."""
    here, there_ms = put_p50_ms(runs.scenarios.values()), runs.calibrated.get("put_p50_ms")
    if not here or not there_ms:
        return None
    source = Source("*/real/*/environment.json", "etcd.put_p50_ms")
    there = runs.known(there_ms, "calibrated.json", "put_p50_ms")
    factors = runs.calibrated.get("scaled", {})
    scaled = {
        name: runs.known(factors[name], "calibrated.json", f"scaled.{name}")
        for name in ("python", "etcd", "disk")
        if name in factors
    }
    return Speeds(there, Known(statistics.median(here), source), scaled)


def _puts(runs: Runs) -> str:
    found = put_p50_ms(runs.scenarios.values())
    if not found:
        return ""
    return gettext(
        "p50 {median} ms, {least} to {most} ms over {count} repetitions, each just before its run",
        median=digits(statistics.median(found)), least=digits(found[0]), most=digits(found[-1]), count=len(found),
    )  # fmt: skip


NAMES = (mark("python"), mark("packages"), mark("load average"))
"""Facts that have no row of their own by name."""
KNOWN = {"cpu_model", "cores", "cores_physical", "cpu_count", "memory_bytes", "machine", "kernel", "etcd"}


def environment(runs: Runs, caption: str, date: str, commit: str | None) -> Md:
    """Every fact of environment.json that is known, those that belong together on one line."""
    facts = runs.environment
    dirty = bool(commit and commit.endswith("*"))
    rows: list[tuple[str, str, str]] = [
        (gettext("machine"), _machine(facts), "cpu_model"),
        (gettext("etcd server"), _etcd(runs), "etcd"),
        (gettext("a single etcd put"), _puts(runs), "etcd.put_p50_ms"),
        (gettext("date of the runs"), date, "date"),
        (gettext("code"), _commit(commit, dirty=dirty) if commit else "", "commit"),
    ]
    for key, value in facts.items():
        if key not in KNOWN and key not in TOLD_ELSEWHERE and not key.endswith("commit"):
            text = _line(value)
            name = key.replace("_", " ")
            rows.append((gettext(name), f"{text[:MAX_CHARS]}…" if len(text) > MAX_CHARS else text, key))
    kept = [[label, _sourced(text, key)] for label, text, key in rows if text]
    return table("environment", caption, [gettext("fact"), gettext("value")], kept, "ll", widths=(18, 82), small=True)


def _commit(commit: str, *, dirty: bool) -> str:
    text = gettext("commit {commit}, with files that differed from it") if dirty else gettext("commit {commit}")
    return text.format(commit=commit)


def _sourced(text: str, key: str) -> Md:
    file = "*/real/*/environment.json" if key == "etcd.put_p50_ms" else "environment.json"
    return Md(sourced(escape(text), Source(file, key)))


def scaled(value: float, unit: str) -> tuple[str, str]:
    """A number of seconds (or seconds an item) with the prefix that leaves no zeros in front."""
    if not unit.startswith("s") or value == 0:
        return (integer(value) if value == round(value) else digits(value)), unit
    scale, prefix = next(((scale, prefix) for scale, prefix in PREFIXES if abs(value) >= scale), PREFIXES[-1])
    return digits(value / scale), f"{prefix}{unit}"


def _value(known: dict[str, Any]) -> tuple[str, str]:
    value, unit = known.get("value"), str(known.get("unit") or "")
    if isinstance(value, list) and value and all(isinstance(item, int | float) for item in value):
        least, most, count = digits(min(value)), digits(max(value)), len(value)
        return gettext("{least} to {most}, {count} quantiles", least=least, most=most, count=count), unit
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


def _origin(source: str) -> tuple[str, str]:
    """Where a parameter comes from, and how well the fit met what was seen, which all fitted ones have in common."""
    origin, _, rest = source.partition("; mean error: ")
    errors, and_, more = rest.partition("; ")
    return origin + and_ + more, errors


def fit_errors(runs: Runs) -> str | None:
    """By how much the fitted model misses the measurements, in words; None where nothing was fitted."""
    for name, entry in runs.calibration.items():
        _, errors = _origin(str(entry.get("source") or "")) if isinstance(entry, dict) else ("", "")
        if errors:
            return sourced(phrases.told(errors), Source("calibration.json", name))
    return None


def calibration(runs: Runs, caption: str) -> Md:
    """The parameters of the model with where each comes from; the date in a column only if it differs."""
    several = len(dates(runs)) > 1
    rows: list[Sequence[Any]] = []
    for name, entry in runs.calibration.items():
        known = entry if isinstance(entry, dict) else {"value": entry}
        value, unit = _value(known)
        fit = known.get("error")
        source = Source("calibration.json", name)
        shown = sourced(f"{value}{NBSP}{unit}" if unit and unit != "ratio" else value, source)
        origin = sourced(phrases.told(_origin(str(known.get("source") or MISSING))[0]), source)
        error = MISSING if fit is None else sourced(f"{fit * 100:.1f}{NBSP}%", source)
        row = [code(name), shown, origin, error]
        rows.append([*row, sourced(_date(str(known.get("when") or "")), source)] if several else row)
    header = [gettext("parameter"), gettext("value"), gettext("source"), gettext("fit error"),
              *([gettext("when")] if several else [])]  # fmt: skip
    widths = (20, 14, 42, 10, 14) if several else (20, 14, 56, 10)
    return table("calibration", caption, header, rows, "lrlr" + "l" * several, widths=widths, small=True)
