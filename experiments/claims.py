"""Verdicts: what the source claims, what was measured, what the model says, and whether the claim holds.

`claims.toml` holds the claims, the functions here one rule each. A rule reads the summaries (`<scenario>/metrics.json`)
in a folder of runs. "About" in the source is read as within 10 %. Where the source's own dispatch (polling)
and ours (watches) disagree, the verdict is "holds only if", with the condition.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from experiments import metrics
from experiments.phrases import MIN_FOR_INTERVAL, digits, join

CLAIMS = Path(__file__).with_name("claims.toml")
FILE = "claims.json"

ABOUT = 0.10
"""The source rounds to "about"; its figures are bounds that no real system reaches exactly."""
POLL_SLACK_S = 0.010
"""A tick is late by the time that the poll itself takes (list, transaction): a few ms."""
HOLDS, FAILS, ONLY_IF, NOT_RUN = "holds", "does not hold", "holds only if", "not run"

SLOTS_PER_WORKER = 10


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    section: str
    statement: str


class Verdict(msgspec.Struct, frozen=True):
    """One row of the claims table. `verdict`: holds, does not hold, holds only if (`condition` goes on) or not run."""

    id: str
    section: str
    claim: str
    measured: str
    predicted: str
    verdict: str
    condition: str
    evidence: list[str]
    """Run directories, relative to the folder of runs."""


@dataclass(slots=True)
class Runs:
    """The summaries in a folder; remembers which were used."""

    root: Path
    used: list[str] = field(default_factory=list)
    _summaries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def figure(self, scenario: str, key: str, world: str = "real") -> dict[str, Any] | int | None:
        """A figure or count by its dotted key; None where it was not measured."""
        if scenario not in self._summaries:
            path = self.root / scenario / "metrics.json"
            self._summaries[scenario] = metrics.read(path) if path.is_file() else {}
        node: Any = self._summaries[scenario].get(world)
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        if node is not None and scenario not in self.used:
            self.used.append(scenario)
        found: dict[str, Any] | int | None = node
        return found

    def value(self, scenario: str, key: str, world: str = "real") -> float | None:
        node = self.figure(scenario, key, world)
        return node["value"] if isinstance(node, dict) else node

    def text(self, scenario: str, key: str, unit: str, world: str = "real") -> str:
        """The figure for people: three digits, unit, n, an interval where n >= 3; "" where there is none.

        Unit "ms" converts from seconds. The interval of two values is wider than anything it could tell.
        """
        node = self.figure(scenario, key, world)
        if not isinstance(node, dict) or node["value"] is None:
            return ""
        scale = 1000.0 if unit == "ms" else 1.0
        shown = digits(node["value"] * scale) + (unit if unit.startswith("/") else f" {unit}")
        if node["n"] < MIN_FOR_INTERVAL or node["low"] is None:
            return f"{shown} (n = {node['n']})"
        low, high = (digits(node[bound] * scale) for bound in ("low", "high"))
        return f"{shown} ({low} to {high}, n = {node['n']})"


@dataclass(frozen=True, slots=True)
class Finding:
    verdict: str
    measured: str = ""
    predicted: str = ""
    condition: str = ""


Rule = Callable[[Runs], Finding]


def judge(holds: bool | str, measured: str, predicted: str) -> Finding:  # noqa: FBT001
    """Holds, does not hold, or, given a condition, holds only if."""
    if isinstance(holds, str):
        return Finding(ONLY_IF, measured, predicted, holds)
    return Finding(HOLDS if holds else FAILS, measured, predicted)


def evaluate(root: Path) -> list[Verdict]:
    """Every claim, in the order of claims.toml, judged by the runs under `root`."""
    verdicts = []
    for claim in load():
        runs = Runs(root)
        finding = RULES[claim.id](runs)
        evidence = runs.used if finding.verdict != NOT_RUN else []
        verdicts.append(
            Verdict(
                id=claim.id,
                section=claim.section,
                claim=claim.statement,
                measured=finding.measured,
                predicted=finding.predicted,
                verdict=finding.verdict,
                condition=finding.condition,
                evidence=evidence,
            )
        )
    return verdicts


def load() -> list[Claim]:
    return msgspec.toml.decode(CLAIMS.read_bytes(), type=dict[str, list[Claim]])["claim"]


def write(root: Path) -> Path:
    """Judge the runs under `root` and write `claims.json` there."""
    path = root / FILE
    path.write_bytes(msgspec.json.format(msgspec.json.encode(evaluate(root)), indent=2) + b"\n")
    return path


# --- rules -------------------------------------------------------------------------------------------------------

STEADY = "steady_throughput_per_s"
POLLED = "scaling-poll-100-rate"
WATCHED = {1: "scaling-1", 3: "scaling-3", 5: "scaling-5", 10: "scaling-10"}
PER_SECOND = "/s"


def _about(value: float | None, expected: float) -> bool:
    return value is not None and abs(value - expected) <= ABOUT * expected


def _both_modes(runs: Runs, workers: Sequence[int]) -> bool | str:
    """Whether it is "about 10 tasks/s for each worker of 10 slots", by watch and, where it was run, by polling."""
    watch = all(_about(runs.value(WATCHED[count], STEADY), SLOTS_PER_WORKER * count) for count in workers)
    polled = runs.value(POLLED, STEADY)
    poll = polled is None or _about(polled, SLOTS_PER_WORKER * 3)
    if watch and not poll:
        return (
            "dispatch is by watch, or tasks end just before a pull: with one every 0.5 s, a task of 1 s misses it and "
            "holds its slot for 1.5 s"
        )
    return watch


def _throughputs(runs: Runs, workers: Sequence[int], world: str) -> str:
    """By watch for each number of workers, and what polling makes of the same tasks."""
    found = [runs.text(WATCHED[count], STEADY, PER_SECOND, world) for count in workers]
    if len(found) == 1:
        watch = found[0]
    else:
        values = [runs.value(WATCHED[count], STEADY, world) for count in workers]
        counts = [_n(runs.figure(WATCHED[count], STEADY, world)) for count in workers]
        shown = [digits(value) for value in values if value is not None]
        n = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} or {max(counts)}"
        watch = f"{' / '.join(shown)}/s (n = {n})" if shown else ""
    polled = runs.text(POLLED, STEADY, PER_SECOND, world)
    where = "" if list(workers) == [3] else ", 3 workers"
    return join([f"watch {watch}" if watch else "", f"poll, fixed rate{where} {polled}" if polled else ""])


def _n(figure: dict[str, Any] | int | None) -> int:
    return int(figure["n"]) if isinstance(figure, dict) else 0


def _scaling(workers: Sequence[int], extra: Callable[[Runs, str], str]) -> Rule:
    def rule(runs: Runs) -> Finding:
        if any(runs.value(WATCHED[count], STEADY) is None for count in workers):
            return Finding(NOT_RUN)
        measured, predicted = (
            join([_throughputs(runs, workers, world), extra(runs, world)]) for world in ("real", "sim")
        )
        return judge(_both_modes(runs, workers), measured, predicted)

    return rule


def _task_latency(runs: Runs, world: str) -> str:
    text = runs.text("latency-poll", "latency_s.overhead.mean", "ms", world)
    return f"latency beyond execution, poll, mean {text}" if text else ""


def _assignment_latency(runs: Runs, world: str) -> str:
    text = runs.text("latency-poll", "latency_s.ready_wait.mean", "ms", world)
    return f"wait for an assignment, poll, mean {text}" if text else ""


def _call(stage: str) -> Rule:
    """Judge "1 to 5 ms" for one call: faster than 1 ms is no objection."""

    def rule(runs: Runs) -> Finding:
        p50, p95 = (runs.value("latency-watch", f"latency_s.{stage}.{q}") for q in ("p50", "p95"))
        if p50 is None or p95 is None:
            return Finding(NOT_RUN)
        typical = "the typical task is meant: more than 5 % take longer than 5 ms" if p50 <= 0.005 else False
        return judge(p95 <= 0.005 or typical, *_quantiles(runs, "latency-watch", stage))

    return rule


def _quantiles(runs: Runs, scenario: str, stage: str) -> tuple[str, str]:
    def of(world: str) -> str:
        parts = [(q, runs.text(scenario, f"latency_s.{stage}.{q}", "ms", world)) for q in ("p50", "p95")]
        return join([f"{q} {text}" if text else "" for q, text in parts])

    return of("real"), of("sim")


def _poll_wait(stage: str, interval_s: float) -> Rule:
    def rule(runs: Runs) -> Finding:
        p95 = runs.value("latency-poll", f"latency_s.{stage}.p95")
        if p95 is None:
            return Finding(NOT_RUN)
        return judge(p95 <= interval_s + POLL_SLACK_S, *_quantiles(runs, "latency-poll", stage))

    return rule


def _overhead(runs: Runs) -> Finding:
    key = "latency_s.overhead.mean"
    poll, watch = runs.value("latency-poll", key), runs.value("latency-watch", key)
    if poll is None:
        return Finding(NOT_RUN)
    texts = []
    for world in ("real", "sim"):
        pairs = [(mode, runs.text(f"latency-{mode}", key, "ms", world)) for mode in ("poll", "watch")]
        texts.append(join([f"{mode}, mean {text}" if text else "" for mode, text in pairs]))
    if not 0.1 <= poll <= 1.0:
        return judge(False, *texts)  # noqa: FBT003
    faster = watch is not None and watch < 0.1
    return judge("tasks wait for polls; by watch it is under 0.1 s" if faster else True, *texts)


BURSTS = ("burst", "burst-short")


def _burst(runs: Runs) -> Finding:
    ended, texts, predicted = [], [], []
    for name in BURSTS:
        submitted, completed, lost = (runs.value(name, key) for key in ("submitted", "completed", "lost"))
        span = runs.figure(name, "makespan_s")
        if submitted is None or completed is None or not isinstance(span, dict) or not span["n"]:
            continue
        ended.append(completed == submitted and lost == 0)
        at_once = f"{round(submitted / span['n']):,} at once"
        bad = "" if ended[-1] else f"{submitted - completed:,.0f} not completed, {lost:,.0f} lost"
        texts.append(f"{at_once}: {bad or 'all done'} in {runs.text(name, 'makespan_s', 's')}")
        model = runs.text(name, "makespan_s", "s", "sim")
        predicted.append(f"{at_once}: {model}" if model else "")
    return judge(all(ended), join(texts), join(predicted)) if ended else Finding(NOT_RUN)


RULES: dict[str, Rule] = {
    "THR-1": _scaling([1], _task_latency),
    "THR-2": _scaling([3], _assignment_latency),
    "SCA-1": _scaling([1, 3, 5, 10], lambda _runs, _world: ""),
    "LAT-1": _call("enqueue"),
    "LAT-2": _poll_wait("ready_wait", 0.1),
    "LAT-3": _call("assign"),
    "LAT-4": _poll_wait("pull", 0.5),
    "LAT-5": _overhead,
    "BUR-1": _burst,
}
