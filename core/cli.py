"""The command line, `tandem`. Everything slow to import is imported inside the commands."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from core.runtime.process import Options
    from core.settings import Config

USAGE_ERROR = 2
UNREACHABLE = 3
TASK_FAILED = 1

app = typer.Typer(
    name="tandem",
    help="A distributed task scheduler on etcd.",
    epilog="To begin: `tandem up`, then in another terminal `tandem submit --type echo --count 1000 --wait`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Endpoints = Annotated[
    str | None,
    typer.Option(
        "--etcd-endpoints",
        envvar="TANDEM_ETCD_ENDPOINTS",
        metavar="HOST:PORT,...",
        help="The etcd to use. Default: that of a running `tandem up`, else 127.0.0.1:2379; `up` starts one.",
        show_default=False,
    ),
]
EtcdWait = Annotated[
    float,
    typer.Option(
        "--etcd-wait",
        envvar="TANDEM_ETCD_WAIT_S",
        min=0.0,
        metavar="SECONDS",
        help="Wait so long for an etcd that is still starting.",
    ),
]
Namespace = Annotated[str, typer.Option(envvar="TANDEM_NAMESPACE", help="Prefix of all keys in etcd.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with tables \\[scheduler], \\[worker], \\[client]: docs/scenarios.md."),
]
TraceDir = Annotated[Path | None, typer.Option(help="Keep the moments of every task in files here.", hidden=True)]
RecordFile = Annotated[Path | None, typer.Option(help="Record every step of the machine, for replay.", hidden=True)]
App = Annotated[
    str | None,
    typer.Option("--app", metavar="MODULE:NAME", help="Your `Handlers` object, such as shop:app for shop.py here."),
]
Placement = Annotated[
    str | None,
    typer.Option(
        "--placement", metavar="NAME", help="Who takes the next task: least_loaded, or MODULE:FUNCTION of yours."
    ),
]
Queues = Annotated[list[str] | None, typer.Option("--queue", help="Serve only this queue (may be repeated).")]
DEFAULT_NAMESPACE = "/tandem/"


@contextmanager
def _clear_errors() -> Iterator[None]:
    """A user's mistake ends in one sentence and an exit code."""
    try:
        yield
    except ValueError as error:
        _fail(str(error), USAGE_ERROR)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        from core.etcd.binary import EtcdServerError  # noqa: PLC0415
        from core.etcd.errors import EtcdUnreachable, EtcdUnsupported  # noqa: PLC0415

        if not isinstance(error, EtcdUnreachable | EtcdUnsupported | EtcdServerError):
            raise
        _fail(str(error), UNREACHABLE)


def _fail(text: str, code: int) -> None:
    print(f"tandem: {text}", file=sys.stderr)
    raise typer.Exit(code)


def _endpoints(given: str | None) -> str:
    if given:
        return given
    from core.runtime.discovery import find_endpoints  # noqa: PLC0415

    return find_endpoints()


def _config(path: Path | None) -> "Config":
    from core.settings import Config, load_config  # noqa: PLC0415

    return load_config(path) if path is not None else Config()


def _namespace(text: str) -> str:
    if not text.startswith("/") or len(text) < 2:
        raise ValueError(f"namespace {text!r} must start with '/' and name something, like /tandem/")
    return text if text.endswith("/") else text + "/"


@app.command(epilog="Example: `tandem up --workers 3 --slots 10`, then in another terminal `tandem submit --type echo`")
def up(
    *,
    workers: Annotated[int, typer.Option(min=0, help="Number of workers.")] = 3,
    slots: Annotated[
        int | None, typer.Option(min=1, help="Tasks a worker runs at once. Default: 10, or as configured.")
    ] = None,
    schedulers: Annotated[int, typer.Option(min=1, help="Number of schedulers.")] = 1,
    endpoints: Endpoints = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    config: ConfigFile = None,
    handlers: App = None,
    placement: Placement = None,
) -> None:
    """Run everything on this machine until Ctrl-C: an etcd of its own (data is temporary), schedulers, workers."""
    from core.commands.up import Plan, run_up  # noqa: PLC0415

    with _clear_errors():
        plan = Plan(workers, slots, schedulers, endpoints, _namespace(namespace), config, handlers, placement)
        raise typer.Exit(run_up(plan))


