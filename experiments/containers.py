"""Tries the commands of claim MET-1 on a running container engine, letter for letter, and writes what happened.

    python -m experiments.containers --out runs/containers.json

Every compose that is installed is tried (docker-compose, docker compose), each as a project of its own, so that no
containers or volumes of anybody else are touched. Everything is removed at the end, and after Ctrl-C.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from experiments import environment
from experiments.console import clear_errors, say_where
from experiments.containers_beyond import AFTER_THE_END, BEFORE_THE_END
from experiments.containers_engine import about, ask, image
from experiments.containers_trial import DEPLOYED, Step, Trial, did, ended, nothing_left, serves, tells, version_of
from experiments.world import ExperimentError

PROGRAM = "python -m experiments.containers"
COMPOSES = ("docker-compose", "docker compose")
IMAGE, ASIDE = "tandem", "tandem:before-the-trial"
IMAGES = (IMAGE, "python:3.11-slim", "quay.io/coreos/etcd:v3.5.16")
BUILD_LIMIT_S = 1800.0
CLIENT = "docker-compose run --rm client --etcd-endpoints=etcd:2379 --queue=default --type=echo"

app = typer.Typer(pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})

STEPS = (
    Step("1.3, 9.1", "docker-compose up -d", serves(DEPLOYED), BUILD_LIMIT_S),
    Step("9.1", "docker-compose ps", tells("scheduler", "worker-1", "worker-2", "worker-3", "etcd")),
    Step("9.1", f"{CLIENT} --count=1", did(1)),
    Step("9.4", f"{CLIENT} --count=10", did(10)),
    Step("9.1", f"{CLIENT} --count=1000", did(1000)),
    Step("9.1", "docker-compose up -d --scale worker-1=5", serves({**DEPLOYED, "worker-1": 5})),
    Step("9.4", "docker-compose logs -f scheduler worker-1", tells("scheduler", "worker-1"), follows=True),
    Step("9.1", "docker-compose logs -f", tells("scheduler", "worker-1", "worker-2", "worker-3"), follows=True),
    Step("9.1", "docker-compose logs -f scheduler", tells("scheduler"), follows=True),
    Step("9.1", "docker-compose logs -f worker-1", tells("worker-1"), follows=True),
    Step("9.1", "docker stats", tells("CPU", "MEM"), follows=True),
)
"""They leave five containers of worker-1 behind, as the source does; `ENDING` comes after what goes beyond it."""

ENDING = (
    Step("9.1", "docker-compose down", nothing_left(volumes=1)),
    Step("1.3, 9.1", "docker-compose up -d", serves(DEPLOYED)),
    Step("9.4", f"{CLIENT} --count=10", did(10)),
    Step("9.1", "docker-compose exec -T scheduler tandem status --json", ended(more_than=10)),  # `down` kept the others
    Step("9.1", "docker-compose down -v", nothing_left(volumes=0)),
)


@contextmanager
def image_kept() -> Iterator[None]:
    """The trial builds the image of this checkout: one that was there before is laid aside, and put back at the end."""
    before = image(IMAGE) is not None
    if before:
        ask("image", "tag", IMAGE, ASIDE)
        ask("image", "rm", "--no-prune", IMAGE)
    try:
        yield
    finally:
        if image(IMAGE) is not None:
            ask("image", "rm", IMAGE)
        if before:
            ask("image", "tag", ASIDE, IMAGE)
            ask("image", "rm", ASIDE)


def try_out(words: str, tell: Callable[[str], None], *, source_only: bool = False) -> dict[str, Any]:
    """All commands with one compose, or those of the source only.

    Raises ExperimentError where it is not installed or the engine is gone.
    """
    trial = Trial(words, tell)
    try:
        for step in STEPS:
            trial.do(step)
            if not trial.rows[0]["holds"]:  # nothing runs: the rest would only say so again
                return trial.record()
        for beyond in () if source_only else BEFORE_THE_END:
            beyond(trial)
        for step in ENDING:
            trial.do(step)
        for beyond in () if source_only else AFTER_THE_END:
            beyond(trial)
    finally:
        trial.remove()
    return trial.record()


def installed() -> list[str]:
    """The composes that this machine has."""
    found = []
    for words in COMPOSES:
        try:
            version_of(words)
        except ExperimentError:
            continue
        found.append(words)
    if not found:
        raise ExperimentError("there is neither docker-compose nor docker compose here: install one of them")
    return found


@app.command(epilog="Example: `python -m experiments.containers --out reports/latest/runs/containers.json`")
def main(
    *,
    out: Annotated[Path, typer.Option(help="Where the record goes (JSON).")],
    compose: Annotated[
        list[str] | None,
        typer.Option(help='Only this one: "docker-compose" or "docker compose". May be given again. Default: all.'),
    ] = None,
    source_only: Annotated[
        bool, typer.Option("--source-only", help="Only the source's commands: nothing is killed, no cluster is tried.")
    ] = False,
) -> None:
    """Try the commands of claim MET-1 with a running container engine. It takes some minutes: an image is built."""
    with clear_errors(PROGRAM):
        console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
        record: dict[str, Any] = {"claim": "MET-1", "holds": True, "engine": about(), "images": {}, "trials": []}
        record |= {"date": datetime.now(UTC).isoformat(timespec="seconds"), "environment": environment.describe()}
        with image_kept():
            for words in compose or installed():
                trial = try_out(words, console.print, source_only=source_only)
                record["trials"].append(trial)
                record["images"] = {name: image(name) for name in IMAGES}
                record["holds"] = record["holds"] and trial["holds"]
                write(record, out)  # after each: what is done is kept
                held = sum(row["holds"] for row in trial["steps"])
                console.print(f"{words} {trial['version']}: {held} of {len(trial['steps'])} steps hold")
        say_where(out)


def write(record: dict[str, Any], out: Path) -> None:
    """The record as JSON. Raises OSError."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


if __name__ == "__main__":
    app()
