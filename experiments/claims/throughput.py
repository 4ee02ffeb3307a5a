"""THR and SCA: what slots, workers and schedulers bring."""

from collections.abc import Callable, Sequence
from typing import Any

from experiments.claims.reading import Runs
from experiments.claims.verdict import (
    NOT_RUN,
    PER_SECOND,
    STEADY,
    THROUGHPUT,
    Finding,
    Rule,
    about,
    intact,
    judge,
    untold,
)
from experiments.phrases import digits, join

SLOTS_PER_WORKER = 10
POLLED = "scaling-poll-100-rate"
WATCHED = {1: "scaling-1", 3: "scaling-3", 5: "scaling-5", 10: "scaling-10"}
KNEE = {1: "knee-1", 2: "knee-2", 3: "knee-3", 5: "knee-5", 10: "knee-10"}
LINEAR = 0.8
"""Share of one worker's throughput that each of many must bring for "linear" to be said of short tasks."""


def _both_modes(runs: Runs, workers: Sequence[int]) -> bool | str:
    """Whether it is "about 10 tasks/s for each worker of 10 slots", by watch and, where it was run, by polling."""
    watch = all(about(runs.value(WATCHED[count], STEADY), SLOTS_PER_WORKER * count) for count in workers)
    polled = runs.value(POLLED, STEADY)
    poll = polled is None or about(polled, SLOTS_PER_WORKER * 3)
    if watch and not poll:
        return (
            "dispatch is by watch, or tasks end just before a pull: with one every 0.5 s, a task of 1 s misses it and "
            "holds its slot for 1.5 s"
        )
    return watch


def _throughputs(runs: Runs, workers: Sequence[int], world: str) -> str:
    """By watch for each number of workers, and what polling makes of the same tasks."""
    watch = _series(runs, [WATCHED[count] for count in workers], STEADY, world)
    polled = runs.text(POLLED, STEADY, PER_SECOND, world)
    where = "" if list(workers) == [3] else ", 3 workers"
    return join([f"watch {watch}" if watch else "", f"poll, fixed rate{where} {polled}" if polled else ""])


def _series(runs: Runs, names: Sequence[str], key: str, world: str) -> str:
    """`9.9 / 29.7 / 49.5/s (n = 3)`: one figure of several scenarios; one alone with its interval."""
    if len(names) == 1:
        return runs.text(names[0], key, PER_SECOND, world)
    figures = [runs.figure(name, key, world) for name in names]
    known = [one for one in figures if isinstance(one, dict) and one["value"] is not None]
    if not known:
        return ""
    counts = sorted({_n(one) for one in known})
    n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} or {counts[-1]}"
    return f"{' / '.join(digits(one['value']) for one in known)}/s (n = {n})"


def _n(figure: dict[str, Any]) -> int:
    return int(figure["n"])


def _scaling(workers: Sequence[int], extra: Callable[[Runs, str], str]) -> Rule:
    def rule(runs: Runs) -> Finding:
        if any(runs.value(WATCHED[count], STEADY) is None for count in workers):
            return Finding(NOT_RUN)
        measured, predicted = (
            join([_throughputs(runs, workers, world), extra(runs, world)]) for world in ("real", "sim")
        )
        return judge(_both_modes(runs, workers), measured, predicted)

    return rule


def _linear(runs: Runs) -> Finding:
    """SCA-1: with 1 s tasks only the slots are seen; 10 ms tasks say where "linear" ends."""
    finding = _scaling(list(WATCHED), _knee)(runs)
    one, many = (runs.value(KNEE[count], STEADY) for count in (1, 10))
    if finding.verdict == NOT_RUN or one is None or many is None:
        return finding
    share = many / (10 * one)
    if share >= LINEAR or finding.verdict == "does not hold":
        return finding
    short = f"tasks are long: with tasks of 10 ms, ten workers bring {digits(10 * share)} times what one does"
    condition = f"{finding.condition}; and {short}" if finding.condition else short
    return judge(condition, finding.measured, finding.predicted)


def _knee(runs: Runs, world: str) -> str:
    have = {count: name for count, name in KNEE.items() if runs.value(name, STEADY, world) is not None}
    text = _series(runs, list(have.values()), STEADY, world)
    return f"tasks of 10 ms on {'/'.join(map(str, have))} workers {text}" if len(have) > 1 else ""


def _task_latency(runs: Runs, world: str) -> str:
    text = runs.text("latency-poll", "latency_s.overhead.mean", "ms", world)
    return f"latency beyond execution, poll, mean {text}" if text else ""


def _assignment_latency(runs: Runs, world: str) -> str:
    text = runs.text("latency-poll", "latency_s.ready_wait.mean", "ms", world)
    return f"wait for an assignment, poll, mean {text}" if text else ""


# --- schedulers

SCHEDULERS = ("schedulers-1", "schedulers-2", "schedulers-3")
KILLED = "schedulers-3-kill"
FLEETS = ("fleet-schedulers-1", "fleet-schedulers-2", "fleet-schedulers-4")


def _schedulers(runs: Runs) -> Finding:
    """SCA-2: it works with each number, and no task is given out twice, also when one is killed."""
    fine = {name: _assigned_once(runs, name) for name in (*SCHEDULERS, KILLED)}
    if any(fine[name] is None for name in SCHEDULERS):
        return Finding(NOT_RUN)
    texts = [f"1/2/3 schedulers {_series(runs, SCHEDULERS, THROUGHPUT, 'real')}"]
    tasks = sum(int(runs.value(name, "completed") or 0) for name, known in fine.items() if known is not None)
    again = sum(int(runs.value(name, "executed_twice") or 0) for name in fine)
    texts.append(f"{again:,} of {tasks:,} tasks run twice")
    if fine[KILLED] is not None:
        longest = runs.text(KILLED, "latency_s.dispatch.p99", "ms")
        texts.append(f"one of three killed: {untold(runs, KILLED) or 'all done'}, submit to start p99 {longest}")
    known = _series(runs, SCHEDULERS, THROUGHPUT, "sim")
    predicted = [f"1/2/3 schedulers {known}" if known else ""]
    far = _series(runs, FLEETS, THROUGHPUT, "sim")
    predicted.append(f"100 workers, 256 cores, 1/2/4 schedulers {far}" if far else "")
    return judge(all(one is not False for one in fine.values()), join(texts), join(predicted))


def _assigned_once(runs: Runs, scenario: str) -> bool | None:
    fine = intact(runs, scenario)
    return fine if fine is None else fine and runs.value(scenario, "executed_twice") == 0


RULES: dict[str, Rule] = {
    "THR-1": _scaling([1], _task_latency),
    "THR-2": _scaling([3], _assignment_latency),
    "SCA-1": _linear,
    "SCA-2": _schedulers,
}
