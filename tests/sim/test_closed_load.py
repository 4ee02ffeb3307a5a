"""Closed load: a number of tasks in flight, no more and no less while there are some left."""

from collections import Counter
from random import Random

import pytest

from sim.config import Load, SimConfig
from sim.run import simulate
from tests.sim.model import free, load, moments


@pytest.mark.parametrize("in_flight", [1, 4, 100])
def test_who_ends_is_followed_by_another_at_once(in_flight: int) -> None:
    """Nothing costs any time: the next is submitted at the very moment at which the client hears of an end."""
    rng = Random(5)
    open_load = load([rng.uniform(0.01, 0.2) for _ in range(60)])
    closed = Load(open_load.specs, open_load.service_s, open_load.intended_s, in_flight)
    result = simulate(SimConfig(closed, workers=2, values=free()))
    submitted, observed = (sorted(moments(result, kind).values()) for kind in ("submitted", "observed"))
    assert len(observed) == 60
    first = min(in_flight, 60)
    assert submitted[:first] == pytest.approx([0.0] * first)
    assert submitted[first:] == pytest.approx(observed[: 60 - first])


def test_what_has_ended_during_a_call_is_submitted_by_the_next_one_together() -> None:
    rng = Random(5)
    specs = load([rng.uniform(0.01, 0.2) for _ in range(60)])
    closed = Load(specs.specs, specs.service_s, specs.intended_s, 20)
    result = simulate(SimConfig(closed, workers=2, values=free(submit_call_s=0.25, switch_s=1.0)))
    calls = Counter(round(moment, 6) for moment in moments(result, "submitted").values())
    assert max(calls.values()) == 20
    assert len(calls) <= 6, "one call for each that has ended would take 60"
