"""What the first page must say: when, on what, from which commit, and what makes the figures doubtful."""

import os
from datetime import UTC, datetime
from typing import Any

from reports.language import gettext, ngettext
from reports.numbers import digits
from reports.provenance import Source, sourced, strip
from reports.runs import ReportError, Runs

DATE_KEYS = ("date", "when", "started_at", "finished_at", "measured_at", "time", "timestamp")
COMMIT_KEYS = ("commit", "git_commit")
EPOCH = datetime(1980, 1, 1, tzinfo=UTC)
"""Stands in where the runs carry no date: the report must not depend on when it is built."""


def parse_date(value: Any) -> datetime | None:
    """An ISO date or seconds since the epoch, in UTC; None for anything else."""
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        found = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def first_of(facts: dict[str, Any], keys: tuple[str, ...]) -> Any:
    """The value of the first key present."""
    return next((facts[key] for key in keys if facts.get(key) not in (None, "")), None)


def date_of(runs: Runs) -> datetime | None:
    """When the runs were made: the newest date any environment.json states."""
    known = [runs.environment, *(facts for one in runs.scenarios.values() for facts in one.environments)]
    known += [table for facts in known for table in facts.values() if isinstance(table, dict)]
    dates = [parse_date(facts[key]) for facts in known for key in DATE_KEYS if key in facts]
    return max((date for date in dates if date), default=None)


