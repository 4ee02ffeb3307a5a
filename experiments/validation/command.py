"""`tandem-bench validate`, apart from its options: run what is missing, compare, show, judge, record."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from experiments.validation import analysis, bands, engine, region, show
from experiments.validation.bands import Band, Finding, Mode, Recorded
from experiments.validation.engine import Plan
from experiments.validation.results import STAGE_TARGET, W1_PREFIX, Compared, Result, Stage, Validation, errors_of

NORMAL_95 = 1.96
FILE = "validation.json"
CPU_MARGIN = 0.15
"""For figures without a target: CPU by kind."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where bands and region are read and written."""

    bands: Path = bands.BANDS
    region: Path = region.REGION


def validate(plan: Plan, *, quick: bool, reason: str | None = None, files: Files = Files()) -> list[Finding]:
    """Run what is missing, compare everything, write OUT/validation.json; returns what the bands say.

    With `reason` the errors become the new bands and, unless `quick`, the validated region.

    Raises ExperimentError, ScenarioError, ValueError, OSError, KeyboardInterrupt.
    """
    known = bands.read(files.bands)  # a broken file is better known before half an hour of runs
    console = show.terminal()
    with show.progress("validate") as on_step:
        engine.run(plan, on_step)
    found = analysis.validation(plan, quick=quick, on_result=lambda one: console.print(*show.scenario(one)))
    mode: Mode = "quick" if quick else "full"
    if reason is not None:
        record(found, mode, reason, files)
        known = bands.read(files.bands)
    findings = bands.judge(known.of(mode), {one.name: errors_of(one) for one in found.results})
    found = msgspec.structs.replace(found, bands=findings)
    path = plan.out / FILE
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    console.print(*show.summary(found))
    return findings


def record(found: Validation, mode: Mode, reason: str, files: Files) -> None:
    """Make the errors the new bands and, for a full validation, its scenarios the validated region."""
    today = dt.datetime.now(dt.UTC).date()
    new = {one.name: Recorded(today, reason, one.real, bands_of(one)) for one in found.results}
    bands.write(bands.renew(bands.read(files.bands), mode, new), files.bands)
    if mode == "full":
        points = {point.scenario: point for point in region.load_region(files.region).points}
        points |= {one.name: one.about for one in found.results}
        whole = region.Region(today, reason, found.machine, tuple(points.values()))
        region.save_region(whole, files.region)


def bands_of(result: Result) -> dict[str, Band]:
    """A band for each error: its deviation from the interval over repetitions, its margin from the target."""
    errors = errors_of(result)
    found = {one.key: _band(errors[one.key], one) for one in result.figures if one.key in errors}
    keys = {f"{W1_PREFIX}{one.stage}": one for one in result.stages}
    return found | {key: _band(errors[key], one) for key, one in keys.items() if key in errors}


def _band(error: float, one: Compared | Stage) -> Band:
    if isinstance(one, Stage):
        return Band(error, one.floor or 0.0, STAGE_TARGET)
    spread = 0.0 if one.low is None or one.high is None else (one.high - one.low) / (2 * NORMAL_95)
    return Band(error, spread, one.target or CPU_MARGIN)


def told(findings: Sequence[Finding], *, recordable: bool = True) -> tuple[list[str], str]:
    """The failures, a line each, and a sentence on the rest. `recordable`: the scenarios can have bands."""
    lines = show.failures(findings)
    counts = {verdict: sum(one.verdict == verdict for one in findings) for verdict in ("within", "better")}
    unknown = sum(one.verdict == "not recorded" for one in findings)
    sentence = f"bands: {counts['within']} errors within, {counts['better']} better, {len(lines)} beyond"
    if unknown:
        sentence += f"; {unknown} have no band" + (" ('--record \"why\"' makes one)" if recordable else "")
    return lines, sentence
