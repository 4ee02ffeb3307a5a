"""The benchmarks' regression gate: recorded ratios, and what a run may differ from them.

Only ratios are recorded: figures over something that was measured in the same run, so that a slower machine, or a slow
moment of it, cancels out. A ratio is beyond its limit where it lies further from the recorded mean, on the bad side,
than max(`DEVIATIONS` x the deviation, margin x mean): the deviation is what runs differ by of themselves, and the
margin keeps three recordings that happened to agree from making a trap of it.
"""

import datetime as dt
import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

DEVIATIONS = 3.0
DIGITS = 4
"""Significant ones in the file: more would only be noise in its history."""

Better = Literal["higher", "lower"]
Verdict = Literal["within", "better", "beyond", "not measured", "not recorded"]
FAILURES: tuple[Verdict, ...] = ("beyond", "not measured", "not recorded")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a ratio is judged: which way is better, and the share of its mean that is no regression yet."""

    better: Better
    margin: Annotated[float, Meta(gt=0, lt=1)]


class Recorded(Rule, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A ratio as it was: `n` runs of the suite, each of which counts with one value."""

    mean: Annotated[float, Meta(gt=0)]
    deviation: Annotated[float, Meta(ge=0)]
    n: Annotated[int, Meta(ge=1)]
    renewed: dt.date
    reason: str

    @property
    def limit(self) -> float:
        """The worst value that is no regression."""
        slack = max(DEVIATIONS * self.deviation, self.margin * self.mean)
        return self.mean - slack if self.better == "higher" else self.mean + slack

    @property
    def gain(self) -> float:
        """A value beyond this one is better than chance: worth recording, so that it is guarded."""
        return 2 * self.mean - self.limit


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file. `machine` is for the reader: what the newest renewal was measured on."""

    machine: dict[str, str | int] = {}
    ratios: dict[str, Recorded] = {}


class Finding(msgspec.Struct, frozen=True):
    """What the gate says of one ratio."""

    name: str
    verdict: Verdict
    measured: float | None
    recorded: Recorded | None

    def __str__(self) -> str:
        match self.verdict, self.recorded:
            case "not recorded", _:
                return f"{self.name}: measured ({self.measured:.4g}), but the baseline does not know it"
            case "not measured", _:
                return f"{self.name}: in the baseline, but this run did not measure it"
            case verdict, Recorded() as recorded if self.measured is not None:
                off = abs(self.measured - recorded.mean) / recorded.mean
                side = "above" if self.measured > recorded.mean else "below"
                return (
                    f"{self.name}: {self.measured:.4g} is {off:.0%} {side} the recorded {recorded.mean:.4g} "
                    f"(limit {recorded.limit:.4g}, {recorded.better} is better): {verdict}"
                )
            case _:
                raise AssertionError(self)


def judge(baseline: Baseline, measured: Mapping[str, float], excused: Collection[str] = ()) -> list[Finding]:
    """A finding for each ratio, recorded ones first, in the file's order.

    `excused` ratios were left out on purpose: they are not asked for, and not judged where they were measured.
    """
    findings = [
        Finding(name, _verdict(recorded, measured.get(name)), measured.get(name), recorded)
        for name, recorded in baseline.ratios.items()
        if name not in excused
    ]
    findings += [
        Finding(name, "not recorded", value, None)
        for name, value in measured.items()
        if name not in baseline.ratios and name not in excused
    ]
    return findings


def _verdict(recorded: Recorded, value: float | None) -> Verdict:
    if value is None:
        return "not measured"
    sign = 1.0 if recorded.better == "higher" else -1.0
    if not sign * value >= sign * recorded.limit:  # not a number is no pass
        return "beyond"
    return "better" if sign * value > sign * recorded.gain else "within"


def renew(
    old: Baseline,
    rules: Mapping[str, Rule],
    runs: Sequence[Mapping[str, float]],
    *,
    reason: str,
    today: dt.date,
    machine: Mapping[str, str | int],
    only: Collection[str] = (),
) -> Baseline:
    """The baseline after these runs of the suite (a ratio need not be in each of them).

    A ratio that was recorded before keeps its margin and direction, because people edit those in the file. `only`
    names the ratios to renew; the others stay as they were. Ratios without a rule are dropped.

    Raises ValueError with a sentence for the user: no reason, an unknown name, nothing measured for a ratio.
    """
    if not reason.strip():
        raise ValueError('a renewal needs its reason: make bench-record REASON="why these ratios are right now"')
    if unknown := sorted(set(only) - set(rules)):
        raise ValueError(f"there is no ratio {', '.join(unknown)}: choose from {', '.join(rules)}")
    ratios: dict[str, Recorded] = {}
    for name, rule in rules.items():
        before = old.ratios.get(name)
        if only and name not in only:
            if before is not None:
                ratios[name] = before
            continue
        kept = before or rule
        ratios[name] = _recorded(name, kept, [run[name] for run in runs if name in run], reason.strip(), today)
    return Baseline(dict(machine), ratios)


def _recorded(name: str, rule: Rule, values: Sequence[float], reason: str, today: dt.date) -> Recorded:
    if not values or not all(math.isfinite(value) and value > 0 for value in values):
        raise ValueError(f"no run measured {name}: nothing was recorded")
    return Recorded(
        better=rule.better,
        margin=rule.margin,
        mean=_rounded(statistics.fmean(values)),
        deviation=_rounded(statistics.stdev(values)) if len(values) > 1 else 0.0,
        n=len(values),
        renewed=today,
        reason=reason,
    )


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def read(path: Path) -> Baseline:
    """Raises ValueError with a sentence for the user where there is no usable file."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Baseline)
    except FileNotFoundError:
        raise ValueError(
            f'there is no baseline at {path}: record one with make bench-record REASON="first recording"'
        ) from None
    except OSError as error:
        raise ValueError(f"cannot read the baseline {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"the baseline {path} is not usable: {error}; take it from git again, or delete it and record anew"
        ) from error


HEADER = """\
# What the benchmarks' ratios were when last recorded; `make bench` fails beyond max(3 x deviation, margin x mean) on
# the bad side. Renew with `make bench-record REASON="..."`. Margins and directions may be edited here and are kept.

"""


def write(baseline: Baseline, path: Path) -> None:
    """The file, whole or not at all. Raises OSError."""
    draft = path.with_suffix(".new")
    draft.write_bytes(HEADER.encode() + msgspec.toml.encode(baseline))
    draft.replace(path)
