"""How far a question lies from what was validated."""

import msgspec
import pytest

from experiments.planning import trust
from experiments.planning.unseen import never_validated
from experiments.schema import (
    Scenario,
    Topology,
)
from experiments.validation.region import Point

# --- the validated region ---


def point(name: str, **changes: object) -> Point:
    usual = {
        "scenario": name,
        "dispatch": "watch",
        "schedulers": 1,
        "workers": 3,
        "slots": 10,
        "etcd_members": 1,
        "arrivals": "poisson",
        "rate_per_s": 100.0,
        "utilisation": 0.5,
        "service_mean_s": 0.1,
        "service_cv": 1.0,
        "errors": {"latency_s.overhead.p99": 0.05},
    }
    return Point(**(usual | changes))  # type: ignore[arg-type]


def test_outside_the_validated_region_the_dimensions_are_named_and_the_nearest_point_is_shown() -> None:
    points = [point("small"), point("large", workers=10, errors={"latency_s.overhead.p99": -0.2})]
    inside = trust.trust(trust.asked(Topology(workers=3), 100, 0.15, 1.0), points)
    assert [one.name for one in inside.outside] == ["service mean s"]  # one value was validated: 0.1 s
    outside = trust.trust(trust.asked(Topology(workers=20, dispatch="poll"), 100, 0.1, 1.0), points)
    assert {"dispatch", "workers", "utilisation"} == {one.name for one in outside.outside}
    assert (outside.nearest, outside.errors) == ("large", {"latency_s.overhead.p99": -0.2})
    assert "OUTSIDE" in outside.sentence
    assert trust.trust(trust.asked(Topology(), 100, 0.1, 1.0), []).sentence == trust.NOTHING


def scenario_of(**changes: object) -> Scenario:
    """One that was validated (`idle`, a little faster), but for the changes."""
    workload = {"count": 100, "arrivals": {"process": "poisson", "rate_per_s": 20.0}}
    document: dict[str, object] = {"name": "asked", "workload": workload}
    for table, values in changes.items():
        document[table] = workload | values if table == "workload" else values  # type: ignore[operator]
    return msgspec.convert(document, Scenario)


NAMES = ("idle", "poll-rate", "burst-payload", "burst-unbatched", "host-kill", "disk-slow-10ms")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workload": {"payload_bytes": 200_000}}, "payloads of 200,000 bytes (validated: up to 20,000)"),
        ({"workload": {"handler": "cpu"}}, "tasks that cpu"),
        ({"topology": {"lease_ttl_s": 60.0}}, "a lease ttl of 60 s (validated: 2 to 5 s)"),
        ({"topology": {"etcd_flush_delay_s": 0.02}}, "flushes that take 0.02 s longer (validated: up to 0.01)"),
        ({"topology": {"dispatch": "poll", "worker_poll_interval_s": 9.0}}, "a worker poll interval of 9 s"),
        ({"settings": {"scheduler": {"max_batch": 7}}}, "settings.scheduler.max_batch = 7"),
        ({"model": {"cores": 64}}, "model.cores = 64"),
        ({"faults": [{"kind": "scheduler_kill", "at_s": 1.0, "target": "scheduler-1"}]}, "the fault scheduler_kill"),
    ],
)
def test_what_no_validated_scenario_had_is_named(changes: dict[str, object], words: str) -> None:
    (never,) = never_validated(scenario_of(**changes), NAMES)
    assert words in never
    points = [point(name) for name in NAMES]
    found = trust.trust(trust.asked(Topology(), 100, 0.1, 1.0), points, scenario_of(**changes))
    assert f"NEVER validated: {never}; nearest" in found.sentence


@pytest.mark.parametrize(
    ("changes", "nearest"),
    [
        ({}, "idle"),
        ({"faults": [{"kind": "host_kill", "at_s": 1.0, "target": "worker-1", "duration_s": 1.0}]}, "host-kill"),
        ({"topology": {"etcd_flush_delay_s": 0.005}}, "disk-slow-10ms"),
    ],
)
def test_a_scenario_with_another_fault_or_disk_is_not_the_nearest(changes: dict[str, object], nearest: str) -> None:
    """Points that are alike in all numbers, but for a little in the one that would be right."""
    points = [point(name, workers=4 if name == nearest else 3) for name in ("disk-slow-10ms", "host-kill", "idle")]
    found = trust.trust(trust.asked(Topology(), 100, 0.1, 1.0), points, scenario_of(**changes))
    assert found.nearest == nearest


def test_what_validated_scenarios_had_is_not_named() -> None:
    assert never_validated(scenario_of(workload={"payload_bytes": 10_000, "handler": "sleep"}), NAMES) == ()
    assert never_validated(scenario_of(topology={"dispatch": "poll"}), NAMES) == ()
