"""The validation's regression gate: the errors that the model had, and how far they may move.

Like `experiments.baseline` for the benchmarks, but of signed errors, which may lie on either side of 0: an error leaves
its band where it lies further from the recorded one than max(`DEVIATIONS` x deviation, margin) and away from 0. One
that moved as far towards 0 is better, and worth recording. Full and `--quick` validations have bands of their own.
"""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from experiments.baseline import DEVIATIONS, DIGITS

BANDS = Path(__file__).parent / "bands.toml"
Mode = Literal["full", "quick"]
Verdict = Literal["within", "better", "beyond", "not measured", "not recorded"]
FAILURES: tuple[Verdict, ...] = ("beyond", "not measured")


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The error as it was. `deviation`: of its estimate over repetitions; `margin`: what is no change yet."""

    mean: float
    deviation: Annotated[float, Meta(ge=0)]
    margin: Annotated[float, Meta(gt=0)]

    @property
    def slack(self) -> float:
        return max(DEVIATIONS * self.deviation, self.margin)


class Recorded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scenario's bands. `n`: real repetitions."""

    recorded: dt.date
    reason: str
    n: Annotated[int, Meta(ge=1)]
    figures: dict[str, Band]


class Bands(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    full: dict[str, Recorded] = {}
    quick: dict[str, Recorded] = {}

    def of(self, mode: Mode) -> dict[str, Recorded]:
        return self.full if mode == "full" else self.quick


class Finding(msgspec.Struct, frozen=True):
    """What the gate says of one error."""

    scenario: str
    figure: str
    verdict: Verdict
    measured: float | None = None
    band: Band | None = None

    def __str__(self) -> str:
        where = f"{self.scenario}, {self.figure}"
        if self.band is None:
            return f"{where}: no band is recorded"
        recorded = f"the recorded {self.band.mean:+.1%} ± {self.band.slack:.1%}"
        if self.measured is None:
            return f"{where}: not measured, but there is {recorded}"
        return f"{where}: error {self.measured:+.1%}, beside {recorded}: {self.verdict}"


def judge(bands: Mapping[str, Recorded], measured: Mapping[str, Mapping[str, float]]) -> list[Finding]:
    """A finding for each error of the scenarios that were measured, and for each of their bands."""
    findings = []
    for scenario, errors in measured.items():
        known = bands[scenario].figures if scenario in bands else {}
        for figure in dict.fromkeys((*known, *errors)):
            band, value = known.get(figure), errors.get(figure)
            findings.append(Finding(scenario, figure, _verdict(band, value), value, band))
    return findings


def _verdict(band: Band | None, value: float | None) -> Verdict:
    if band is None:
        return "not recorded"
    if value is None:
        return "not measured"
    if abs(value - band.mean) <= band.slack:
        return "within"
    return "better" if abs(value) < abs(band.mean) else "beyond"


def renew(
    old: Bands,
    mode: Mode,
    measured: Mapping[str, Recorded],
) -> Bands:
    """The bands with those of these scenarios replaced; margins that people have edited are kept."""
    scenarios = dict(old.of(mode))
    for name, new in measured.items():
        before = scenarios[name].figures if name in scenarios else {}
        figures = {
            key: msgspec.structs.replace(band, margin=before[key].margin) if key in before else band
            for key, band in new.figures.items()
        }
        scenarios[name] = msgspec.structs.replace(new, figures=figures)
    return msgspec.structs.replace(old, **{mode: scenarios})


def read(path: Path = BANDS) -> Bands:
    """Without a file, no bands. Raises ValueError with a sentence for the user where it cannot be used."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Bands)
    except FileNotFoundError:
        return Bands()
    except OSError as error:
        raise ValueError(f"cannot read the bands {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"the bands {path} are not usable: {error}; take the file from git again, or delete it and record anew"
        ) from error


HEADER = """\
# The model's errors when last recorded; `tandem-bench validate` fails where one lies beyond
# max(3 x deviation, margin) of its mean, away from 0. Renew with `tandem-bench validate --record "why"`.
# Margins may be edited here and are kept.
"""


def write(bands: Bands, path: Path = BANDS) -> None:
    """The file, whole or not at all, a line for each band. Raises OSError."""
    lines = [HEADER]
    for mode in ("full", "quick"):
        for name, recorded in bands.of(mode).items():
            lines.append(f"[{mode}.{name}]\nrecorded = {recorded.recorded}\nreason = {_text(recorded.reason)}")
            lines.append(f"n = {recorded.n}\n[{mode}.{name}.figures]")
            for key, band in recorded.figures.items():
                values = f"mean = {_number(band.mean)}, deviation = {_number(band.deviation)}"
                lines.append(f"{_text(key)} = {{{values}, margin = {_number(band.margin)}}}")
            lines.append("")
    draft = path.with_suffix(".new")
    draft.write_text("\n".join(lines), encoding="utf-8")
    draft.replace(path)


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()  # JSON's strings are TOML's basic strings


def _number(value: float) -> str:
    return repr(float(f"{value:.{DIGITS}g}"))
