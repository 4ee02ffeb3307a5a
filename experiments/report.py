"""`make report`: runs the quick set in both worlds, then has the report built from the files.

The set is chosen to take about two minutes of real time: waves of 1 s tasks dominate it.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from experiments import burst, latency_breakdown, scaling
from experiments.cli import EndpointsOption, ProfileOption, SeedOption, WorldOption, Worlds
from experiments.console import clear_errors
from experiments.run import clear, worlds_of
from experiments.suite import REPORT, run_suite
from experiments.world import ExperimentError

PROGRAM = "make report"
QUICK = (*scaling.WATCH, *scaling.POLL, *latency_breakdown.SCENARIOS, *burst.SCENARIOS)
FULL = (*scaling.SCENARIOS, *latency_breakdown.SCENARIOS, *burst.SCENARIOS)
BUILD_TIMEOUT_S = 300.0

app = typer.Typer(pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})


@app.command(epilog="Example: `python -m experiments.report --full --out /tmp/report`")
def main(
    *,
    out: Annotated[Path, typer.Option(help="Where the report goes; the runs go into `runs` in it.")] = REPORT,
    full: Annotated[bool, typer.Option("--full", help="All scenarios in full length: an hour, not minutes.")] = False,
    world: WorldOption = Worlds.BOTH,
    seed: SeedOption = None,
    endpoints: EndpointsOption = None,
    profile: ProfileOption = None,
) -> None:
    """Run the experiments and write the report."""
    with clear_errors(PROGRAM):
        worlds = worlds_of(world.names, endpoints, profile)
        runs = out / "runs"
        remove_runs(runs)
        run_suite(FULL if full else QUICK, worlds, runs, quick=not full, seed=seed, profile=profile)
        build(runs, out)


def remove_runs(runs: Path) -> None:
    """Remove the scenarios of an earlier report, and nothing that does not look like one."""
    for path in runs.glob("*/scenario.toml"):
        clear(path.parent)
        shutil.rmtree(path.parent)


def build(runs: Path, out: Path) -> None:
    """The report from the runs, in a process of its own: it reads files only. It prints the paths.

    Raises ExperimentError where it fails.
    """
    command = [sys.executable, "-m", "reports.build", "--runs", str(runs), "--out", str(out)]
    if subprocess.run(command, check=False, timeout=BUILD_TIMEOUT_S).returncode != 0:
        raise ExperimentError(f"the report could not be built; the runs are in {runs}")


if __name__ == "__main__":
    app()
