"""Runs several scenarios one after the other: the experiments that are scripts, and the report's set.

ROOT/<scenario>/...   ROOT/environment.json   ROOT/claims.json
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from experiments import claims, environment, metrics, scenario
from experiments.cli import EndpointsOption, ProfileOption, QuickOption, SeedOption, WorldOption, Worlds
from experiments.console import clear_errors, progress_bar, results
from experiments.run import MakeWorld, run_scenario, worlds_of
from experiments.world import WorldName

REPORT = Path("reports/latest")
RUNS = REPORT / "runs"

Command = Callable[..., None]


def run_suite(
    names: Sequence[str],
    worlds: dict[WorldName, MakeWorld],
    root: Path,
    *,
    quick: bool,
    seed: int | None = None,
    profile: Path | None = None,
) -> None:
    """Run the scenarios, judge the claims, and say what was measured on and with which parameters (`profile`).

    Raises ScenarioError (before anything runs), ExperimentError, OSError.
    """
    loaded = [scenario.load(name, quick=quick) for name in names]
    root.mkdir(parents=True, exist_ok=True)
    console = Console()
    for number, one in enumerate(loaded, start=1):
        began = time.monotonic()
        with progress_bar(f"{number}/{len(loaded)} {one.name}") as on_step:
            summaries = run_scenario(one, worlds, root / one.name, seed=seed, on_step=on_step)
        took_s = time.monotonic() - began
        console.print(
            f"[{number}/{len(loaded)}] {one.name}: {headline(summaries)} ({took_s:.0f} s)",
            highlight=False,
            soft_wrap=True,
        )
    write_environment(root, [one.name for one in loaded])
    if "sim" in worlds:
        write_calibration(root, profile)
    claims.write(root)


def headline(summaries: dict[str, metrics.Values]) -> str:
    """One line for a scenario: throughput of each world, and whether anything was lost."""
    parts = []
    for world, values in summaries.items():
        rate = values["steady_throughput_per_s"]["value"] or values["throughput_per_s"]["value"]
        bad = {key: values[key] for key in ("lost", "committed_twice") if values[key]}
        missing = values["submitted"] - values["completed"]
        text = f"{world} " + (f"{rate:,.1f} tasks/s steady" if rate is not None else "nothing completed")
        text += f", {missing} not completed" if missing else ""
        parts.append(text + "".join(f", {count} {key.replace('_', ' ')}" for key, count in bad.items()))
    return "; ".join(parts)


def write_environment(root: Path, names: Sequence[str]) -> None:
    """The environment of the whole set: this machine, and the etcd and the disturbances of its real repetitions."""
    etcd: dict[str, Any] = {}
    disturbed: list[str] = []
    for name in names:
        for path in sorted((root / name / "real").glob("*/environment.json")):
            facts = msgspec.json.decode(path.read_bytes())
            etcd = {key: value for key, value in facts["etcd"].items() if key != "put_p50_ms"}
            if facts["disturbed"]:
                disturbed.append(f"{name}/{path.parent.name}")
    about: dict[str, Any] = {"date": datetime.now(UTC).isoformat(timespec="seconds")}
    if etcd:
        about |= {"etcd": etcd, "disturbed": bool(disturbed)}
    if disturbed:
        about["disturbance"] = f"other processes used the machine during {', '.join(disturbed)}"
    environment.write(root / "environment.json", **about)


def write_calibration(root: Path, profile: Path | None) -> None:
    """The model's parameters as they were used, each with where it comes from."""
    from sim import parameters  # noqa: PLC0415 - simpy is needed for this only

    path = profile or parameters.REFERENCE
    if path.is_file():
        named = parameters.load(path).parameters
        (root / "calibration.json").write_bytes(msgspec.json.format(msgspec.json.encode(named), indent=2) + b"\n")


def script(program: str, names: Sequence[str], help_text: str) -> Command:
    """A program that runs these scenarios and shows their figures."""
    app = typer.Typer(pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})

    @app.command(help=help_text, epilog=f"Example: `python -m {program} --quick --world real`")
    def main(
        *,
        out: Annotated[Path, typer.Option(help="Folder of runs; each scenario has a folder in it.")] = RUNS,
        world: WorldOption = Worlds.BOTH,
        quick: QuickOption = False,
        seed: SeedOption = None,
        endpoints: EndpointsOption = None,
        profile: ProfileOption = None,
    ) -> None:
        with clear_errors(program):
            run_suite(names, worlds_of(world.names, endpoints, profile), out, quick=quick, seed=seed, profile=profile)
            for name in names:
                Console().print(results(name, metrics.read(out / name / "metrics.json")))
            print(f"written to {out}")

    return app
