"""The processors (`sim.host`, `sim.process`) against queueing theory, and the bounds that no schedule of jobs may pass.

Replications are independent and seeded; the closed form must lie in the 99 % interval of their means.
"""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from sim.config import SimConfig
from sim.host import Host
from sim.kernel import Kernel, call_in
from sim.parameters import Values
from sim.process import Process
from sim.run import simulate
from tests.sim import closed_forms
from tests.sim.model import FREE, assert_within, free, load, poisson

REPLICATIONS = 10
JOBS = 5000
WARM_UP = 300
LOGNORMAL = stats.lognorm(s=0.8, scale=np.exp(-0.32))
"""Of mean 1; standard deviation 0.95."""

Span = tuple[float, float, str]


def processor_waits(servers: int, arrivals: list[float], costs: list[float]) -> NDArray[np.float64]:
    """Waits of jobs for a host's cores (each job a process of its own) or, with one server, for one process."""
    kernel = Kernel()
    host = Host(kernel, servers)
    single = Process(host, "single", FREE)
    waits: list[float] = []

    def begin(arrived: float, cost_s: float) -> float:
        waits.append(kernel.now - arrived)
        return cost_s

    def arrive(cost_s: float) -> None:
        process = single if servers == 1 else Process(host, "one", FREE)
        process.execute(begin, lambda: None, kernel.now, cost_s)

    for at, cost_s in zip(arrivals, costs, strict=True):
        call_in(kernel, at, arrive, cost_s)
    kernel.run()
    return np.array(waits)


def costs_of(law: str, seed: int) -> list[float]:
    rng = np.random.default_rng(1000 + seed)
    match law:
        case "M":
            drawn = rng.exponential(1.0, JOBS)
        case "G":
            drawn = LOGNORMAL.rvs(JOBS, random_state=rng)
        case _:
            drawn = np.ones(JOBS)
    costs: list[float] = drawn.tolist()
    return costs


def expected_wait_s(law: str, servers: int, rate: float) -> float:
    match law:
        case "M":
            return closed_forms.mmc_wait_s(servers, rate, 1.0)
        case "G":
            return closed_forms.mg1_wait_s(rate, 1.0, LOGNORMAL.std())
        case _:
            return closed_forms.mdc_wait_s(servers, rate, 1.0)


def test_the_closed_forms_agree_where_they_must() -> None:
    for rate in (0.5, 0.9):
        mm1 = closed_forms.mm1_wait_s(rate, 1.0)
        assert closed_forms.mmc_wait_s(1, rate, 1.0) == pytest.approx(mm1)
        assert closed_forms.mg1_wait_s(rate, 1.0, 1.0) == pytest.approx(mm1)
        assert closed_forms.mdc_wait_s(1, rate, 1.0) == pytest.approx(closed_forms.mg1_wait_s(rate, 1.0, 0.0))
    assert LOGNORMAL.mean() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("law", "servers", "load_factor"),
    [("M", 1, 0.5), ("M", 1, 0.8), ("M", 3, 0.8), ("G", 1, 0.7), ("D", 1, 0.7), ("D", 3, 0.8)],
    ids=["M/M/1", "M/M/1 busy", "M/M/3", "M/G/1", "M/D/1", "M/D/3"],
)
def test_mean_wait(law: str, servers: int, load_factor: float) -> None:
    rate = load_factor * servers
    means = [
        float(np.mean(processor_waits(servers, poisson(seed, JOBS, rate), costs_of(law, seed))[WARM_UP:]))
        for seed in range(REPLICATIONS)
    ]
    assert_within(means, expected_wait_s(law, servers, rate), 0.3)


def test_times_in_mm1_are_exponential() -> None:
    """Not only on average: the whole time at the processor has the second moment of its distribution.

    The mean is the same in whatever order jobs are served, this one is not.
    """
    rate = 0.6
    squares = []
    for seed in range(REPLICATIONS):
        costs = costs_of("M", 50 + seed)
        waits = processor_waits(1, poisson(100 + seed, JOBS, rate), costs)
        squares.append(float(np.mean((waits + costs)[WARM_UP:] ** 2)))
    expected = stats.expon(scale=closed_forms.mm1_sojourn_s(rate, 1.0)).moment(2)
    assert_within(squares, expected, 0.2)


