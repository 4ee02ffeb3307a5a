"""Where the runs of a validation are, and which of them are finished.

    OUT/runs/<scenario>/scenario.toml, metrics.json
    OUT/runs/<scenario>/real/<repetition>/...               as `tandem-bench run` writes them
    OUT/runs/<scenario>/sim/<repetition>.<replica>/...      the first refinement
    OUT/refinements/<refinement>/<scenario>/sim/...         the others

A repetition is finished when its `done.json` is there, which is written last, and is taken for this validation's when
the key in it is the one that it would be given now: of the scenario as it is run, and for the model also of its
parameters and its source. A model that has changed is simulated anew; what the real system did is kept.
"""

import hashlib
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from experiments.schema import Scenario
from sim import parameters
from sim.parameters import Refinement

DONE = "done.json"
ROOT = Path(__file__).parents[2]
SOURCES = (
    "core",
    "sim",
    "experiments/simulated.py",
    "experiments/trace.py",
    "experiments/metrics.py",
    "experiments/recovery.py",
)
KEY_DIGITS = 16


class Done(msgspec.Struct, frozen=True):
    key: str


def real_dir(out: Path, name: str, repetition: int) -> Path:
    return out / "runs" / name / "real" / str(repetition)


def sim_dir(out: Path, refinement: Refinement, name: str, repetition: int, replica: int, *, first: bool) -> Path:
    root = out / "runs" if first else out / "refinements" / refinement
    return root / name / "sim" / f"{repetition}.{replica}"


def real_key(one: Scenario) -> str:
    """What a real repetition depends on: the scenario, but not how often it is run."""
    return _digest(_plain(one))


def sim_key(one: Scenario, profile: Path | None, refinement: Refinement) -> str:
    """What a simulated one depends on: the scenario, the parameters, the model and the code that it runs."""
    path = profile or parameters.REFERENCE
    values = path.read_bytes() if path.is_file() else b""
    return _digest(_plain(one) + values + refinement.encode() + _sources().encode())


def is_done(directory: Path, key: str) -> bool:
    try:
        return msgspec.json.decode((directory / DONE).read_bytes(), type=Done).key == key
    except (OSError, msgspec.DecodeError):
        return False


def begin(directory: Path) -> None:
    """Remove what an earlier or interrupted repetition left."""
    if directory.exists():
        (directory / DONE).unlink(missing_ok=True)
        shutil.rmtree(directory)


def finish(directory: Path, key: str) -> None:
    (directory / DONE).write_bytes(msgspec.json.encode(Done(key)))


def _plain(one: Scenario) -> bytes:
    document: dict[str, Any] = msgspec.to_builtins(one, str_keys=True)
    document["measure"]["repetitions"] = None
    if not one.model:  # runs from before there was such a table are runs of the same scenario
        del document["model"]
    for table in ("arrivals", "service"):
        if file := document["workload"][table].get("file"):  # its place does not matter, what is in it does
            document["workload"][table]["file"] = _digest(Path(file).read_bytes())
    return msgspec.json.encode(document, order="sorted")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:KEY_DIGITS]


@cache
def _sources() -> str:
    """Digest of the code that a simulated repetition runs."""
    places = [ROOT / name for name in SOURCES]
    found = [path for place in places for path in (place.rglob("*.py") if place.is_dir() else [place])]
    return _digest(b"".join(str(path.relative_to(ROOT)).encode() + path.read_bytes() for path in sorted(found)))
