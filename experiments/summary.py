"""What is written beside the runs of a set: figures over repetitions, the environment, the parameters, the verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from experiments import claims, environment, metrics
from experiments.run import is_repetition
from experiments.schema import Scenario
from experiments.validation.store import DONE
from experiments.world import ExperimentError

WORLDS = ("real", "sim")
SINGLE_PUTS = "1 x 1 puts"
"""The calibration's cell of one caller that sends one put after the other."""


def repetitions(folder: Path, world: str | None = None) -> list[Path]:
    """The repetitions in a scenario's folder, finished or not, in order.

    Raises ExperimentError where there is anything else: nobody's files may be taken for a run.
    """
    found: list[Path] = []
    for name in WORLDS if world is None else (world,):
        if (folder / name).is_dir():
            found += sorted((folder / name).iterdir(), key=lambda path: (len(path.name), path.name))
        elif (folder / name).exists():
            found.append(folder / name)
    strange = next((path for path in found if not is_repetition(path)), None)
    if strange is not None:
        raise ExperimentError(f"{strange} is not from an earlier run: choose another folder for --out")
    return found


def finished(folder: Path, world: str) -> list[Path]:
    """The finished repetitions of a world, in order."""
    return [path for path in repetitions(folder, world) if (path / DONE).is_file()]


def write_scenario(folder: Path) -> None:
    """`metrics.json` over the finished repetitions of each world; removed where there are none."""
    values = {world: [plain(_read(path, world)) for path in finished(folder, world)] for world in WORLDS}
    known = {world: metrics.summarise(each) for world, each in values.items() if each}
    if known:
        metrics.write(known, folder / "metrics.json")
    else:
        (folder / "metrics.json").unlink(missing_ok=True)


def _read(path: Path, world: str) -> metrics.Values:
    return metrics.read(path / "metrics.json")[world]


def plain(summary: metrics.Values) -> metrics.Values:
    """The figures of one repetition, from its summary: `{"value": x, "n": 1, ...}` becomes x."""
    return {key: value["value"] if _is_figure(value) else plain(value) if isinstance(value, dict) else value
            for key, value in summary.items()}  # fmt: skip


def _is_figure(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() >= {"value", "low", "high", "n"}


# --- the whole set -----------------------------------------------------------------------------------------------


def write_set(root: Path, scenarios: Sequence[Scenario], profile: Path | None) -> None:
    """Write what belongs to the whole set, from what is finished of it."""
    names = [one.name for one in scenarios]
    write_environment(root, names)
    if any(finished(root / name, "sim") for name in names):
        write_calibration(root, profile)
    claims.write(root)


def write_environment(root: Path, names: Sequence[str]) -> None:
    """The environment of the whole set: this machine, and the etcd and the disturbances of its real repetitions."""
    etcd: dict[str, Any] = {}
    for name in names:
        for path in finished(root / name, "real"):
            facts = _environment(path)
            etcd = {key: value for key, value in facts["etcd"].items() if key != "put_p50_ms"}
    about: dict[str, Any] = {"date": datetime.now(UTC).isoformat(timespec="seconds")}
    disturbed = disturbances(root, names)
    if etcd:
        about |= {"etcd": etcd, "disturbed": bool(disturbed)}
    if disturbed:
        about["disturbance"] = f"other processes used the machine during {', '.join(one.where for one in disturbed)}"
    environment.write(root / "environment.json", **about)


def write_calibration(root: Path, profile: Path | None) -> None:
    """The model's parameters as they were used, each with where it comes from, and how fast their machine was."""
    from sim import parameters  # noqa: PLC0415 - simpy is needed for this only

    path = profile or parameters.REFERENCE
    if path.is_file():
        profile_used = parameters.load(path)
        _write_json(root / "calibration.json", profile_used.parameters)
        _write_json(root / "calibrated.json", speed(profile_used.about))


def speed(about: dict[str, Any]) -> dict[str, Any]:
    """Of the machine that was calibrated, in what every real repetition measures too: the median of a single put.

    Where the parameters were only scaled to it, also by what.
    """
    puts = [cell["p50_ms"] for cell in about.get("cells", ()) if cell.get("cell") == SINGLE_PUTS]
    scaled = {"scaled": about["scaled"]} if about.get("scaled") else {}
    return {"when": about.get("when"), "put_p50_ms": puts[0], **scaled} if puts else {}


def factors(scaled: Mapping[str, Any]) -> str:
    """By what the parameters were scaled, in words."""
    return (
        "Python takes {python:.2f} times the CPU time of the profile {profile}, etcd {etcd:.2f} times, "
        "the disk {disk:.2f} times the time".format(**scaled)
    )


def _write_json(path: Path, what: Any) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(what), indent=2) + b"\n")


@dataclass(frozen=True, slots=True)
class Disturbed:
    """A real repetition during which others used `foreign_cores` of the machine."""

    where: str
    foreign_cores: float


def disturbances(root: Path, names: Sequence[str]) -> list[Disturbed]:
    """The finished real repetitions that were disturbed."""
    paths = [(name, path) for name in names for path in finished(root / name, "real")]
    cores = [(f"{name}/{path.name}", disturbance(path)) for name, path in paths]
    return [Disturbed(where, used) for where, used in cores if used is not None]


def disturbance(path: Path) -> float | None:
    """How many cores others used during a repetition, None where it was not disturbed (or is not finished)."""
    if not (path / DONE).is_file():
        return None
    facts = _environment(path)
    return float(facts.get("foreign_cores", 0.0)) if facts.get("disturbed") else None


def _environment(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.json.decode((path / "environment.json").read_bytes())
    return facts
