"""The queue and serialisation benchmarks of a report: run by pytest-benchmark, kept as it writes them.

    ROOT/benchmarks.json    {"machine_info", "commit_info", "benchmarks": [{"name", "extra_info", "stats", ...}], ...}

`stats` times the calls that were made; what a report quotes stands in `extra_info`. In each:

    claims          the ids of the claims that it bears on
    n               samples behind `p50_s` and `p99_s` (of the codec: calls behind `rate_per_s`)
    p50_s, p99_s    seconds; with a prefix, of something that was timed beside it
    rate_per_s      at the median

test_one_operation (QUE-1)
    From submit to start, one task at a time on an idle system. `enqueue_p50_s`, `enqueue_p99_s`: the acknowledged
    submit alone. `put_p50_s`, `put_p99_s`: a bare etcd put, in turn with it.
test_batch_of_100_operations (QUE-1)
    `tasks` by one call; the seconds are those of one of them: from the call to the last start, over their number.
    `enqueue_batch_p50_s`, `enqueue_batch_p99_s`: the whole call. `put_rate_per_s`: bare puts in batches.
test_100_threads_of_10_submits_that_wait (QUE-2; QUE-1: concurrent)
    Until all `tasks` of all `threads` are acknowledged. `operations_p50_s`, `operations_p99_s`, `operations_per_s`:
    until the last of them has started. `put_rate_per_s`: bare puts, one after the other.
test_100_waiting_tasks_taken_by_10_slots (QUE-3)
    Until the last of `tasks` has started in one of `slots`. `executed_twice`, `never_executed`: tasks, of all rounds.
test_codec[encode], test_codec[decode] (SER-1)
    A task with its specification, of so many `bytes`. `p50_s`, `p99_s`: single calls, with the clock's 50 ns.
"""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.console import clear_errors
from experiments.world import ExperimentError, Tell

FILE = "benchmarks.json"
ROOT = Path(__file__).parents[1]
MODULES = ("test_queue.py", "test_codec.py")
TIMEOUT_S = 240.0
"""They take 25 s on two quiet cores."""
END_TIMEOUT_S = 20.0
"""After an interrupt the benchmarks' etcd and processes are ended, which takes a second or two."""
LAST_LINES = 5


class Benchmark(msgspec.Struct, frozen=True):
    """What is used of an entry of the file."""

    name: str
    extra_info: dict[str, Any] = {}


class _File(msgspec.Struct, frozen=True):
    benchmarks: list[Benchmark]


def run(root: Path, tell: Tell = lambda _: None) -> Path:
    """Run the benchmarks in a process of its own, on an etcd of their own, and write ROOT/benchmarks.json.

    An older file is replaced when all of them have passed, and kept otherwise. Raises ExperimentError, OSError.
    """
    modules = _modules()
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".benchmarks-") as folder:
        written = Path(folder) / FILE
        command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--benchmark-only"]
        _follow([*command, "--benchmark-quiet", f"--benchmark-json={written.absolute()}", *map(str, modules)], tell)
        try:
            read(written)
        except ValueError as error:
            raise ExperimentError(f"the benchmarks left no results: {error}") from error
        return written.replace(root / FILE)


def read(path: Path) -> dict[str, dict[str, Any]]:
    """`extra_info` of each benchmark by its name. Raises ValueError, naming the file, where it is none of these."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_File)
    except (OSError, msgspec.DecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    return {one.name: one.extra_info for one in found.benchmarks}


def _modules() -> list[Path]:
    """Raises ExperimentError where they are not to be had."""
    modules = [ROOT / "tests" / "bench" / name for name in MODULES]
    if not all(module.is_file() for module in modules):
        raise ExperimentError(
            "the queue and serialisation benchmarks are in tests/bench of the source tree, which is not here: "
            "run this from a checkout"
        )
    if importlib.util.find_spec("pytest_benchmark") is None:
        raise ExperimentError("the queue and serialisation benchmarks need pytest-benchmark: install the extra 'dev'")
    return modules


def _follow(command: list[str], tell: Tell) -> None:
    """Run pytest, and say how far it is.

    Raises ExperimentError, with its last lines, where it fails.
    """
    tell("queue and serialisation: starting")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}  # another run's
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # an interrupt is passed on once, below
    )
    late = threading.Event()

    def interrupt() -> None:
        late.set()
        child.send_signal(signal.SIGINT)

    alarm = threading.Timer(TIMEOUT_S, interrupt)
    alarm.start()
    last: deque[str] = deque(maxlen=LAST_LINES)
    passed = 0
    try:
        assert child.stdout is not None
        for line in child.stdout:
            if " PASSED" in line:
                passed += 1
                tell(f"queue and serialisation: {passed} done")
            if line.strip():
                last.append(line.strip())
        child.wait(END_TIMEOUT_S)
    finally:
        alarm.cancel()
        _end(child)
    if late.is_set():
        raise ExperimentError(f"the benchmarks did not end within {TIMEOUT_S:.0f} s")
    if child.returncode:
        raise ExperimentError(f"the benchmarks failed (status {child.returncode}): {' | '.join(last)}")


def _end(child: subprocess.Popen[str]) -> None:
    """Let it end what it has started, if it still runs."""
    if child.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.send_signal(signal.SIGINT)
            child.wait(END_TIMEOUT_S)
    if child.poll() is None:
        child.kill()  # what it has started notices, and ends
        child.wait()
    assert child.stdout is not None
    child.stdout.close()


# --- for people --------------------------------------------------------------------------------------------------

app = typer.Typer(pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})
OutOption = Annotated[Path, typer.Option(help="Folder of runs: the file benchmarks.json goes into it.")]


@app.command(epilog="Example: `python -m experiments.benchmarks --out runs`")
def main(*, out: OutOption = Path("reports/latest/runs")) -> None:
    """Run the queue and serialisation benchmarks, half a minute, and write benchmarks.json."""
    with clear_errors("benchmarks"):
        console = Console(stderr=True)
        with console.status("starting") as status:
            path = run(out, status.update)
        Console().print(_table(read(path)))
        print(f"written to {path}")


def _table(found: dict[str, dict[str, Any]]) -> Table:
    table = Table("benchmark", "claims")
    for column in ("n", "p50, ms", "p99, ms", "rate/s"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, info in found.items():
        times = (f"{info[key] * 1e3:,.3g}" for key in ("p50_s", "p99_s"))
        title = escape(name.removeprefix("test_").replace("_", " "))
        table.add_row(title, ", ".join(info["claims"]), f"{info['n']:,}", *times, f"{info['rate_per_s']:,.0f}")
    return table


if __name__ == "__main__":
    app()
