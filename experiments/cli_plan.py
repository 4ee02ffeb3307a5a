"""Commands that plan with the model: `tandem-bench plan`, `tandem-bench whatif`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import PROGRAM, EndpointsOption, ProfileOption, app

if TYPE_CHECKING:
    from experiments.planning.answer import Plan

OUT = Path("plan")
DEFAULT_WORKERS, DEFAULT_SLOTS, DEFAULT_SCHEDULERS = "1..50", "1..50", "1..3"


class Killed(StrEnum):
    """What is killed once: `experiments.planning.question.Survive`."""

    WORKER = "worker"
    HOST = "host"
    SCHEDULER = "scheduler"


class Handler(StrEnum):
    """What tasks do: wait, or compute."""

    SLEEP = "sleep"
    CPU = "cpu"


JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Simulations at a time. Default: as many as this machine has cores.")
]
CoresOption = Annotated[
    int | None,
    typer.Option(min=1, help="Cores of the one host that all processes share. Default: as in the model's parameters."),
]
ArrivalsOption = Annotated[
    str | None,
    typer.Option(
        metavar="PROCESS",
        help="poisson:200/s, constant:50/s, or trace:FILE (seconds from the start, one a line).",
        show_default=False,
    ),
]
ServiceOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIMES",
        help="constant:0.1s, exponential:0.1s, lognormal:0.1s:cv=1, uniform:50ms..200ms, or empirical:FILE.",
        show_default=False,
    ),
]
FromOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="RUN", help="Fit arrivals and service times to this run.", show_default=False),
]
TargetOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TARGET",
        help="'p99<0.2' (total latency), 'overhead.p99<50ms', 'dispatch.mean<1s', 'utilisation<0.8', "
        "'throughput>100/s'; several with commas, or given again.",
        show_default=False,
    ),
]
SurviveOption = Annotated[
    Killed | None,
    typer.Option(
        help="The targets must hold although one is killed: a worker process, a worker's host, a scheduler.",
        show_default=False,
    ),
]
WorkersOption = Annotated[str, typer.Option(metavar="N", help="Numbers of workers to choose from: 4, 1..20 or 1,2,5.")]
SlotsOption = Annotated[str, typer.Option(metavar="N", help="Slots of each worker, likewise.")]
SchedulersOption = Annotated[str, typer.Option(metavar="N", help="Numbers of schedulers, likewise.")]
DispatchOption = Annotated[str, typer.Option(metavar="MODE", help="watch, poll, or any: whichever is cheaper.")]
SchedulerIntervalOption = Annotated[
    str, typer.Option(metavar="TIMES", help="Poll intervals of schedulers to choose from.")
]
WorkerIntervalOption = Annotated[str, typer.Option(metavar="TIMES", help="Poll intervals of workers to choose from.")]
LeaseTtlOption = Annotated[
    str, typer.Option(metavar="TIMES", help="Times to live to choose from; with --survive only.")
]
EtcdMembersOption = Annotated[int, typer.Option(help="Members of the etcd cluster: 1, 3 or 5.")]
HandlerOption = Annotated[
    Handler, typer.Option(help="What tasks do: wait for others, or compute (one core at most in each worker).")
]
CostOption = Annotated[
    str,
    typer.Option(
        metavar="PRICES", help="Prices in any unit. Default: worker=1, slot=0.1, scheduler=1, core=0 (a busy core)."
    ),
]
TasksOption = Annotated[
    int | None, typer.Option(min=100, help="Tasks in each simulation. Default: 3,000, more for long latencies.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of load and model.")]
BudgetOption = Annotated[int, typer.Option(min=20, help="Simulations that the search may take.")]
PlanOutOption = Annotated[Path, typer.Option(help="Where the answer, its figure and its scenario go.")]
CheckOption = Annotated[
    bool,
    typer.Option(
        "--check", help="Then run it on the real system. Without any question: check the answer that is in --out."
    ),
]
RepetitionsOption = Annotated[int, typer.Option(min=1, help="Real runs for --check.")]


@app.command(
    epilog="Examples: `tandem-bench plan --arrivals poisson:200/s --service lognormal:0.1s:cv=1 --target 'p99<0.6'`, "
    "`tandem-bench plan --from runs/mine --target 'overhead.p99<50ms' --slots 10 --check`"
)
def plan(
    *,
    arrivals: ArrivalsOption = None,
    service: ServiceOption = None,
    run: FromOption = None,
    target: TargetOption = None,
    survive: SurviveOption = None,
    workers: WorkersOption = DEFAULT_WORKERS,
    slots: SlotsOption = DEFAULT_SLOTS,
    schedulers: SchedulersOption = DEFAULT_SCHEDULERS,
    dispatch: DispatchOption = "any",
    scheduler_interval: SchedulerIntervalOption = "50ms,100ms",
    worker_interval: WorkerIntervalOption = "100ms,250ms,500ms",
    lease_ttl: LeaseTtlOption = "2s,5s,10s",
    etcd_members: EtcdMembersOption = 1,
    handler: HandlerOption = Handler.SLEEP,
    cost: CostOption = "",
    cores: CoresOption = None,
    tasks: TasksOption = None,
    seed: SeedOption = 1,
    budget: BudgetOption = 400,
    jobs: JobsOption = None,
    profile: ProfileOption = None,
    out: PlanOutOption = OUT,
    check: CheckOption = False,
    repetitions: RepetitionsOption = 5,
    endpoints: EndpointsOption = None,
) -> None:
    """Find the cheapest configuration that meets a target: workers, slots, schedulers, dispatch, intervals, lease TTL.

    Says what latency to expect, how much more load it would take, what breaks first, and how far the question lies
    from what was validated. All of it comes from the model; `--check` asks the real system.
    """
    from experiments.console import clear_errors, say_where  # noqa: PLC0415

    with clear_errors(PROGRAM):
        from experiments.planning import answer, ask, console, curves  # noqa: PLC0415
        from experiments.sweep import values_of  # noqa: PLC0415

        if check and not any((arrivals, service, run, target)):
            answered = answer.read(out)
        else:
            words = ask.Words(
                arrivals=arrivals,
                service=service,
                run=run,
                target=target or [],
                workers=workers,
                slots=slots,
                schedulers=schedulers,
                dispatch=dispatch,
                scheduler_interval=scheduler_interval,
                worker_interval=worker_interval,
                lease_ttl=lease_ttl,
                etcd_members=etcd_members,
                handler=handler.value,
                cost=cost,
                survive=None if survive is None else survive.value,
                seed=seed,
                tasks=tasks,
            )
            question = ask.question(words, out)
            values = values_of(profile, cores=cores)
            with console.counter("plan") as tell:
                answered = answer.plan(question, values, out, n_jobs=jobs or -1, budget=budget, tell=tell)
            console.show_plan(answered)
            curves.draw(out)
            say_where(out)
        if check:
            _check(answered, out, endpoints, repetitions)


def _check(answered: "Plan", out: Path, endpoints: str | None, repetitions: int) -> None:
    """Try the answer on the real system and show how good it was; exit code 1 where a target is missed."""
    from experiments.console import progress_bar  # noqa: PLC0415
    from experiments.planning import check, console  # noqa: PLC0415

    with progress_bar("check") as on_step:
        found = check.run(answered, out, endpoints=endpoints, repetitions=repetitions, on_step=on_step)
    console.wide().print(console.check_table(found))
    times = "repetition" if found.repetitions == 1 else "repetitions"
    print(f"checked on the real system: {found.repetitions} {times}, {found.lost} tasks lost")
    if found.disturbed:
        print(f"warning: other processes used the machine during {found.disturbed} of them; try again when it is quiet")
    if not found.met:
        print("a target is missed")
        raise typer.Exit(1)


@app.command(
    epilog="Examples: `tandem-bench whatif runs/mine --set topology.workers=5`, "
    "`tandem-bench whatif runs/mine --set settings.worker.max_batch=1 --load 1.5`"
)
def whatif(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A directory that `tandem-bench run` has written.")],
    *,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A key of the scenario and its new value; may be given again."),
    ] = None,
    load: Annotated[
        float, typer.Option(min=0.01, max=100.0, help="The recorded tasks arrive so many times as fast.")
    ] = 1.0,
    simulations: Annotated[int, typer.Option(min=2, help="Simulations of each configuration, at least.")] = 10,
    cores: CoresOption = None,
    jobs: JobsOption = None,
    profile: ProfileOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the answer as JSON, too.", show_default=False)
    ] = None,
) -> None:
    """Predict what a change to a recorded run would do.

    The recorded arrivals and service times go through the model with and without the change. How far the model is off
    on the recorded run itself is shown beside.
    """
    from experiments.console import USAGE_ERROR, clear_errors, fail, say_where  # noqa: PLC0415

    if not settings and load == 1.0:
        fail(PROGRAM, "whatif: what is to change? --set topology.workers=5, or --load 1.5", USAGE_ERROR)
    with clear_errors(PROGRAM):
        import msgspec  # noqa: PLC0415

        from experiments.planning import console  # noqa: PLC0415
        from experiments.planning import whatif as prediction  # noqa: PLC0415
        from experiments.run import profile_of  # noqa: PLC0415
        from experiments.sweep import values_of  # noqa: PLC0415

        change = prediction.Change(prediction.parse(settings or []), load)
        values = values_of(profile or profile_of(run), cores=cores)
        with console.counter("whatif") as tell:
            found = prediction.whatif(
                run,
                change,
                values,
                simulations=simulations,
                n_jobs=jobs or -1,
                on_done=lambda done, total: tell(done, f"of {total}"),
            )
        shown = console.wide()
        lines = [*console.whatif_lines(found), *console.trust_lines(found.trust, found.cores)]
        shown.print(lines[0], highlight=False, soft_wrap=True, markup=False)
        shown.print(console.whatif_table(found))
        for line in lines[1:]:
            shown.print(line, highlight=False, soft_wrap=True, markup=False)
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
            say_where(out)
