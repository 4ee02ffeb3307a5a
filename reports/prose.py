"""The numbers that may stand in the report's text without a source in the runs, each with the reason why."""

import re


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)


ALLOWED: tuple[tuple[re.Pattern[str], str], ...] = (
    (_pattern(r"\$\$.*?\$\$|\$[^$\n]+\$"), "a formula"),
    (_pattern(r"`[^`\n]*[A-Za-z][^`\n]*`"), "code: the name of a scenario, a path, a command"),
    (_pattern(r"\{[#.][^}]*\}|\]\([^)]*\)|@(?:sec|fig|tbl):[\w-]+"), "labels, attributes and links"),
    (_pattern(r"(?:Section|Figure|Table)\xa0\d+(?:\.\d+)*"), "cross references, numbered when the report is built"),
    (_pattern(r"\b[A-Z]{3}-\d\b"), "ids of the claims"),
    (_pattern(r"§[\u202f\xa0 ]?\d+(?:\.\d+)*(?:(?:, | to )\d+(?:\.\d+)*)*"), "sections of the source report"),
    (_pattern(r"95[\xa0 ]%"), "the confidence level of every interval (Methods)"),
    (_pattern(r"10[\xa0 ]% and 90[\xa0 ]%"), "the rule of steady figures (Methods)"),
    (_pattern(r"within 10[\xa0 ]%"), "the rule of the verdicts: how 'about' is read (Methods)"),
    (_pattern(r"[Uu]p to 5[\xa0 ]% counts as agreement, up to 20[\xa0 ]%"), "the rule of agreement (headline.py)"),
    (_pattern(r"13 times as wide"), "Student's t for two values (estimate.py)"),
    (_pattern(r"n = 2\b|n ≥ 3\b|n = 1\b"), "the rule of intervals (Methods)"),
    (_pattern(r"where 99\.5[\xa0 ]% have started"), "where the axis of a figure ends (figures/latency.py)"),
    (_pattern(r"1,000 (?:completed )?tasks|1 / \(1 \u2212 p\)|counts 1/n"), "units, and the axis of a figure"),
    (_pattern(r"kill -9"), "the name of a signal"),
    (_pattern(r"1,000 resamples of repetitions \(200 for fits\)"), "the bootstrap (effects.py, usl.py)"),
    (_pattern(r"reaches 80[\xa0 ]%"), "from which share of use on a resource counts as binding (attribution.py)"),
)
