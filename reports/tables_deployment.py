"""The two deployments of the source beside each other: processes on this machine, and containers."""

from collections.abc import Iterator
from typing import Any

from reports.columns import throughput_of
from reports.language import gettext
from reports.markdown import Md, code, table
from reports.numbers import MISSING, integer, number, value_of
from reports.provenance import Known, Source, sourced
from reports.runs import Runs, Scenario

FILE = "containers.json"
"""What `python -m experiments.containers` recorded."""
KEYS = ("submitted", "lost", "throughput_per_s", "enqueue_p50_s")


def runs_in_containers(runs: Runs) -> list[tuple[str, str, dict[str, Known]]]:
    """The scenarios that were submitted to containers: what composed them, the scenario's name, its figures."""
    return list(_found(runs))


def _found(runs: Runs) -> Iterator[tuple[str, str, dict[str, Known]]]:
    for trial in runs.containers.get("trials", ()):
        for step in trial.get("steps", ()):
            figures: dict[str, Any] = step.get("figures") or {}
            name = _scenario(str(step.get("command", "")))
            if name and all(key in figures for key in KEYS):
                composed = f"{trial.get('compose')} {trial.get('version')}"
                keys = {key: f"{composed}.{name}.{key}" for key in KEYS}
                yield composed, name, {key: runs.known(figures[key], FILE, keys[key]) for key in KEYS}


def _scenario(command: str) -> str:
    """`scaling-3` of `tandem-bench run scaling-3 --deployed ...`."""
    words = command.split()
    return words[2] if words[:2] == ["tandem-bench", "run"] and len(words) > 2 else ""


def tried_on(runs: Runs) -> str:
    """The day of the trial."""
    return sourced(str(runs.containers.get("date", MISSING))[:10], Source(FILE, "date"))


def deployments(runs: Runs, caption: str) -> Md:
    """A scenario in each deployment: throughput, the time of a submit. What a whole task takes depends on the form."""
    found = runs_in_containers(runs)
    names = dict.fromkeys(name for _, name, _ in found)
    rows = [_here(runs.scenarios[name]) for name in names if name in runs.scenarios]
    for composed, name, known in found:
        how = gettext("containers, {compose}", compose=sourced(composed, Source(FILE, f"{composed}.version")))
        rows.append([
            code(name), how, integer(known["submitted"]), integer(known["lost"]), number(known["throughput_per_s"]),
            number(known["enqueue_p50_s"] * 1000),
        ])  # fmt: skip
    header = [
        gettext("scenario"), gettext("deployment"), gettext("tasks"), gettext("lost"), gettext("tasks/s"),
        gettext("enqueue p50 (ms)"),
    ]  # fmt: skip
    return table("deployments", caption, header, rows, "llrrrr")


def _here(one: Scenario) -> list[Any]:
    enqueue = one.get("real", "latency_s.enqueue.p50")
    enqueue_s = None if enqueue is None else enqueue.value
    submitted, lost = one.count("real", "submitted"), one.count("real", "lost")
    return [
        code(one.name), gettext("processes, this machine"), integer(submitted), integer(lost),
        value_of(throughput_of(one, "real")), MISSING if enqueue_s is None else number(enqueue_s * 1000.0),
    ]  # fmt: skip
