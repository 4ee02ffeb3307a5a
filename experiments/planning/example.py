"""The question that every report puts to the planner: 100 tasks a second of 0.1 s on average, 99 % done in 0.6 s."""

import shutil
import tempfile
import zlib
from pathlib import Path

from experiments.planning import answer, syntax, targets
from experiments.planning.evaluate import Told
from experiments.planning.question import Question
from experiments.sources import digest
from experiments.sweep import values_of
from sim.parameters import REFERENCE

ARRIVALS, SERVICE, TARGET = "poisson:100/s", "lognormal:0.1s:cv=1", "p99<0.6"
QUICK_TASKS = 1_000
SOURCES = ("core", "sim", "experiments/planning")
KEY = f"{answer.PLAN}.key"


def question(*, quick: bool) -> Question:
    return Question(
        arrivals=syntax.arrivals(ARRIVALS),
        service=syntax.service(SERVICE),
        targets=targets.parse(TARGET),
        tasks=QUICK_TASKS if quick else None,
    )


def write(root: Path, *, quick: bool, profile: Path | None, tell: Told = lambda _done, _what: None) -> None:
    """ROOT/plan.json, unless it is there and nothing that it depends on has changed.

    Raises ExperimentError, ScenarioError, OSError.
    """
    key = f"{digest(SOURCES)}-{quick}-{zlib.crc32((profile or REFERENCE).read_bytes())}"
    stamp = root / KEY
    if (root / answer.PLAN).is_file() and stamp.is_file() and stamp.read_text() == key:
        return
    values = values_of(profile)
    with tempfile.TemporaryDirectory(prefix="tandem-plan-") as folder:
        answer.plan(question(quick=quick), values, Path(folder), tell=tell)
        shutil.copyfile(Path(folder) / answer.PLAN, root / answer.PLAN)
    stamp.write_text(key)
