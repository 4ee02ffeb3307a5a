"""What of a scenario no validated scenario had: all that is no dimension of the region (`experiments.planning.trust`).

What was validated is read from the scenarios' own files, by the names of the region's points.
"""

from collections.abc import Iterable, Sequence

import msgspec

from experiments.schema import Fault, Scenario
from experiments.validation.catalogue import STRESS, VALIDATION, cases

WAITING = frozenset({"echo", "sleep"})
"""Handlers that do the same as far as time goes."""


def never_validated(asked: Scenario, names: Iterable[str]) -> tuple[str, ...]:
    """A phrase for each: payload, handler, arrivals, faults, intervals, times to live, settings, model."""
    known = [name for name in names if name in (*VALIDATION, *STRESS)]
    seen = [case.scenario for case in cases(known)] if known else []
    if not seen:
        return ()
    return (*_load(asked, seen), *_faults(asked, seen), *_topology(asked, seen), *_settings(asked, seen))


def differences(asked: Scenario, names: Iterable[str]) -> dict[str, int]:
    """For each of these scenarios, in how many of two things it is another system: kinds of faults, a slow disk."""
    known = [name for name in names if name in (*VALIDATION, *STRESS)]
    return {
        case.scenario.name: (_kinds(asked) != _kinds(case.scenario)) + (_slow(asked) != _slow(case.scenario))
        for case in (cases(known) if known else ())
    }


def _kinds(one: Scenario) -> set[str]:
    return {fault.kind for fault in one.faults}


def _slow(one: Scenario) -> bool:
    return one.topology.etcd_flush_delay_s > 0


def _load(asked: Scenario, seen: Sequence[Scenario]) -> Iterable[str]:
    payload = asked.workload.payload_bytes
    largest = max(one.workload.payload_bytes for one in seen)
    if payload > largest:
        yield f"payloads of {payload:,} bytes (validated: up to {largest:,})"
    if _kind(asked) not in {_kind(one) for one in seen}:
        yield f"tasks that {asked.workload.handler}"
    process = _tag(asked.workload.arrivals)
    if process not in {_tag(one.workload.arrivals) for one in seen}:
        yield f"{process} arrivals"


def _kind(one: Scenario) -> str:
    return "wait" if one.workload.handler in WAITING else one.workload.handler


def _tag(struct: msgspec.Struct) -> str:
    return str(type(struct).__struct_config__.tag)


def _faults(asked: Scenario, seen: Sequence[Scenario]) -> Iterable[str]:
    known = {fault.kind for one in seen for fault in one.faults}
    for kind in dict.fromkeys(fault.kind for fault in asked.faults):
        if kind not in known:
            yield f"the fault {kind}"
    most = max(len(one.faults) for one in seen)
    if len(asked.faults) > most:
        yield f"{_count(asked.faults)} in one run (validated: {most})"


def _count(faults: Sequence[Fault]) -> str:
    return f"{len(faults)} faults"


def _topology(asked: Scenario, seen: Sequence[Scenario]) -> Iterable[str]:
    delay_s, slowest_s = asked.topology.etcd_flush_delay_s, max(one.topology.etcd_flush_delay_s for one in seen)
    if delay_s > slowest_s:
        yield f"flushes that take {delay_s:g} s longer (validated: up to {slowest_s:g})"
    names = ["lease_ttl_s"]
    peers = list(seen)
    if asked.topology.dispatch == "poll":
        names += ["scheduler_poll_interval_s", "worker_poll_interval_s"]
        peers = [one for one in seen if one.topology.dispatch == "poll"] or peers
    for name in names:
        value = getattr(asked.topology, name)
        values = [getattr(one.topology, name) for one in (seen if name == "lease_ttl_s" else peers)]
        low, high = min(values), max(values)
        if not low <= value <= high:
            span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            yield f"a {name.removesuffix('_s').replace('_', ' ')} of {value:g} s (validated: {span} s)"


def _settings(asked: Scenario, seen: Sequence[Scenario]) -> Iterable[str]:
    known = {(path, str(value)) for one in seen for path, value in _changes(one)}
    for path, value in _changes(asked):
        if (path, str(value)) not in known:
            yield f"{path} = {value}"


def _changes(one: Scenario) -> Iterable[tuple[str, object]]:
    for component in ("scheduler", "worker", "client"):
        for key, value in getattr(one.settings, component).items():
            yield f"settings.{component}.{key}", value
    for key, value in one.model.items():
        yield f"model.{key}", value
