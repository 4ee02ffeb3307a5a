"""Which scenarios a section is about: chosen by the claims they bear on and by what they vary, never by their names."""

import json
from collections.abc import Sequence
from typing import Any

from reports.runs import Runs, Scenario

SHORT_S = 0.5
"""Tasks that last less find the knee of the system; longer ones only fill its slots."""
CLEARLY = 0.9
"""Less than this share of something is clearly less."""
LATENCY_CLAIMS = ("LAT-1", "LAT-2", "LAT-3", "LAT-4", "LAT-5")
ABLATION_CLAIMS = ("OPT-1", "OPT-2", "OPT-3")
TAKING = ("worker_kill", "host_kill", "worker_stop", "partition")
"""Faults that take the tasks from a worker."""


def bearing(runs: Runs, *claims: str) -> list[Scenario]:
    """The scenarios that bear on any of these claims."""
    return [one for one in runs.everything() if set(claims) & set(one.claims)]


def _usual(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Without faults, changed settings, a slower disk or a changed model."""
    return [one for one in scenarios if not (one.faults or one.changes or one.flush_delay_s or one.model)]


def _commonest(values: Sequence[Any]) -> Any:
    return max(values, key=lambda value: (values.count(value), -value), default=None)


def _filling(runs: Runs) -> list[Scenario]:
    """Bursts of tasks long enough to fill slots."""
    found = _usual(bearing(runs, "THR-1", "THR-2", "SCA-1"))
    return [one for one in found if one.arrivals == "burst" and (one.service_s or 0.0) >= SHORT_S]


def scaling(runs: Runs) -> list[Scenario]:
    """Those that differ in workers and dispatch only: the commonest service time, no odd ticker."""
    found = _filling(runs)
    service = _commonest([one.service_s for one in found if one.dispatch == "watch"] or [1.0])
    return [one for one in found if one.service_s == service and (one.dispatch == "watch" or one.ticker == "rate")]


def polling(runs: Runs) -> list[Scenario]:
    """Those that differ in service time and ticker: the commonest number of workers."""
    found = [one for one in _filling(runs) if one.dispatch == "poll"]
    workers = _commonest([one.workers for one in found])
    return [one for one in found if one.workers == workers]


def throughput(runs: Runs) -> list[Scenario]:
    """The source's two set-ups, watch dispatch first."""
    return sorted(_usual(bearing(runs, "THR-1", "THR-2")), key=lambda one: (one.dispatch != "watch", one.workers))


def knee(runs: Runs) -> list[Scenario]:
    """Short tasks on more and more workers."""
    found = [one for one in _usual(bearing(runs, "SCA-1")) if one.service_s and one.service_s < SHORT_S]
    return sorted((one for one in found if one.dispatch == "watch"), key=lambda one: one.workers)


def schedulers(runs: Runs) -> list[Scenario]:
    """One, two and more schedulers on this machine."""
    return sorted((one for one in bearing(runs, "SCA-2") if not one.model), key=lambda one: one.schedulers)


def slower_with_schedulers(runs: Runs) -> bool:
    """Whether the most schedulers do clearly less than one, in the real system."""
    rates = [found for one in _usual(schedulers(runs)) if (found := one.get("real", "throughput_per_s")) is not None]
    first, last = (rates[0].value, rates[-1].value) if len(rates) > 1 else (None, None)
    return first is not None and last is not None and last < CLEARLY * first


def fleets(runs: Runs) -> list[Scenario]:
    """Sizes past this machine, in the model only."""
    return sorted((one for one in bearing(runs, "CON-1") if one.model), key=lambda one: (one.workers, one.schedulers))


def latency(runs: Runs) -> list[Scenario]:
    """The latency scenarios, watch dispatch first."""
    return sorted(_usual(bearing(runs, *LATENCY_CLAIMS)), key=lambda one: one.dispatch != "watch")


def failures(runs: Runs) -> list[Scenario]:
    """Those in which something breaks."""
    return [one for one in runs.everything() if one.faults]


def recoveries(runs: Runs) -> list[Scenario]:
    """Those in which a worker is taken away."""
    return [one for one in failures(runs) if any(fault.get("kind") in TAKING for fault in one.faults)]


def memory(runs: Runs) -> list[Scenario]:
    """Backlogs of different length, the shortest first."""
    found = [one for one in _usual(bearing(runs, "RES-1")) if one.count_of_tasks]
    return sorted(found, key=lambda one: one.count_of_tasks or 0)


def measured(runs: Runs) -> list[Scenario]:
    """Those whose real processes were sampled."""
    return [one for one in runs.everything() if one.get("real", "cpu_s_per_1000") is not None]


def telling(runs: Runs) -> list[Scenario]:
    """Typical ones whose etcd told what it did."""
    return [one for one in typical(runs) if one.get("real", "etcd.proposals_per_task") is not None]


def typical(runs: Runs) -> list[Scenario]:
    """One or two of each kind that ran for real: what is told of resources is told of these."""
    filling = {mode: [one for one in scaling(runs) if one.dispatch == mode] for mode in ("watch", "poll")}
    groups = (
        *(sorted(found, key=lambda one: one.workers)[-1:] for found in filling.values()),
        knee(runs)[-1:],
        latency(runs),
        sustained(runs)[:1],
        burst(runs),
        [one for one in members(runs) if one.members > 1 and not one.faults][:1],
        _usual(bearing(runs, "RES-2")),
    )
    found = {one.name: one for group in groups for one in group if one.has("real")}
    return list(found.values())


def ablations(runs: Runs) -> tuple[Scenario | None, list[Scenario]]:
    """What everything is compared with, and the scenarios that each leave one optimisation out."""
    found = bearing(runs, *ABLATION_CLAIMS)
    whole = next((one for one in found if not one.changes), None)
    return whole, [one for one in found if one.changes]


def sustained(runs: Runs) -> list[Scenario]:
    return sorted(bearing(runs, "SUS-1"), key=lambda one: (one.dispatch != "watch", one.workers))


def burst(runs: Runs) -> list[Scenario]:
    return bearing(runs, "BUR-1")


def tuning(runs: Runs) -> list[Scenario]:
    """The sweep of the settings, and the scenario that it starts from."""
    found = [one for one in bearing(runs, "OPT-4") if not one.faults]
    base = [one for one in latency(runs) if any(_rate(one) == _rate(other) for other in found)]
    return [*base, *found]


def what_ifs(runs: Runs) -> list[Scenario]:
    """Another disk, another network (most in the model only), and the scenario that each differs from."""
    found = [one for one in bearing(runs, "OPT-5") if one.model or one.flush_delay_s]
    base = [one for one in latency(runs) if any(_load(one) == _load(other) for other in found)]
    return [*(one for one in base if one.dispatch == "watch"), *found]


def members(runs: Runs) -> list[Scenario]:
    """One against three members of etcd under the same load: pairs side by side, the smaller first."""
    large = [one for one in runs.everything() if one.members > 1]
    loads = [_load(one) for one in large]
    alone = [one for one in _usual(runs.everything()) if one.members == 1 and _load(one) in loads]
    return sorted([*alone, *large], key=lambda one: (loads.index(_load(one)), bool(one.faults), one.members))


def _load(one: Scenario) -> str:
    """What arrives, as text to compare."""
    return json.dumps([one.spec.get("workload"), one.workers], sort_keys=True)


def _rate(one: Scenario) -> str:
    """The same, however long it goes on."""
    what = {key: value for key, value in one.spec.get("workload", {}).items() if key != "duration_s"}
    return json.dumps([what, one.workers, one.dispatch], sort_keys=True)
