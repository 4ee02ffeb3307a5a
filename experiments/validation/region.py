"""The validated region: where the model was compared with the real system, and how far off it was there.

`region.json` is written by `tandem-bench validate --record`; planning reads it to say how far a question lies outside.
"""

import datetime as dt
from pathlib import Path

import msgspec

from core.settings import Dispatch

REGION = Path(__file__).parent / "region.json"


class Point(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One validated scenario. A share is dimensionless: 0.03 is 3 %."""

    scenario: str
    dispatch: Dispatch
    schedulers: int
    workers: int
    slots: int
    """Of one worker."""
    etcd_members: int
    arrivals: str
    """The process of the arrivals, such as `poisson` (a tag of `experiments.schema.Arrivals`)."""
    rate_per_s: float
    """Tasks offered a second. Bursts have no rate of their own: there it is what the real system completed a second."""
    utilisation: float
    """Rate x mean service time / slots: the share of the slots' time that was asked for."""
    service_mean_s: float
    service_cv: float
    """Standard deviation of the service times over their mean."""
    errors: dict[str, float]
    """Signed error of the model by figure: (model - real) / real."""
    missed: tuple[str, ...] = ()
    """The figures whose error was beyond max(target, 1.5 x what the real system differs from itself)."""


class Region(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All points of one recording. `machine`: what it was measured on, for the reader."""

    recorded: dt.date | None = None
    reason: str = ""
    machine: dict[str, str | int] = {}
    points: tuple[Point, ...] = ()


def load_region(path: Path = REGION) -> Region:
    """The recorded region; without a file, one without points.

    Raises ValueError with a sentence for the user where the file cannot be used.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Region)
    except FileNotFoundError:
        return Region()
    except OSError as error:
        raise ValueError(f"cannot read the validated region {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"the validated region {path} is not usable: {error}") from error


def save_region(region: Region, path: Path = REGION) -> None:
    """The file, whole or not at all. Raises OSError."""
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(region), indent=2) + b"\n")
    draft.replace(path)
