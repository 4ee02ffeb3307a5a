"""What a set of scenarios shows on the terminal: the plan, the time left, a line for each scenario, and advice."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from experiments import claims, expected, machine_speed, metrics, suite, summary
from experiments.claims.verdict import Verdict
from experiments.cli import EndpointsOption, ProfileOption, QuickOption, SeedOption, WorldOption, Worlds
from experiments.console import clear_errors, results
from experiments.schema import Scenario
from experiments.validation.show import progress

ADVICE = (
    "close what else computes on this machine (browsers, builds, backups; `top` names them) and run the same command "
    "again with --repeat-disturbed: only these are measured anew"
)
MAX_NAMED = 6
RUNS = Path("reports/latest/runs")


def run(plan: suite.Plan, title: str) -> suite.Outcome:
    """Run what is missing of a set with the time left in view; then a line for each scenario, and what went wrong.

    This machine's speed comes first, where that is not known yet.

    Raises what `suite.run` raises; what is finished is kept.
    """
    console = Console()
    if suite.missing(plan):
        machine_speed.measure(plan.root, plan.profile)
    with progress(title) as on_step:
        outcome = suite.run(plan, on_step)
    for one in plan.scenarios:
        console.print(line(plan.root, one), highlight=False, soft_wrap=True)
    for sentence in advice(plan, outcome):
        console.print(sentence, style="bold yellow", highlight=False, soft_wrap=True)
    return outcome


def line(root: Path, one: Scenario) -> str:
    """One scenario in a line: throughput of each world, and whether anything was lost."""
    path = root / one.name / "metrics.json"
    return f"{one.name}: {headline(metrics.read(path)) if path.is_file() else 'not run'}"


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


def advice(plan: suite.Plan, outcome: suite.Outcome) -> list[str]:
    """Sentences on what failed and on what others disturbed."""
    told = [f"{title} could not be run: {reason}" for title, reason in outcome.failed.items()]
    disturbed = summary.disturbances(plan.root, [one.name for one in plan.scenarios])
    if not disturbed:
        return told
    most = max(one.foreign_cores for one in disturbed)
    names = [one.where for one in disturbed[:MAX_NAMED]]
    more = f" and {len(disturbed) - MAX_NAMED} more" if len(disturbed) > MAX_NAMED else ""
    real = sum(len(summary.finished(plan.root / one.name, "real")) for one in plan.scenarios)
    told.append(
        f"{len(disturbed)} of {real} real repetitions were disturbed: others used up to {most:.1f} cores meanwhile "
        f"({', '.join(names)}{more}). Their figures are worse than this system's own; {ADVICE}."
    )
    return told


# --- the plan ----------------------------------------------------------------------------------------------------


def plan_table(plan: suite.Plan, missing: Sequence[suite.Job]) -> Table:
    """The scenarios, how many repetitions of each are to be run, and how long that takes."""
    table = Table(Column("scenario", no_wrap=True), Column("claims"), box=None, pad_edge=False)
    for title in ("real", "model", "minutes"):
        table.add_column(title, justify="right")
    for one in plan.scenarios:
        jobs = [job for job in missing if job.scenario.name == one.name]
        counts = [sum(job.world == world for job in jobs) for world in ("real", "sim")]
        wanted = [one.measure.repetitions if world in plan.worlds_for(one) else 0 for world in ("real", "sim")]
        cells = [f"{count} of {total}" if total else "" for count, total in zip(counts, wanted, strict=True)]
        table.add_row(one.name, " ".join(one.claims), *cells, f"{minutes(jobs):.1f}")
    return table


def minutes(jobs: Sequence[suite.Job]) -> float:
    """How long these take: real ones one after the other, simulated ones on all cores."""
    real_s = sum(job.expected_s for job in jobs if job.world == "real")
    return (real_s + sum(job.expected_s for job in jobs if job.world == "sim") / expected.cores()) / 60


# --- the verdicts ------------------------------------------------------------------------------------------------

STYLES = {"holds": "green", "does not hold": "red", "holds only if": "yellow", "not shown": "yellow", "not run": "dim"}


def verdicts(root: Path) -> Table:
    """The claims table of a folder of runs."""
    table = Table(Column("claim", no_wrap=True), "verdict", "measured")
    for one in msgspec.json.decode((root / claims.FILE).read_bytes(), type=list[Verdict]):
        condition = f" {one.condition}" if one.condition else ""
        table.add_row(one.id, f"[{STYLES[one.verdict]}]{one.verdict}[/]{condition}", one.measured or one.predicted)
    return table


def counted(root: Path) -> dict[str, Any]:
    """How often each verdict was given."""
    found: dict[str, int] = {}
    for one in msgspec.json.decode((root / claims.FILE).read_bytes(), type=list[Verdict]):
        found[one.verdict] = found.get(one.verdict, 0) + 1
    return found


# --- a part of the set, as a program -----------------------------------------------------------------------------


def script(program: str, prefixes: tuple[str, ...], help_text: str) -> Callable[..., None]:
    """A program that runs the scenarios whose names start so, and shows their figures."""
    app = typer.Typer(pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})

    @app.command(help=help_text, epilog=f"Example: `python -m {program} --quick --world real`")
    def main(
        *,
        out: Annotated[Path, typer.Option(help="Each scenario has a folder in it; what is finished is kept.")] = RUNS,
        world: WorldOption = Worlds.BOTH,
        quick: QuickOption = False,
        seed: SeedOption = None,
        endpoints: EndpointsOption = None,
        profile: ProfileOption = None,
    ) -> None:
        with clear_errors(program):
            names = [name for name in suite.names_of_set(quick=quick) if name.startswith(prefixes)]
            profile = machine_speed.profile_for(out, world.names, endpoints, profile)
            plan = suite.Plan(suite.load(names, quick=quick, seed=seed), out, world.names, endpoints, profile)
            run(plan, program.rpartition(".")[2])
            for name in names:
                Console().print(results(name, metrics.read(out / name / "metrics.json")))
            print(f"written to {out}")

    return app
