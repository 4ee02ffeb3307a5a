"""The command line of the experiments, `tandem-bench`. Everything slow to import is imported inside the commands."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from experiments.world import WorldName

PROGRAM = "tandem-bench"

app = typer.Typer(
    name=PROGRAM,
    help="Run scenarios on the real scheduler and on its model, and compare.",
    epilog="To begin: `tandem-bench list`, then `tandem-bench run burst --quick --out runs/burst`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Worlds(StrEnum):
    REAL = "real"
    SIM = "sim"
    BOTH = "both"

    @property
    def names(self) -> list["WorldName"]:
        match self:
            case Worlds.REAL:
                return ["real"]
            case Worlds.SIM:
                return ["sim"]
            case Worlds.BOTH:
                return ["real", "sim"]


class Editions(StrEnum):
    """As `reports.language.LANGUAGES`."""

    EN = "en"
    ZH = "zh"


WorldOption = Annotated[Worlds, typer.Option("--world", help="The real system, the model, or one after the other.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="Apply the scenario's \\[quick] table: fewer tasks.")]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Seed of the load, instead of the scenario's.")]
EndpointsOption = Annotated[
    str | None,
    typer.Option(
        "--etcd-endpoints",
        envvar="TANDEM_ETCD_ENDPOINTS",
        metavar="HOST:PORT,...",
        help="Use this etcd. Default: one is started for the run, with temporary data.",
        show_default=False,
    ),
]
DeployedOption = Annotated[
    bool,
    typer.Option(
        "--deployed",
        help="Start no processes: submit to the schedulers and workers that run on --etcd-endpoints, and observe.",
    ),
]
NamespaceOption = Annotated[
    str, typer.Option(envvar="TANDEM_NAMESPACE", help="With --deployed: the prefix of their keys in etcd.")
]
LanguagesOption = Annotated[
    list[Editions] | None,
    typer.Option("--lang", help="Edition of the report: English or Chinese. Default: both.", show_default=False),
]
ProfileOption = Annotated[
    Path | None,
    typer.Option(
        help="Parameters of the model, from `calibrate`. Default: the set that comes with Tandem; where the real "
        "system runs beside the model, at this machine's speed."
    ),
]


@app.command("list", epilog="Example: `tandem-bench list`")
def list_scenarios() -> None:
    """Show the scenarios that come with Tandem, and the claims they bear on."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Column, Table  # noqa: PLC0415

    from experiments import scenario  # noqa: PLC0415
    from experiments.console import clear_errors  # noqa: PLC0415

    with clear_errors(PROGRAM):
        table = Table(Column("name", no_wrap=True), "claims", "workers x slots", "dispatch", "load", "tasks (quick)")
        table.add_column("worlds")
        for name in scenario.names():
            full, quick = scenario.both(name)
            sizes = ["-" if one is None else one.workload.size for one in (full, quick)]
            table.add_row(
                name,
                " ".join(full.claims),
                f"{full.topology.workers} x {full.topology.slots}",
                full.topology.dispatch,
                str(type(full.workload.arrivals).__struct_config__.tag),
                f"{sizes[0]} ({sizes[1]})",
                "both" if "real" in full.worlds else "model",
            )
        Console().print(table)


@app.command(
    epilog="Examples: `tandem-bench run scaling-3 --world both --quick --out runs/scaling-3`, "
    "`tandem-bench run --all --quick --out runs` (goes on where it was stopped)"
)
def run(
    scenario_file: Annotated[
        str | None, typer.Argument(metavar="FILE-OR-NAME", help="A scenario file, or a name from `list`.")
    ] = None,
    *,
    out: Annotated[
        Path,
        typer.Option(
            help="Where the run directories go. What an earlier run left there is replaced; with --all each scenario "
            "has a folder in it, and what is finished is kept."
        ),
    ],
    whole_set: Annotated[
        bool, typer.Option("--all", help="All scenarios; with --quick those that have a short form.")
    ] = False,
    world: WorldOption = Worlds.BOTH,
    quick: QuickOption = False,
    seed: SeedOption = None,
    endpoints: EndpointsOption = None,
    deployed: DeployedOption = False,
    namespace: NamespaceOption = "/tandem/",
    profile: ProfileOption = None,
    repeat_disturbed: Annotated[
        bool, typer.Option("--repeat-disturbed", help="With --all: run again what other work on the machine disturbed.")
    ] = False,
) -> None:
    """Run a scenario, or all of them, and write traces, samples and figures."""
    from rich.console import Console  # noqa: PLC0415

    from experiments import scenario  # noqa: PLC0415
    from experiments.console import USAGE_ERROR, clear_errors, fail, progress_bar, results, say_where  # noqa: PLC0415

    if (scenario_file is None) is not whole_set:
        fail(PROGRAM, "give either a scenario (see `tandem-bench list`) or --all", USAGE_ERROR)
    if deployed and whole_set:
        fail(PROGRAM, "--deployed goes with one scenario: a set starts components of its own", USAGE_ERROR)
    if repeat_disturbed and not whole_set:
        fail(PROGRAM, "--repeat-disturbed goes with --all: a single scenario is run anew in any case", USAGE_ERROR)
    with clear_errors(PROGRAM):
        if scenario_file is None:
            from experiments import cli_report, machine_speed, suite  # noqa: PLC0415 - likewise pandas

            profile = machine_speed.profile_for(out, world.names, endpoints, profile)
            scenarios = suite.load(suite.names_of_set(quick=quick), quick=quick, seed=seed)
            plan = suite.Plan(scenarios, out, world.names, endpoints, profile, repeat_disturbed)
            cli_report.run_all(plan)
            return
        one = scenario.load(scenario_file, quick=quick)
        from experiments.run import choose, run_scenario, worlds_of  # noqa: PLC0415 - pandas: once the file is good

        chosen = choose(one, world.names)
        worlds = worlds_of(chosen, endpoints, profile, namespace if deployed else None)
        if "real" in chosen:
            from experiments import machine_speed  # noqa: PLC0415 - it measures on a real etcd: the model needs no grpc

            if machine_speed.compared(chosen, endpoints, profile):
                worlds["sim"] = machine_speed.model_at_speed(out)
        with progress_bar(one.name) as on_step:
            summaries = run_scenario(one, worlds, out, seed=seed, on_step=on_step)
        console = Console()
        console.print(results(one.name, summaries))
        from experiments.run_console import notes  # noqa: PLC0415 - scipy: the result should not wait for it

        for line in notes(one, out, summaries):
            console.print(line, highlight=False, soft_wrap=True)
        say_where(out)