def build_timestamp(runs: Runs) -> int:
    """Seconds since the epoch to stamp the files with: SOURCE_DATE_EPOCH, or else the date of the runs.

    Raises ReportError if SOURCE_DATE_EPOCH is not a whole number of seconds.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        if not given.isdecimal():
            raise ReportError(f"SOURCE_DATE_EPOCH must be a whole number of seconds, not {given!r}.")
        return int(given)
    return int((date_of(runs) or EPOCH).timestamp())


def commit_of(runs: Runs) -> str | None:
    """The commit the runs were made from, twelve digits; a star says that files differed from it."""
    value = first_of(runs.environment, COMMIT_KEYS)
    return None if value is None else str(value).removesuffix("-dirty")[:12] + ("*" if _dirty(runs) else "")


def _dirty(runs: Runs) -> bool:
    value = first_of(runs.environment, COMMIT_KEYS)
    return any(runs.environment.get(key) for key in ("dirty", "uncommitted_changes")) or str(value).endswith("-dirty")


def etcd_of(runs: Runs) -> dict[str, Any]:
    """The facts about the server: version, origin, durable, warning."""
    facts = runs.environment.get("etcd")
    return facts if isinstance(facts, dict) else {}


def _reason(facts: dict[str, Any]) -> str | None:
    """Why a run counts as disturbed, as its environment.json says: at the top or in one of its tables."""
    tables = [facts, *(table for table in facts.values() if isinstance(table, dict))]
    facts = next((table for table in tables if table.get("disturbed")), {})
    value = facts.get("disturbed")
    if not value:
        return None
    if isinstance(value, list):
        return "; ".join(str(item) for item in value)
    if isinstance(value, str):
        return value
    return str(
        facts.get("disturbance") or facts.get("disturbed_rule") or gettext("other work was running on the machine")
    )


MAX_NAMED = 3
"""More scenarios than this are counted, not named."""


def _where(hit: list[str], clean: list[str]) -> str:
    """Which scenarios, where that can be said in a few words."""
    if clean and len(hit) <= MAX_NAMED:
        return gettext(" ({names})", names=gettext(", ").join(hit))
    if clean and len(clean) <= MAX_NAMED:
        return gettext(" (all but those of {names})", names=gettext(", ").join(clean))
    return ""


def _load(hit: list[tuple[str, dict[str, Any], str]]) -> str:
    """What disturbed the runs: the cores in foreign use where all of them tell, or else the reasons they give."""
    cores = sorted(each["foreign_cores"] for _, each, _ in hit if isinstance(each.get("foreign_cores"), int | float))
    if len(cores) != len(hit):
        return "; ".join(dict.fromkeys(reason for _, _, reason in hit))
    total = next((each["cores"] for _, each, _ in hit if each.get("cores")), None)
    least, most = digits(cores[0], 2), digits(cores[-1], 2)
    span = least if least == most else gettext("{least} to {most}", least=least, most=most)
    if total:
        span = gettext("{span} of {total}", span=span, total=total)
    return gettext("other processes used {span} cores meanwhile", span=span)


def disturbance(runs: Runs) -> str | None:
    """One sentence on the real runs that shared the machine with other work; None if none did."""
    facts = [(one.name, each) for one in runs.scenarios.values() for each in one.environments]
    hit = [(name, each, reason) for name, each in facts if (reason := _reason(each))]
    if not hit:
        whole = _reason(runs.environment)
        if not whole:
            return None
        return sourced(gettext("The machine was disturbed: {reason}", reason=whole), Source("environment.json", "load"))
    names = list(dict.fromkeys(name for name, _, _ in hit))
    clean = [name for name in dict.fromkeys(name for name, _ in facts) if name not in names]
    where, why = _where(names, clean), _load(hit)
    if len(hit) == len(facts) > 1:
        text = gettext("All {count} real runs were disturbed{where}: {why}", count=len(hit), where=where, why=why)
    elif len(hit) == 1:
        total = len(facts)
        text = ngettext(
            "1 of {total} real run was disturbed{where}: {why}",
            "1 of {total} real runs was disturbed{where}: {why}",
            total, total=total, where=where, why=why,
        )  # fmt: skip
    else:
        text = gettext(
            "{count} of {total} real runs were disturbed{where}: {why}",
            count=len(hit), total=len(facts), where=where, why=why,
        )  # fmt: skip
    return sourced(text, Source("*/real/*/environment.json", "disturbed"))


UNCALIBRATED = "not calibrated"


def uncalibrated(runs: Runs) -> bool:
    """Whether the model ran with round figures instead of measured parameters."""
    found = [facts.get("model") for one in runs.scenarios.values() for facts in one.model_environments]
    return any(UNCALIBRATED in str(model.get("profile", "")) for model in found if isinstance(model, dict))


def warnings(runs: Runs) -> list[str]:
    """Sentences for the first page, loud: the server is not durable; the machine was disturbed."""
    lines = []
    etcd = etcd_of(runs)
    if etcd.get("durable") is False:
        reason = etcd.get("warning") or gettext("it acknowledges writes before they are on disk")
        version = etcd.get("version") or gettext("unknown version")
        lines.append(
            _etcd(gettext("The etcd server ({version}) is not durable: {reason}", version=version, reason=reason))
        )
    elif etcd.get("warning"):
        lines.append(_etcd(str(etcd["warning"])))
    elif "durable" not in etcd:
        lines.append(gettext("The runs do not say whether their etcd server was durable."))
    found = disturbance(runs)
    if found:
        lines.append(found)
    return [line if strip(line).endswith((".", "!", "。")) else gettext("{sentence}.", sentence=line) for line in lines]


def _etcd(text: str) -> str:
    return sourced(text, Source("environment.json", "etcd"))


def cores_of(runs: Runs) -> int | None:
    """How many cores the machine has."""
    found = runs.environment.get("cores") or runs.environment.get("cpu_count")
    return int(found) if found else None


def commit_of_file(runs: Runs, file: str) -> str | None:
    """The commit that the runs in a file were made from: as their own environment says, or else that beside them."""
    scenario = runs.scenarios.get(file.split("/", maxsplit=1)[0])
    own = (first_of(each, COMMIT_KEYS) for each in scenario.environments) if scenario else ()
    return next((str(value) for value in own if value), None) or first_of(runs.environment, COMMIT_KEYS)
