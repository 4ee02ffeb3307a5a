"""Repetitions on a machine that was as quick as the calibrated one, by the put that was timed before each."""

import numpy as np

from experiments.summary import SINGLE_PUTS
from experiments.validation.analysis import Pairs
from experiments.validation.observed import Observed


def seen(throughput: float, put_s: float | None = None, calibrated_ms: float | None = 1.0) -> Observed:
    cells = [{"cell": SINGLE_PUTS, "p50_ms": calibrated_ms}] if calibrated_ms else []
    environment = {"model": {"when": "today", "cells": cells}}
    return Observed({"throughput_per_s": throughput}, {}, np.array([]), put_s, disturbed=False, environment=environment)


def test_repetitions_on_a_machine_as_quick_as_the_calibrated_one_are_compared_by_themselves() -> None:
    puts_s = [0.00082, 0.00084, 0.00119, 0.00121, 0.0025, None]
    pairs = Pairs([seen(100.0 + at, put_s) for at, put_s in enumerate(puts_s)], [[seen(200.0 + at)] for at in range(6)])
    real, model = pairs.alike().column("throughput_per_s")
    assert (list(real), list(model)) == ([101.0, 102.0], [201.0, 202.0])


def test_without_the_profiles_own_put_nothing_is_alike() -> None:
    pairs = Pairs([seen(1.0, 0.001)], [[seen(1.0, calibrated_ms=None)]])
    assert not pairs.alike().real
