"""The table of the claims: what was stated, measured and predicted, whether it holds, and where the evidence is."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from reports import phrases
from reports.estimate import Estimate
from reports.language import gettext, mark
from reports.markdown import Md, code, escape, table
from reports.numbers import MISSING, NBSP, digits, interval
from reports.provenance import Source, sourced

FILE = "claims.json"
VERDICT_CLASSES = (
    ("holds only", "partly"),
    ("holds on a", "partly"),
    ("only if", "partly"),
    ("partly", "partly"),
    ("not shown", "partly"),
    ("holds", "holds"),
    ("beaten", "holds"),
    ("does not", "fails"),
    ("fails", "fails"),
    ("refuted", "fails"),
    ("contradicted", "fails"),
)
VERDICTS = (
    mark("holds"),
    mark("holds only if"),
    mark("does not hold"),
    mark("not shown"),
    mark("not run"),
    mark("not judged"),
)
SHORT = {"holds only if": mark("holds on a condition")}
"""Where the condition does not follow."""
_GLUED = re.compile(r"(?<=\d) (?=m?s\b)|(?<=\(n) (?==)|(?<=\(n =) (?=\d)|(?<=\d) (?=or \d+\))")
"""Spaces that must not end a line: before a unit, and in `(n = 1 or 2)`."""
NBSP_THIN = "\N{NARROW NO-BREAK SPACE}"
SECTIONS = {
    "1.3": "deployment", "2.1": "throughput", "2.2": "queue", "2.3": "serialisation", "3.1": "scaling",
    "3.2": "schedulers", "4.1": "latency", "4.2": "recovery", "5.1": "memory", "5.2": "cpu", "5.3": "traffic",
    "6.1": "attribution", "6.2": "ablations", "7.1": "sustained", "7.2": "burst", "8.1": "system", "8.2": "ablations",
    "8.3": "tuning", "9.1": "methods", "9.2": "methods", "10": "conclusions",
}  # fmt: skip
"""Where a claim of the source's section is treated here."""


def split_verdict(text: Any) -> tuple[str, str]:
    """A verdict and the condition that may follow in the same sentence."""
    plain = str(text or "not judged")
    start = "holds only if"
    return (start, plain[len(start) :].strip()) if plain.lower().startswith(start) else (plain, "")


def verdict(text: Any) -> Md:
    """A verdict in bold with a class for its colour, then its condition; the words carry the meaning."""
    word, condition = split_verdict(text)
    condition = phrases.told(condition)
    kind = next((kind for start, kind in VERDICT_CLASSES if word.lower().startswith(start)), "open")
    return Md(f"[**{escape(gettext(word))}**]{{.verdict-{kind}}}" + (f" {escape(condition)}" if condition else ""))


def claim_value(value: Any) -> Md:
    """A measured or predicted value of a claim: a sentence, a number or a figure of metrics.json."""
    if isinstance(value, dict):
        unit = value.get("unit")
        known = {key: value[key] for key in ("value", "low", "high", "n") if key in value}
        text = interval(msgspec.convert(known, Estimate)) if "value" in known else ", ".join(
            f"{key} {digits(item) if isinstance(item, int | float) else item}" for key, item in value.items()
        )  # fmt: skip
        return escape(f"{text} {unit}" if unit else text)
    if value == "":
        return Md(MISSING)
    if isinstance(value, str):
        value = _GLUED.sub(NBSP, phrases.told(value))
    return escape(float(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def evidence(section: Any, paths: Any) -> Md:
    """The section that treats the claim, and the files or run folders of the verdict."""
    listed = [str(path) for path in (paths if isinstance(paths, list) else [paths])] if paths else []
    where = SECTIONS.get(str(section).split(",")[0].split(" ")[0])
    parts = [f"@sec:{where}"] if where else []
    parts += [", ".join(code(path) for path in listed)] if listed else []
    return Md(": ".join(parts) or MISSING)


def headline(rows: Sequence[dict[str, Any]], caption: str) -> Md:
    """Every claim on one line or two: the figure that counts most, the verdict in a word, and a run."""
    cells = []
    for claim in rows:
        stated = sourced(escape(gettext(str(claim.get("stated")))), _source(claim, "stated"))
        name = Md(f"**{escape(claim.get('id'))}** {stated}")
        word = SHORT.get(known := split_verdict(claim.get("verdict"))[0], known)
        figures = [_first(claim, key) for key in ("measured", "predicted")]
        cells.append([name, *figures, verdict(word), evidence(None, (claim.get("evidence") or [])[:1])])
    header = [gettext("claim"), gettext("measured"), gettext("model"), gettext("verdict"), gettext("run")]
    return table("headline", caption, header, cells, "lllll", widths=(30, 26, 18, 10, 16), small=True)


def _first(claim: dict[str, Any], key: str) -> Md:
    """The first of the parts that a rule has told, which is the one that counts most."""
    told = claim.get(key)
    shown = claim_value(told.split("; ")[0] if isinstance(told, str) else told)
    return shown if shown == MISSING else Md(sourced(shown, _source(claim, key)))


def claims(rows: Sequence[dict[str, Any]], caption: str) -> Md:
    """Every claim with its verdict and where the evidence is."""
    cells = []
    for claim in rows:
        stated = _stated(claim)
        judged = str(verdict(claim.get("verdict")))
        if claim.get("condition"):
            condition = _GLUED.sub(NBSP, phrases.told(str(claim["condition"])))
            judged += f" {sourced(escape(condition), _source(claim, 'condition'))}"
        cells.append(
            [stated, *(_told(claim, key) for key in ("measured", "predicted")), Md(judged),
             evidence(claim.get("section"), claim.get("evidence"))]
        )  # fmt: skip
    header = [gettext("claim, as stated"), gettext("measured"), gettext("model"), gettext("verdict"),
              gettext("evidence")]  # fmt: skip
    return table("claims", caption, header, cells, "lllll", widths=(20, 23, 21, 20, 16), small=True)


def _source(claim: dict[str, Any], key: str) -> Source:
    return Source(FILE, f"{claim.get('id')}.{key}")


def _stated(claim: dict[str, Any]) -> Md:
    text = sourced(escape(gettext(str(claim.get("claim")))), _source(claim, "claim"))
    return Md(f"**{escape(claim.get('id'))}** (§{NBSP_THIN}{escape(phrases.told(str(claim.get('section'))))}) {text}")


def _told(claim: dict[str, Any], key: str) -> Md:
    shown = claim_value(claim.get(key))
    return shown if shown == MISSING else Md(sourced(shown, _source(claim, key)))


TOLD = {
    "holds": (mark("{count} holds"), mark("{count} hold")),
    "holds only if": (mark("{count} holds only under a condition"), mark("{count} hold only under a condition")),
    "does not hold": (mark("{count} does not hold"), mark("{count} do not hold")),
    "not shown": (mark("{count} was not shown"), mark("{count} were not shown")),
    "not run": (mark("{count} was not run"), mark("{count} were not run")),
}


def told(rows: Sequence[dict[str, Any]]) -> str:
    """`5 hold, 4 hold only under a condition`: how often each verdict was given, the most frequent first."""
    counts: dict[str, int] = {}
    for row in rows:
        word = split_verdict(row.get("verdict"))[0]
        counts[word] = counts.get(word, 0) + 1
    source = Source(FILE, "verdict")
    parts = []
    for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        one, more = TOLD.get(word, (f"{{count}} {word}", f"{{count}} {word}"))
        parts.append(gettext(one if count == 1 else more, count=sourced(str(count), source)))
    return gettext(", ").join(parts)