@app.command(epilog="Example: `tandem scheduler --etcd-endpoints 127.0.0.1:2379 --placement packing:most_loaded`")
def scheduler(
    *,
    name: Annotated[str, typer.Option(help="Name of this scheduler. Default: scheduler-HOST-PID.")] = "",
    placement: Placement = None,
    endpoints: Endpoints = None,
    etcd_wait_s: EtcdWait = 0.0,
    namespace: Namespace = DEFAULT_NAMESPACE,
    config: ConfigFile = None,
    trace_dir: TraceDir = None,
    record_file: RecordFile = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
    leash_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run a scheduler. Run as many as you like: they share the work, and none is the leader."""
    import msgspec  # noqa: PLC0415

    from core.kv.keys import check_name  # noqa: PLC0415
    from core.runtime.process import HOST, Options, log, set_up_logging  # noqa: PLC0415
    from core.runtime.waiting import wait_for_etcd  # noqa: PLC0415
    from core.scheduler import run_scheduler  # noqa: PLC0415

    with _clear_errors():
        options = Options(
            name=name or f"scheduler-{HOST}-{os.getpid()}",
            endpoints=_endpoints(endpoints),
            namespace=_namespace(namespace),
            trace_dir=trace_dir,
            record_file=record_file,
            leash=leash_fd,
        )
        settings = _config(config).scheduler
        if placement is not None:
            settings = msgspec.structs.replace(settings, placement=placement)
        check_name("scheduler", options.name)
        set_up_logging(options.name, verbose=verbose)
        wait_for_etcd(options.endpoints, etcd_wait_s, log.info)
        raise typer.Exit(run_scheduler(options, settings))


@app.command(epilog="Example: `tandem worker --slots 10 --app shop.tasks:app --queue default --queue mail`")
def worker(
    *,
    name: Annotated[str, typer.Option(help="Name of this worker. Default: worker-HOST-PID.")] = "",
    slots: Annotated[int | None, typer.Option(min=1, help="Tasks run at once. Default: 10, or as configured.")] = None,
    queues: Queues = None,
    handlers: App = None,
    endpoints: Endpoints = None,
    etcd_wait_s: EtcdWait = 0.0,
    namespace: Namespace = DEFAULT_NAMESPACE,
    config: ConfigFile = None,
    trace_dir: TraceDir = None,
    record_file: RecordFile = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say more, with tracebacks of failed tasks.")
    ] = False,
    leash_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
    nanny_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run a worker. SIGTERM drains it: running tasks finish, the others go back.

    A small parent process restarts it after a crash and has its tasks requeued at once.
    """
    import msgspec  # noqa: PLC0415

    from core.runtime.process import HOST, Options, log, set_up_logging  # noqa: PLC0415

    with _clear_errors():
        settings = _config(config).worker
        if slots is not None:
            settings = msgspec.structs.replace(settings, slots=slots)
        if queues:
            settings = msgspec.structs.replace(settings, queues=tuple(queues))
        options = Options(
            name=name or f"worker-{HOST}-{os.getpid()}",
            endpoints=_endpoints(endpoints),
            namespace=_namespace(namespace),
            trace_dir=trace_dir,
            record_file=record_file,
        )
        if nanny_fd is None:
            set_up_logging(options.name, verbose=verbose)
            raise typer.Exit(_nanny(options, leash_fd))
        from core.runtime.waiting import wait_for_etcd  # noqa: PLC0415
        from core.worker import check_names, gather_handlers, run_worker  # noqa: PLC0415

        found = gather_handlers(handlers)
        check_names(options.name, settings.queues)
        set_up_logging(options.name, verbose=verbose)
        wait_for_etcd(options.endpoints, etcd_wait_s, log.info)
        raise typer.Exit(run_worker(options, settings, found, nanny_fd))


def _nanny(options: "Options", leash: int | None) -> int:
    """Start this very command again as a child, with the socket to us, and look after it."""
    from core.runtime.nanny import Nanny  # noqa: PLC0415

    fixed = ["--name", options.name, "--etcd-endpoints", options.endpoints, "--namespace", options.namespace]
    command = [sys.executable, "-m", "core.cli", *sys.argv[1:], *fixed]
    return Nanny(lambda fd: [*command, "--nanny-fd", str(fd)], options.endpoints, options.namespace, leash).run()


@app.command(epilog="Example: `tandem submit --type echo --payload '{\"duration_s\": 0.1}' --count 1000 --wait`")
def submit(
    *,
    type_: Annotated[str, typer.Option("--type", help="Its handler: echo, sleep, cpu, fail, or yours.")] = "echo",
    queue: Annotated[str, typer.Option(help="Queue to submit to.")] = "default",
    count: Annotated[int, typer.Option(min=1, help="Number of equal tasks.")] = 1,
    payload: Annotated[str, typer.Option(help="JSON for the handler, as in the example.")] = "null",
    priority: Annotated[int, typer.Option(min=0, max=9, help="0 runs first, 9 last.")] = 5,
    max_attempts: Annotated[int, typer.Option(min=1, help="Give up after so many failures.")] = 3,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the results; exit code 1 if a task fails, 4 at the timeout.")
    ] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.1, help="With --wait: seconds at most.")] = 3600.0,
    force: Annotated[bool, typer.Option("--force", help="Submit although no live worker has the handler.")] = False,
    endpoints: Endpoints = None,
    etcd_wait_s: EtcdWait = 0.0,
    namespace: Namespace = DEFAULT_NAMESPACE,
) -> None:
    """Submit tasks, and print their ids (the first ten) once etcd has them on disk."""
    from core.commands.submit import Order, run_submit  # noqa: PLC0415

    with _clear_errors():
        order = Order(type_, queue, count, payload, priority, max_attempts, wait, timeout_s, force, etcd_wait_s)
        raise typer.Exit(run_submit(order, _endpoints(endpoints), _namespace(namespace)))


@app.command(epilog="Example: `tandem status --json | jq .running`")
def status(
    *,
    json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    endpoints: Endpoints = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
) -> None:
    """Show schedulers, workers and queues, and what is wrong, if anything."""
    from core.commands.show import show_overview  # noqa: PLC0415

    with _clear_errors():
        show_overview(_endpoints(endpoints), _namespace(namespace), as_json=json)


@app.command(epilog="Example: `tandem task 01a20a43eafa73e3a7971f0b21a43b29`")
def task(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The task's id, as `tandem submit` printed it.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    endpoints: Endpoints = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
) -> None:
    """Show one task: where it is, or how it ended. Exit code 1 where there is no such task."""
    from core.commands.show import show_task  # noqa: PLC0415

    with _clear_errors():
        raise typer.Exit(show_task(task_id, _endpoints(endpoints), _namespace(namespace), as_json=json))


def main() -> None:
    app()


if __name__ == "__main__":
    main()
