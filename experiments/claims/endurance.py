"""SUS, BUR and CON: long loads, bursts, and how far one cluster goes."""

import numpy as np
import pandas as pd

from experiments.claims.reading import Runs
from experiments.claims.verdict import (
    FAILS,
    NOT_RUN,
    ONLY_IF,
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

FULL = "sustained"
LARGER = ("sustained-stable",)
SETTLED = 0.1
"""A queue shorter than this share of the slots is none: arrivals and ends jitter as much."""
LAST = 0.1
"""Of the time in which tasks arrive: the mean there is "the end", not one moment."""


def waiting(rows: pd.DataFrame) -> float:
    """Tasks that were due and had not started, on average over the last tenth of the arrivals."""
    due = np.sort(rows.loc[rows["final"], "intended"].to_numpy())
    started = np.sort(rows.groupby("index")["started"].min().dropna().to_numpy())
    times = np.linspace((1 - LAST) * due[-1], due[-1], 200)
    depth = np.searchsorted(due, times, side="right") - np.searchsorted(started, times, side="right")
    return float(depth.mean())


def _queue(runs: Runs, scenario: str, world: str) -> float | None:
    found = [waiting(rows) for rows in runs.traces(scenario, world)]
    return float(np.mean(found)) if found else None


def _slots(runs: Runs, scenario: str) -> int:
    return int(runs.setting(scenario, "topology.workers") or 0) * int(runs.setting(scenario, "topology.slots") or 0)


def _sustained(runs: Runs) -> Finding:
    """SUS-1: utilisation is 1.00, a knife edge; more slots show where it is stable."""
    queue, fine = _queue(runs, FULL, "real"), intact(runs, FULL)
    if queue is None or fine is None:
        return Finding(NOT_RUN)
    names = (FULL, *LARGER, "sustained-poll")
    measured, predicted = (join([_told(runs, name, world) for name in names]) for world in ("real", "sim"))
    if not fine:
        return Finding(FAILS, join([untold(runs, FULL), measured]), predicted)
    if queue <= SETTLED * _slots(runs, FULL):
        return judge(True, measured, predicted)  # noqa: FBT003
    stable = next((name for name in LARGER if _is_stable(runs, name)), None)
    more = f"; with {_slots(runs, stable)} slots hardly any" if stable else ""
    condition = (
        f"there are more slots than the load needs: at utilisation 1.00 the queue follows chance and {digits(queue)} "
        f"tasks wait at the end{more}"
    )
    return Finding(ONLY_IF, measured, predicted, condition)


def _is_stable(runs: Runs, scenario: str) -> bool:
    queue = _queue(runs, scenario, "real")
    return queue is not None and queue <= SETTLED * _slots(runs, scenario)


def _told(runs: Runs, scenario: str, world: str) -> str:
    queue = _queue(runs, scenario, world)
    if queue is None:
        return ""
    poll = ", poll" if runs.setting(scenario, "topology.dispatch") == "poll" else ""
    wait = runs.text(scenario, "latency_s.ready_wait.p99", "ms", world)
    return f"{_slots(runs, scenario)} slots{poll}: {digits(queue)} wait at the end, wait for an assignment p99 {wait}"


# --- bursts

BURSTS = ("burst-1s", "burst", "burst-short")


def _burst(runs: Runs) -> Finding:
    ended, texts, predicted = [], [], []
    for name in BURSTS:
        fine, span = intact(runs, name), runs.figure(name, "makespan_s")
        if fine is None or not isinstance(span, dict) or not span["n"]:
            continue
        ended.append(fine)
        at_once = f"{round((runs.value(name, 'submitted') or 0) / span['n']):,} at once{_length(runs, name)}"
        texts.append(f"{at_once}: {untold(runs, name) or 'all done'} in {runs.text(name, 'makespan_s', 's')}")
        model = runs.text(name, "makespan_s", "s", "sim")
        predicted.append(f"{at_once}: {model}" if model else "")
    return judge(all(ended), join(texts), join(predicted)) if ended else Finding(NOT_RUN)


def _length(runs: Runs, name: str) -> str:
    """` of 1 s (bound 333 s)`: the slots alone would need that long."""
    service_s, slots = runs.setting(name, "workload.service.value_s"), _slots(runs, name)
    if not service_s or not slots:
        return ""
    bound = digits(service_s * runs.setting(name, "workload.count") / slots)
    return f" of {service_s:g} s (bound {bound} s)"


# --- size

FLEETS = (10, 30, 100, 300, 1000)
CAPACITY = "fleet-schedulers-1"
MEDIUM = 100
"""Workers of a "medium" cluster."""


def _size(runs: Runs) -> Finding:
    """CON-1, by the model alone: no machine at hand is a cluster."""
    kept = {count: _keeps_up(runs, f"fleet-{count}") for count in FLEETS}
    known = {count: fine for count, fine in kept.items() if fine is not None}
    if MEDIUM not in known:
        return Finding(NOT_RUN)
    texts = []
    for count in known:
        name = f"fleet-{count}"
        rate = runs.text(name, STEADY, "/s", "sim")
        wait = runs.text(name, "latency_s.dispatch.p99", "ms", "sim")
        texts.append(f"{count} workers: {rate}, submit to start p99 {wait}")
    most = runs.text(CAPACITY, THROUGHPUT, "/s", "sim")
    texts.append(f"the most that one scheduler and one etcd give out {most}" if most else "")
    small = all(fine for count, fine in known.items() if count <= MEDIUM)
    beyond = [count for count, fine in known.items() if not fine]
    if small and not beyond and max(known) > MEDIUM:
        largest = max(known)
        condition = f'"medium" goes up to {largest:,} workers at least: in the model one scheduler and one etcd keep up'
        return judge(condition, "", join(texts))
    if small:
        return judge(True, "", join(texts))  # noqa: FBT003
    fewer = f"there are fewer than {min(beyond)} workers"
    return judge(fewer if min(beyond) > FLEETS[0] else False, "", join(texts))


def _keeps_up(runs: Runs, scenario: str) -> bool | None:
    """Whether tasks end as fast as they come."""
    rate = runs.value(scenario, STEADY, "sim")
    offered = runs.setting(scenario, "workload.arrivals.rate_per_s")
    return None if rate is None or offered is None else about(rate, offered)


RULES: dict[str, Rule] = {"SUS-1": _sustained, "BUR-1": _burst, "CON-1": _size}
