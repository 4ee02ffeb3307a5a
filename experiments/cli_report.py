"""Commands about sets of runs: `tandem-bench report`, `tandem-bench compare`, and `tandem-bench run --all`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import PROGRAM, LanguagesOption, app

if TYPE_CHECKING:
    from experiments.suite import Plan
    from experiments.world import WorldName


PIPE_WIDTH = 120
"""Of tables on a pipe: names must not be cut."""


class OneWorld(StrEnum):
    """As `experiments.world.WorldName`."""

    REAL = "real"
    SIM = "sim"

    @property
    def world(self) -> "WorldName":
        return "real" if self is OneWorld.REAL else "sim"


def run_all(plan: "Plan") -> None:
    """Run what is missing of a set, and show the verdicts on it. Ends with 3 where a scenario could not be run."""
    from rich.console import Console  # noqa: PLC0415

    from experiments import suite, suite_console  # noqa: PLC0415
    from experiments.console import FAILED, INTERRUPTED, fail, say_where  # noqa: PLC0415

    missing = suite.missing(plan)
    Console().print(suite_console.plan_table(plan, missing))
    print(f"{len(missing)} repetitions are to be run: about {suite_console.minutes(missing):.0f} minutes")
    try:
        outcome = suite_console.run(plan, "scenarios")
    except KeyboardInterrupt:
        fail(PROGRAM, "interrupted; what is finished is kept: the same command goes on from there", INTERRUPTED)
    Console().print(suite_console.verdicts(plan.root))
    say_where(plan.root)
    if outcome.failed:
        raise typer.Exit(FAILED)


@app.command(
    epilog="Examples: `tandem-bench report --runs runs --out report`, "
    "`tandem-bench report --runs runs --out report --lang zh`"
)
def report(
    *,
    runs: Annotated[Path, typer.Option(help="A folder of runs: from `run --all`, `make report` or several `run`.")],
    out: Annotated[Path, typer.Option(help="Where report.md, report.html, report.pdf and figures/ go.")],
    lang: LanguagesOption = None,
) -> None:
    """Judge the claims by saved runs and build the report of them. Nothing is measured."""
    from experiments.console import clear_errors  # noqa: PLC0415
    from experiments.scenario import ScenarioError  # noqa: PLC0415

    with clear_errors(PROGRAM):
        if not any(runs.glob("*/metrics.json")):
            raise ScenarioError(f"{runs} holds no finished runs (no <scenario>/metrics.json): see `tandem-bench run`")
        from experiments import claims  # noqa: PLC0415
        from experiments.report import build  # noqa: PLC0415

        claims.write(runs)
        build(runs, out, lang or ())


@app.command(
    epilog="Examples: `tandem-bench compare runs/ablation-baseline runs/ablation-no-batching`, "
    "`tandem-bench compare before after --world sim`"
)
def compare(
    a: Annotated[Path, typer.Argument(help="A scenario's folder (with metrics.json), or a folder of such folders.")],
    b: Annotated[Path, typer.Argument(help="What it is compared with, likewise.")],
    *,
    world: Annotated[OneWorld, typer.Option("--world", help="Whose figures.")] = OneWorld.REAL,
    everything: Annotated[bool, typer.Option("--everything", help="Every figure, not the main ones only.")] = False,
    out: Annotated[Path | None, typer.Option("--json", help="Write the comparison to this file, too.")] = None,
) -> None:
    """Say what differs between two runs: effect, relative change, and its 95 % interval over repetitions.

    Repetitions are compared in pairs where both sides had the same loads. "No significant difference" is said where the
    interval holds 0; with fewer than three repetitions there is no interval, and nothing is said.
    """
    from rich.console import Console  # noqa: PLC0415

    from experiments.console import clear_errors, say_where  # noqa: PLC0415

    with clear_errors(PROGRAM):
        from experiments import compare, compare_console  # noqa: PLC0415

        found = compare.folders(a, b, world.world, everything=everything)
        console = Console()
        if not console.is_terminal:
            console = Console(width=PIPE_WIDTH)
        for one in found:
            console.print(compare_console.table(one))
        if a.resolve() == b.resolve():
            console.print("A and B are the same folder.")
        if out is not None:
            compare.write(found, out)
            say_where(out)
