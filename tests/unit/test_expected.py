"""How long a run is thought to take, and how long it goes on although nothing ends."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
import numpy as np
import pytest

from experiments import expected, workload
from experiments.schema import Scenario
from experiments.simulated import SimulatedWorld

Table = Mapping[str, object]


def one(*faults: dict[str, object], load: Table = MappingProxyType({}), **topology: object) -> Scenario:
    short = {"count": 2000, "arrivals": {"process": "burst"}, "service": {"distribution": "constant", "value_s": 0.005}}
    document = {
        "name": "one",
        "topology": {"workers": 2, "slots": 5, **topology},
        "workload": {**short, **load},
        "faults": list(faults),
    }
    return msgspec.convert(document, Scenario)


def test_a_slot_takes_one_task_a_poll() -> None:
    by_watch, by_poll = expected.real_s(one()), expected.real_s(one(dispatch="poll"))
    assert by_poll - by_watch == pytest.approx(2000 / 10 * 0.5 - 2000 * 0.005 / 10, rel=0.02)


def test_patience_covers_the_longest_task_gap_and_fault() -> None:
    fault = {"kind": "worker_stop", "at_s": 3.0, "duration_s": 4.0, "target": "worker-1"}
    rare = {"count": 3, "arrivals": {"process": "constant", "rate_per_s": 0.01}}
    slow = one(fault, load=rare | {"service": {"distribution": "constant", "value_s": 20.0}})
    assert expected.quiet_s(slow, workload.draw(slow, 0)) == expected.PATIENCE_S + 2 * 20.0 + 100.0 + 7.0
    closed = one(load={"count": 3, "arrivals": {"process": "closed", "in_flight": 2}})
    assert np.isclose(expected.quiet_s(closed, workload.draw(closed, 0)), expected.PATIENCE_S + 0.01)


def test_the_model_goes_on_as_long_as_tasks_end_and_then_gives_up() -> None:
    """200 polls take 100 s; where the only worker is gone for ever, nothing ends."""
    slow = one(dispatch="poll")
    measured = SimulatedWorld(slow).run(slow, workload.draw(slow, 0), lambda _: None)
    assert (measured.environment["unfinished"], int(measured.trace["observed"].notna().sum())) == (0, 2000)
    gone = one({"kind": "host_kill", "at_s": 0.5, "target": "worker-1"}, workers=1)
    measured = SimulatedWorld(gone).run(gone, workload.draw(gone, 0), lambda _: None)
    assert 0 < measured.environment["unfinished"] < 2000