@app.command(
    epilog="Example: `tandem-bench calibrate --out here.json`, then "
    "`tandem-bench run burst --profile here.json --out runs/burst`"
)
def calibrate(
    *,
    out: Annotated[Path, typer.Option(help="Where the model's parameters go.")] = Path("calibration.json"),
    quick: Annotated[bool, typer.Option("--quick", help="Shorter measurements, rougher figures.")] = False,
    scale: Annotated[
        bool,
        typer.Option(
            "--scale", help="Twenty seconds: measure this machine's speed, and scale the set that comes with Tandem."
        ),
    ] = False,
    allow_known_bad: Annotated[
        bool, typer.Option("--allow-known-bad", help="Also on an etcd that acknowledges before its log is on disk.")
    ] = False,
) -> None:
    """Measure the model's parameters on this machine: some five minutes of small measurements, no scenarios.

    What cannot be measured directly is fitted at the end: the model does the same as the server did. A quiet machine is
    wanted; you are told where it was not.
    """
    from rich.console import Console  # noqa: PLC0415

    from experiments import calibrate as calibration  # noqa: PLC0415
    from experiments.console import clear_errors, say_where  # noqa: PLC0415
    from experiments.validation.show import progress  # noqa: PLC0415

    if scale and quick:
        raise typer.BadParameter("--quick does not go with --scale, which takes twenty seconds")
    with clear_errors(PROGRAM):
        console = Console(stderr=True)
        measure = calibration.run_scaled if scale else partial(calibration.run, quick=quick)
        with progress("calibrate") as on_step:
            profile = measure(out, allow_known_bad=allow_known_bad, on_step=on_step)
        for line in calibration.advice(profile):
            console.print(line, highlight=False, soft_wrap=True)
        say_where(out)


class CurveName(StrEnum):
    """The sweeps of `experiments.curves_sweeps`, which is slow to import."""

    WORKERS = "workers"
    SCHEDULERS = "schedulers"
    PAYLOAD = "payload"
    BACKLOG = "backlog"
    WATCHERS = "watchers"


@app.command(
    epilog="Examples: `tandem-bench curves --quick`, `tandem-bench curves --sweep workers --sweep backlog --out curves`"
)
def curves(
    *,
    sweep: Annotated[
        list[CurveName] | None, typer.Option("--sweep", help="Only this one; may be given again. Default: all.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Where the data, figures and the page go. Sweeps that are run again are replaced.")
    ] = Path("reports/latest/curves"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer points, one short round each: about 2 minutes instead of 10 to 15.")
    ] = False,
    profile: ProfileOption = None,
) -> None:
    """Measure scaling curves of the real system, with their knee and the resource that binds at each point.

    Throughput against workers, schedulers, payload, backlog and watchers; workers and schedulers also on the model.
    Ctrl-C ends it: what is finished is kept. A quiet machine is wanted.
    """
    from experiments.console import clear_errors, say_where  # noqa: PLC0415

    with clear_errors(PROGRAM):
        from experiments import machine_speed  # noqa: PLC0415
        from experiments.curves import plan  # noqa: PLC0415
        from experiments.curves_console import shown  # noqa: PLC0415
        from experiments.curves_sweeps import SweepName, sweeps  # noqa: PLC0415

        known = sweeps(quick=quick)
        chosen = [SweepName(name) for name in dict.fromkeys(sweep or CurveName)]
        profile = machine_speed.profile_for(out, ("real", "sim"), None, profile)
        machine_speed.measure(out, profile)
        with shown(plan(out, quick=quick, profile=profile)) as runner:
            page = runner.run([known[name] for name in chosen])
        say_where(page)


def main() -> None:
    from experiments import cli  # noqa: PLC0415, PLW0406 - with `python -m` this module is another one, without them

    cli.app()


from experiments import cli_model, cli_plan, cli_report  # noqa: E402, F401 - their commands

if __name__ == "__main__":
    main()
