"""Commands about the model itself: `tandem-bench validate`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import PROGRAM, ProfileOption, SeedOption, app

if TYPE_CHECKING:
    from sim.parameters import Refinement

OUT = Path("reports/latest/validation")
OUT_OF_STRESS, OUT_OF_RANDOM = OUT.with_name("validation-stress"), OUT.with_name("validation-random")


class RefinementName(StrEnum):
    """As `sim.parameters.Refinement`, which is slow to import."""

    CONSTANT = "constant"
    QUANTILES = "quantiles"
    STATION = "station"

    @property
    def refinement(self) -> "Refinement":
        return self.value


DEFAULT = (RefinementName.STATION,)


@app.command(
    epilog="Examples: `tandem-bench validate --quick`, `tandem-bench validate --scenario idle --scenario burst-none`, "
    "`tandem-bench validate --random 20 --seed 7`, "
    "`tandem-bench validate --sim-only --runs reports/latest/validation` (the model has changed)"
)
def validate(
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where runs, figures and the page go. Repetitions that are finished there are not repeated. "
            f"Default: {OUT}, with --stress {OUT_OF_STRESS}, with --random {OUT_OF_RANDOM}."
        ),
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option("--scenario", metavar="NAME", help="Only this one; may be given again. Default: all of a group."),
    ] = None,
    stress: Annotated[bool, typer.Option("--stress", help="The scenarios that are meant to break the model.")] = False,
    random: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="N scenarios drawn at random (--seed: others), 3 real repetitions and 10 simulated ones of each; some "
            "40 s for each. No bands are known for them.",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Shorter loads, 3 real and 10 simulated repetitions: 6 minutes, not 30.")
    ] = False,
    real: Annotated[int | None, typer.Option(min=1, help="Real repetitions. Default: 10, or 5 for long loads.")] = None,
    simulated: Annotated[
        int | None, typer.Option(min=1, help="Simulated repetitions at least: each load equally often. Default: 30.")
    ] = None,
    profile: ProfileOption = None,
    refinement: Annotated[
        list[RefinementName] | None,
        typer.Option(
            "--refinement",
            help="How finely etcd is modelled; given again, a table shows what each buys. Default: station.",
        ),
    ] = None,
    seed: SeedOption = None,
    sim_only: Annotated[
        bool, typer.Option("--sim-only", help="Only simulate, and compare with the real runs of --runs.")
    ] = False,
    runs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --sim-only: the --out of an earlier validation. Default: --out."),
    ] = None,
    record: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Make the errors the new bands, and the scenarios the validated region."),
    ] = None,
) -> None:
    """Compare the model with the real system on scenarios that its calibration never saw.

    Shows signed errors with intervals beside what the real system differs from itself, and where the model may be
    believed. Ends with 1 where an error has left its recorded band, and says which. Ctrl-C keeps what is finished: the
    same command goes on from there. A quiet machine is wanted.
    """
    from experiments.console import INTERRUPTED, USAGE_ERROR, clear_errors, fail, say_where  # noqa: PLC0415

    if runs is not None and not sim_only:
        fail(PROGRAM, "--runs goes with --sim-only: real runs are made in --out", USAGE_ERROR)
    if random is not None and (scenario or stress or quick or record is not None):
        fail(PROGRAM, "--random goes with neither --scenario, --stress, --quick nor --record", USAGE_ERROR)
    if record is not None and not record.strip():
        fail(PROGRAM, "--record needs a reason: why these errors are right now", USAGE_ERROR)
    out = out or (OUT_OF_STRESS if stress else OUT_OF_RANDOM if random else OUT)
    with clear_errors(PROGRAM):
        from experiments import machine_speed  # noqa: PLC0415
        from experiments.run import profile_of  # noqa: PLC0415
        from experiments.scenario import ScenarioError  # noqa: PLC0415
        from experiments.validation import command, page  # noqa: PLC0415
        from experiments.validation.catalogue import cases, random_cases  # noqa: PLC0415
        from experiments.validation.engine import Plan  # noqa: PLC0415

        if random is None:
            chosen = cases(scenario or (), stress=stress, quick=quick, real=real, simulated=simulated, seed=seed)
        else:
            chosen = random_cases(random, real=real, simulated=simulated, seed=1 if seed is None else seed)
        names: tuple[Refinement, ...] = tuple(dict.fromkeys(one.refinement for one in refinement or [*DEFAULT]))
        if not sim_only:
            profile = machine_speed.profile_for(out, ("real", "sim"), None, profile)
            machine_speed.measure(out, profile)
        plan = Plan(chosen, out, profile or profile_of(runs or out), names, (runs or out) if sim_only else None)
        try:
            findings = command.validate(plan, quick=quick, reason=record)
        except ValueError as error:
            raise ScenarioError(str(error)) from error
        except KeyboardInterrupt:
            fail(PROGRAM, "interrupted; what is finished is kept: the same command goes on from there", INTERRUPTED)
        page.build(out)
        failures, sentence = command.told(findings, recordable=random is None)
        for line in failures:
            print(line)
        print(sentence)
        say_where(out / page.PAGE)
        if failures:
            raise typer.Exit(1)
