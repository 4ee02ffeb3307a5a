"""MET: the commands that the source gives, as they were tried (`containers.json`, `experiments.containers`)."""

from typing import Any

from experiments.claims.benchmarks import FILE as BENCHMARKS
from experiments.claims.reading import Runs
from experiments.claims.verdict import FAILS, NOT_RUN, Finding, Rule, intact, judge
from experiments.phrases import join

FILE = "containers.json"
END_TO_END = "9.4"
"""The source's section: a few tasks through all of it, and the logs."""
BEYOND = "beyond"
LOADS, WHOLE = ("sustained", "burst"), "scaling-1"


def _trials(runs: Runs) -> list[dict[str, Any]]:
    """What each compose did; empty where it was not tried."""
    trials: list[dict[str, Any]] = runs.json(runs.root / FILE).get("trials", [])
    if trials:
        runs.use(FILE)
    return trials


def _own(trial: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps that the source has; what was tried beyond them (faults, say) is no part of its claim."""
    return [step for step in trial["steps"] if step["section"] != BEYOND]


def _commands(runs: Runs) -> Finding:
    trials = _trials(runs)
    if not trials:
        return Finding(NOT_RUN)
    tried: dict[str, list[str]] = {}  # those that fared alike are named together
    for trial in trials:
        held = sum(bool(step["holds"]) for step in _own(trial))
        tried.setdefault(f"{held} of {len(_own(trial))}", []).append(f"{trial['compose']} {trial['version']}")
    texts = [f"{', '.join(names)}: {fared} steps did what they should" for fared, names in tried.items()]
    texts.append(f"tried on {str(runs.json(runs.root / FILE).get('date', 'an unknown date'))[:10]}")
    broken = [step for trial in trials for step in _own(trial) if not step["holds"]]
    if broken:
        return Finding(FAILS, join([*texts, f"{broken[0]['command']}: {broken[0]['problem']}"]))
    return judge(True, join(texts), "")  # noqa: FBT003


def _one_command_each(runs: Runs) -> Finding:
    """MET-2: benchmarks, load and end to end were each run by one command, and passed."""
    benchmarks = runs.json(runs.root / BENCHMARKS).get("benchmarks", [])
    loads = [name for name in LOADS if intact(runs, name) is not None]
    if not benchmarks or not loads:
        return Finding(NOT_RUN)
    runs.use(BENCHMARKS)
    steps = [step for trial in _trials(runs) for step in trial["steps"] if step["section"] == END_TO_END]
    whole = all(step["holds"] for step in steps) if steps else intact(runs, WHOLE)
    if whole is None:
        return Finding(NOT_RUN)
    fine = whole and all(intact(runs, name) for name in loads)
    how = "in containers" if steps else f"tandem-bench run {WHOLE}"
    measured = join([
        f"make report ran {len(benchmarks)} benchmarks and the load tests {' and '.join(loads)}",
        f"end to end, {how}: {'all done' if whole else 'not all done'}",
    ])  # fmt: skip
    return judge(bool(fine), measured, "")


RULES: dict[str, Rule] = {"MET-1": _commands, "MET-2": _one_command_each}
