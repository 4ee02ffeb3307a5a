"""Renew the benchmarks' baseline: run the suite a few times and write what its ratios were, with the reason.

    python -m tests.bench.record --reason "..." [--runs 3] [--only ratio ...]

The long backlog takes minutes and is run the first time only.
"""

import argparse
import datetime as dt
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from experiments import baseline, environment
from experiments.baseline import Baseline
from tests.bench.figures import BASELINE, RATIOS

RUN_TIMEOUT_S = 1800.0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench-record", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--reason", default="", help="why the ratios are right as they are now")
    parser.add_argument("--runs", type=int, default=3, help="runs of the suite (3)")
    parser.add_argument("--only", nargs="*", default=(), metavar="RATIO", help="renew these, keep the others")
    options = parser.parse_args()
    try:
        record(options.reason, options.runs, options.only)
    except ValueError as error:
        print(f"bench-record: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"bench-record: {error.filename or BASELINE}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


def record(reason: str, runs: int, only: list[str]) -> None:
    """Raises ValueError with a sentence for the user, OSError."""
    old = baseline.read(BASELINE) if BASELINE.exists() else Baseline()
    dry = [dict.fromkeys(RATIOS, 1.0)]
    today = dt.datetime.now(dt.UTC).date()
    baseline.renew(old, RATIOS, dry, reason=reason, today=today, machine={}, only=only)  # mistakes now, not in an hour
    if runs < 1:
        raise ValueError(f"--runs must be at least 1, not {runs}")
    with tempfile.TemporaryDirectory() as folder:
        measured = [_run(Path(folder) / f"{number}.json", backlog=number == 0) for number in range(runs)]
    about = environment.describe()
    machine: dict[str, str | int] = {name: about[name] for name in ("cpu_model", "cores", "python")}
    machine["commit"] = f"{about['commit'] or 'unknown'}{' and changes' if about['dirty'] else ''}"
    new = baseline.renew(old, RATIOS, measured, reason=reason, today=today, machine=machine, only=only)
    baseline.write(new, BASELINE)
    print(f"{BASELINE.name}: recorded {len(new.ratios)} ratios from {runs} runs; commit it with its reason")


def _run(path: Path, *, backlog: bool) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--benchmark-only",
        "--benchmark-quiet",
        "--timeout=900",
        "--ratios-to",
        str(path),
    ]
    command += [] if backlog else ["--backlog=0"]
    try:
        status = subprocess.run([*command, str(BASELINE.parent)], check=False, timeout=RUN_TIMEOUT_S).returncode
    except subprocess.TimeoutExpired:
        raise ValueError(f"the benchmarks did not end within {RUN_TIMEOUT_S:.0f} s: nothing was recorded") from None
    if status:
        raise ValueError(f"the benchmarks failed (status {status}): nothing was recorded")
    return msgspec.json.decode(path.read_bytes(), type=dict[str, float])


if __name__ == "__main__":
    sys.exit(main())