@pytest.mark.parametrize("law", ["M", "G", "D"])
def test_each_wait_is_lindleys(law: str) -> None:
    arrivals, costs = poisson(1, JOBS, 0.9), costs_of(law, 1)
    expected = closed_forms.lindley_waits_s(np.array(arrivals), np.array(costs))
    assert processor_waits(1, arrivals, costs) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("law", ["M", "D"])
def test_each_wait_for_three_cores_is_that_of_one_queue(law: str) -> None:
    arrivals, costs = poisson(1, JOBS, 2.7), costs_of(law, 1)
    expected = closed_forms.one_queue_waits_s(3, arrivals, costs)
    assert processor_waits(3, arrivals, costs) == pytest.approx(expected, abs=1e-8)


# --- bounds ---


def crowd(cores: int, processes: int, tail: float = 0.0) -> tuple[list[Span], float, float]:
    """Many jobs at each of `processes`, in bursts: when each ran and where; CPU seconds used, and by when."""
    kernel = Kernel()
    host = Host(kernel, cores)
    spans: list[Span] = []
    rng = np.random.default_rng(cores)
    everybody = [Process(host, f"process-{number}", free(tail=tail)) for number in range(processes)]

    def submit(process: Process, cost_s: float) -> None:
        def begin() -> float:
            spans.append((kernel.now, kernel.now + cost_s, process.name))
            return cost_s

        process.execute(begin, host.validate)

    for process in everybody:
        for at in np.repeat(rng.uniform(0.0, 1.0, 20), 10):
            call_in(kernel, float(at), submit, process, float(rng.exponential(0.01)))
    kernel.run()
    return spans, sum(process.cpu_s for process in everybody), kernel.now


def most_at_once(spans: list[Span]) -> int:
    edges = sorted([(end, -1) for _, end, _ in spans] + [(start, 1) for start, _, _ in spans])
    return int(np.max(np.cumsum([step for _, step in edges])))


@pytest.mark.parametrize(("cores", "processes"), [(1, 3), (2, 5), (4, 5), (8, 3)])
def test_cores_are_a_bound_and_are_used(cores: int, processes: int) -> None:
    """Never more cores than there are, however many processes; and all of them when there is work."""
    spans, used_s, _ = crowd(cores, processes)
    assert len(spans) == 200 * processes
    assert most_at_once(spans) == min(cores, processes)
    assert used_s == pytest.approx(sum(end - start for start, end, _ in spans))


@pytest.mark.parametrize("cores", [1, 2, 8])
def test_a_python_process_never_uses_two_cores(cores: int) -> None:
    spans, _, _ = crowd(cores, 3)
    for name in {name for _, _, name in spans}:
        mine = sorted(span for span in spans if span[2] == name)
        assert all(one[1] <= other[0] + 1e-12 for one, other in pairwise(mine)), f"{name} ran two jobs at once"


def test_what_is_done_after_an_effect_takes_its_core_too() -> None:
    """With a third of each job after its effect, no more CPU time comes out of the cores than goes in."""
    _, used_s, end_s = crowd(1, 3, tail=1 / 3)
    assert used_s <= end_s


def test_a_whole_system_under_load_keeps_to_its_cores() -> None:
    """A burst of tasks without duration: both cores are busy, none is used twice, nor by one process both."""
    cores, interval_s = 2, 0.05
    result = simulate(SimConfig(load([0.0] * 4000), sample_interval_s=interval_s, values=Values(cores=cores)))
    used: dict[str, list[tuple[float, float]]] = {}
    for sample in result.samples:
        used.setdefault(sample.component, []).append((sample.time_s, sample.cpu_s))
    shares = {name: np.diff(rows, axis=0)[3:-2] for name, rows in used.items()}  # without beginning and end
    rounding_s = 0.005  # a job counts when it ends (etcd's: when it begins); the longest takes 5 ms
    for name, steps in shares.items():
        if name != "etcd-1":
            assert np.all(steps[:, 1] <= steps[:, 0] + rounding_s), name
    together = sum(steps[:, 1] for steps in shares.values())
    assert np.all(together <= cores * (interval_s + rounding_s))
    assert float(np.mean(together)) > 0.9 * cores * interval_s
