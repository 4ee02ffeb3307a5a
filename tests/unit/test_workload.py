import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from experiments.scenario import ScenarioError
from experiments.schema import (
    Arrivals,
    ArrivalTrace,
    Burst,
    Closed,
    ConstantRate,
    Empirical,
    Exponential,
    Lognormal,
    Poisson,
    Scenario,
    Service,
    Uniform,
    Workload,
)
from experiments.workload import BASE_MS, draw, make_ids, stream

UUID7 = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")


def scenario(
    arrivals: Arrivals, *, service: Service | None = None, count: int | None = 1000, **more: object
) -> Scenario:
    table = Workload(arrivals=arrivals, count=count, **more)  # type: ignore[arg-type]
    return Scenario(name="x", workload=table if service is None else msgspec.structs.replace(table, service=service))


def test_ids_are_uuid7_and_increase_even_when_a_millisecond_overflows() -> None:
    load = draw(scenario(Burst(), count=10_000), 0)
    assert all(UUID7.fullmatch(one) for one in load.ids)
    assert load.ids == sorted(set(load.ids))
    assert int(load.ids[0][:12], 16) == BASE_MS
    assert int(load.ids[-1][:12], 16) == BASE_MS + 2


def test_ids_carry_the_intended_time() -> None:
    ids = make_ids(np.array([0.0, 0.25, 0.25, 2.0]), BASE_MS, stream(1, 0, "ids"))
    assert [int(one[:12], 16) - BASE_MS for one in ids] == [0, 250, 250, 2000]


def test_repetitions_differ_and_seeds_differ() -> None:
    one = scenario(Poisson(rate_per_s=10), service=Exponential(mean_s=1))
    base = draw(one, 0)
    for other in (draw(one, 1), draw(one, 0, seed=2)):
        assert not np.allclose(base.intended_s, other.intended_s)
        assert not np.allclose(base.service_s, other.service_s)


def test_changing_the_service_leaves_the_arrivals_alone() -> None:
    arrivals = Poisson(rate_per_s=10)
    short = draw(scenario(arrivals, service=Uniform(low_s=0, high_s=1)), 0)
    long = draw(scenario(arrivals, service=Exponential(mean_s=9)), 0)
    assert np.array_equal(short.intended_s, long.intended_s)
    assert short.ids == long.ids


def test_same_draw_in_processes_with_other_hash_seeds() -> None:
    code = (
        "from experiments.workload import draw; from experiments.schema import *;"
        "import zlib;"
        "l = draw(Scenario(name='x', workload=Workload(arrivals=Poisson(rate_per_s=5), count=50,"
        " service=Lognormal(mean_s=1, sigma=1), priorities={1: 1, 2: 1})), 3);"
        "drawn = l.intended_s.tobytes() + l.service_s.tobytes() + l.priority.tobytes() + ''.join(l.ids).encode();"
        "print(zlib.crc32(drawn))"
    )
    root = Path(__file__).parents[2]
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(seen) == 1


def test_rates_and_means() -> None:
    load = draw(scenario(Poisson(rate_per_s=50), service=Lognormal(mean_s=2, sigma=0.5), count=20_000), 0)
    assert 20_000 / load.intended_s[-1] == pytest.approx(50, rel=0.03)
    assert load.service_s.mean() == pytest.approx(2, rel=0.03)
    assert np.log(load.service_s).std() == pytest.approx(0.5, rel=0.03)


def test_duration_and_count_whichever_is_first() -> None:
    timed = Scenario(name="x", workload=Workload(arrivals=ConstantRate(rate_per_s=100), duration_s=60))
    assert len(draw(timed, 0)) == 6000
    both = Scenario(name="x", workload=Workload(arrivals=ConstantRate(rate_per_s=100), duration_s=60, count=7))
    assert draw(both, 0).intended_s.tolist() == [index / 100 for index in range(7)]


def test_nothing_arrives_is_said() -> None:
    none = Scenario(name="quiet", workload=Workload(arrivals=Poisson(rate_per_s=0.001), duration_s=0.001))
    with pytest.raises(ScenarioError, match="quiet: no task arrives"):
        draw(none, 0)


def test_closed_load_has_no_schedule() -> None:
    load = draw(scenario(Closed(in_flight=7), count=20), 0)
    assert np.isnan(load.intended_s).all()
    assert load.in_flight == 7
    assert load.ids == sorted(set(load.ids))


def test_priorities_follow_their_weights() -> None:
    load = draw(scenario(Burst(), count=10_000, priorities={0: 1.0, 5: 9.0}), 0)
    values, counts = np.unique(load.priority, return_counts=True)
    assert values.tolist() == [0, 5]
    assert counts[0] / 10_000 == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("size", [0, 10, 32, 33, 100, 5000])
def test_payload_has_the_size_asked_for_where_it_can(size: int) -> None:
    load = draw(scenario(Burst(), service=Uniform(low_s=0.5, high_s=0.5), count=2, payload_bytes=size), 0)
    payload = load.payload(1)
    assert msgspec.json.decode(payload)["duration_s"] == 0.5
    plain = len(b'{"duration_s":0.5}')
    assert len(payload) == (size if size >= plain + len(b',"pad":""') else plain)
    spec = load.specs(100.0)[1]
    assert bytes(spec.payload) == payload
    assert (spec.id, spec.type, spec.submitted_at) == (load.ids[1], "echo", 100.0)


def test_arrivals_and_service_from_files(tmp_path: Path) -> None:
    file = tmp_path / "numbers.txt"
    file.write_text("# seconds\n0.5\n\n1.5\n2.5\n")
    load = draw(scenario(ArrivalTrace(file=str(file)), service=Empirical(file=str(file)), count=2), 0)
    assert load.intended_s.tolist() == [0.5, 1.5]
    assert set(load.service_s) <= {0.5, 1.5, 2.5}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("1\nx\n", "line 2"), ("-1\n", "line 1"), ("nan\n", "line 1"), ("", "no numbers"), ("2\n1\n", "never decrease")],
)
def test_bad_files_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "numbers.txt"
    file.write_text(text)
    with pytest.raises(ScenarioError, match=sentence):
        draw(scenario(ArrivalTrace(file=str(file))), 0)
