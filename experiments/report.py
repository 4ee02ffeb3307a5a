"""`make report` and `make report-full`: run the scenarios in both worlds, judge the claims, have the report built.

`make report` measures everything anew, unless it was stopped before: then it goes on. `make report-full` never runs
again what is finished and has not changed (see `experiments.suite`); `--fresh` does.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from experiments import benchmarks, machine_speed, suite, suite_console
from experiments.claims import deployment
from experiments.cli import Editions, EndpointsOption, LanguagesOption, ProfileOption, SeedOption, WorldOption, Worlds
from experiments.console import FAILED, INTERRUPTED, clear_errors, fail
from experiments.planning import example
from experiments.planning.console import counter
from experiments.run import clear
from experiments.sources import digest
from experiments.world import ExperimentError

PROGRAM = "make report"
QUICK_OUT, FULL_OUT = Path("reports/latest"), Path("reports/full")
BUILD_TIMEOUT_S = 600.0
RECORDED = Path(__file__).parents[1] / "reports" / "reference" / deployment.FILE
"""The container commands as they were tried last: that takes a container engine, which few machines have."""
COMPLETE = "complete"
"""A file beside the runs: the report of them was built, so that the next `make report` begins anew."""

app = typer.Typer(pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})


@app.command(epilog="Example: `python -m experiments.report --full --out /tmp/report`")
def main(
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help=f"The report goes there, the runs into `runs` in it. Default: {QUICK_OUT}, full: {FULL_OUT}."
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Every scenario at its stated size: an hour, not minutes.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again what is finished, too.")] = False,
    repeat_disturbed: Annotated[
        bool, typer.Option("--repeat-disturbed", help="Run again what was disturbed by other work on the machine.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be run, and how long it takes.")
    ] = False,
    world: WorldOption = Worlds.BOTH,
    seed: SeedOption = None,
    endpoints: EndpointsOption = None,
    profile: ProfileOption = None,
    lang: LanguagesOption = None,
) -> None:
    """Run the experiments, judge the claims and write the report. Ctrl-C keeps what is finished."""
    out = out or (FULL_OUT if full else QUICK_OUT)
    runs = out / "runs"
    with clear_errors(PROGRAM):
        names = suite.names_of_set(quick=not full)
        profile = machine_speed.profile_for(runs, world.names, endpoints, profile)
        plan = suite.Plan(
            suite.load(names, quick=not full, seed=seed), runs, world.names, endpoints, profile, repeat_disturbed
        )
        anew = fresh or (not full and not repeat_disturbed and (runs / COMPLETE).is_file())
        missing = suite.wanted(plan) if anew else suite.missing(plan)
        tell_plan(plan, missing, full=full or dry_run)
        if dry_run:
            return
        remove_strangers(runs, [] if anew else names)
        try:
            outcome = measure(plan, anew=anew, quick=not full)
        except KeyboardInterrupt:
            again = "make report-full" if full else "make report"
            fail(again, f"interrupted; what is finished is kept in {runs}: the same command goes on", INTERRUPTED)
        build(runs, out, lang or ())
        (runs / COMPLETE).touch()
        Console().print(suite_console.verdicts(runs))
        if outcome.failed:
            raise typer.Exit(FAILED)


def tell_plan(plan: suite.Plan, missing: list[suite.Job], *, full: bool) -> None:
    console = Console()
    if full:
        console.print(suite_console.plan_table(plan, missing))
    wanted = suite.wanted(plan)
    console.print(
        f"{len(missing)} of {len(wanted)} repetitions of {len(plan.scenarios)} scenarios are to be run: "
        f"about {suite_console.minutes(missing):.0f} minutes",
        highlight=False,
    )


def measure(plan: suite.Plan, *, anew: bool, quick: bool) -> suite.Outcome:
    """The benchmarks, the scenarios, a plan, and the verdicts. Raises ExperimentError, OSError, KeyboardInterrupt."""
    plan.root.mkdir(parents=True, exist_ok=True)
    (plan.root / COMPLETE).unlink(missing_ok=True)
    machine_speed.measure(plan.root, plan.profile, anew=anew)
    if "real" in plan.worlds and plan.endpoints is None:
        run_benchmarks(plan.root, anew=anew)
    if RECORDED.is_file() and not (plan.root / RECORDED.name).exists():
        shutil.copyfile(RECORDED, plan.root / RECORDED.name)
    outcome = suite_console.run(plan, "report")
    if "sim" in plan.worlds:
        with counter("plan") as tell:
            example.write(plan.root, quick=quick, profile=plan.profile, tell=tell)
    return outcome


def run_benchmarks(root: Path, *, anew: bool) -> None:
    """The queue and serialisation benchmarks, unless they were run with this code."""
    stamp, key = root / f"{benchmarks.FILE}.key", digest(("core", "tests/bench"))
    if not anew and (root / benchmarks.FILE).is_file() and stamp.is_file() and stamp.read_text() == key:
        return
    console = Console(stderr=True)
    with console.status("queue and serialisation benchmarks") as status:
        try:
            benchmarks.run(root, status.update)
        except ExperimentError as error:  # the report can do without them: it says that they were not run
            console.print(f"the benchmarks were left out: {error}", style="bold yellow", highlight=False)
            return
    stamp.write_text(key)


def remove_strangers(runs: Path, names: list[str]) -> None:
    """Remove the scenarios that are not (or no longer) of this report, and nothing that does not look like one."""
    for path in runs.glob("*/scenario.toml"):
        if path.parent.name not in names:
            clear(path.parent)
            shutil.rmtree(path.parent)


def build(runs: Path, out: Path, languages: Sequence[str] = ()) -> None:
    """The report from the runs. Its editions are built side by side, in processes that read files only and print paths.

    Without `languages` in all of them. Raises ExperimentError where it fails.
    """
    command = [sys.executable, "-m", "reports.build", "--runs", str(runs), "--out", str(out), "--lang"]
    builders = [subprocess.Popen([*command, one], stderr=subprocess.PIPE, text=True) for one in (languages or Editions)]
    try:
        said = dict.fromkeys(builder.communicate(timeout=BUILD_TIMEOUT_S)[1] for builder in builders)
    finally:
        for builder in builders:
            builder.kill()
            builder.communicate()
    sys.stderr.write("".join(said))  # what ails both is said once
    if any(builder.returncode for builder in builders):
        raise ExperimentError(f"the report could not be built; the runs are in {runs}")


if __name__ == "__main__":
    app()
