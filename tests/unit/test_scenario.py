from pathlib import Path

import pytest

from experiments.scenario import ScenarioError, load, names, write
from experiments.schema import Burst, Constant, Empirical, Exponential, Scenario

MINIMAL = """
name = "mine"
[workload]
count = 10
arrivals = {process = "burst"}
"""


def save(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_minimal_scenario_takes_the_sources_defaults(tmp_path: Path) -> None:
    scenario = load(save(tmp_path, MINIMAL))
    assert (scenario.topology.workers, scenario.topology.slots, scenario.topology.schedulers) == (3, 10, 1)
    assert (scenario.topology.scheduler_poll_interval_s, scenario.topology.worker_poll_interval_s) == (0.1, 0.5)
    assert scenario.workload.arrivals == Burst()
    assert scenario.workload.service == Constant(value_s=1.0)


def test_quick_table_is_merged_and_a_new_distribution_replaces_the_old(tmp_path: Path) -> None:
    path = save(
        tmp_path,
        MINIMAL
        + """
service = {distribution = "uniform", low_s = 1, high_s = 2}
[topology]
workers = 5
[quick]
workload.count = 4
workload.service = {distribution = "exponential", mean_s = 0.1}
topology.slots = 2
""",
    )
    quick = load(path, quick=True)
    assert (quick.workload.count, quick.topology.workers, quick.topology.slots) == (4, 5, 2)
    assert quick.workload.service == Exponential(mean_s=0.1)
    assert load(path).workload.count == 10


BURST = 'arrivals = {process = "burst"}\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (MINIMAL + "[topology]\nwrkers = 3", "topology.wrkers: unknown key; did you mean 'workers'?"),
        (MINIMAL + "[topology]\nslots = 0", "topology.slots: Expected `int` >= 1"),
        (MINIMAL + "[topology]\nslots = 2.5", "topology.slots: Expected `int`, got `float`"),
        (MINIMAL + "[topology]\nlease_ttl_s = 1", "topology.lease_ttl_s: Expected `float` >= 2.0"),
        (MINIMAL + "[measure]\nwarmup_s = inf", "measure.warmup_s: inf is not a finite number"),
        (MINIMAL + "[measure]\nwarmup_s = 1", "measure.warmup_s is 1.0, but tasks arrive for 0.0 s only"),
        (MINIMAL + "[quick]\nworkload.cuont = 3", "workload.cuont: unknown key; did you mean 'count'? (with [quick]"),
        (MINIMAL + "quick = 3", "workload.quick: unknown key"),
        ("quick = 3" + MINIMAL, "quick: expected a table"),
        (MINIMAL + 'handler = "ecco"', "workload.handler: Invalid enum value 'ecco'"),
        (MINIMAL + "priorities = {12 = 1}", "workload: priority 12 is not between 0 and 9"),
        (MINIMAL + "priorities = {}", "workload: 'priorities' is empty"),
        (MINIMAL + 'service = {distribution = "normal"}', "expected one of constant, uniform, exponential"),
        (MINIMAL + 'service = {distribution = "uniform", low_s = 2, high_s = 1}', "low_s (2.0) is above high_s (1.0)"),
        (MINIMAL + 'service = {distribution = "empirical", file = "gone"}', "workload.service.file: no such file"),
        ('name = "x"', "workload: missing"),
        ('name = "x"\n[workload]\ncount = 1', "workload.arrivals: missing"),
        ('name = "x"\n[workload]\n' + BURST, "workload: 'count' is missing"),
        ('name = "x y"\n[workload]\ncount = 1\n' + BURST, "name: Expected `str` matching"),
        (
            'name = "x"\n[workload]\narrivals = {process = "poisson", rate_per_s = 3}',
            "workload: give 'count' or 'duration_s' (or both)",
        ),
        (
            'name = "x"\n[workload]\ncount = 3\narrivals = {process = "poisson"}',
            "workload.arrivals.rate_per_s: missing",
        ),
        ('name = "x"\n[workload]\ncount = 3\narrivals = {process = "closed"}', "workload.arrivals.in_flight: missing"),
        (
            'name = "x"\n[workload]\nduration_s = 3\narrivals = {process = "trace", file = "nowhere.txt"}',
            "workload.arrivals.file: no such file",
        ),
        (
            (
                'name = "x"\n[measure]\nwarmup_s = 3\n[workload]\ncount = 9\n'
                'arrivals = {process = "constant", rate_per_s = 3}'
            ),
            "measure.warmup_s is 3.0",
        ),
        (
            MINIMAL + '[[faults]]\nkind = "worker_kill"\nat_s = 1\ntarget = "worker-9"',
            "faults[0].target is 'worker-9', but the last worker is 'worker-3' (topology)",
        ),
        (
            MINIMAL + '[[faults]]\nkind = "worker_kill"\nat_s = 1\ntarget = "scheduler-1"',
            "faults[0]: worker_kill needs a target like 'worker-1', not 'scheduler-1'",
        ),
        (MINIMAL + '[[faults]]\nkind = "etcd_kill"\nat_s = 1\ntarget = "etcd-1"', "etcd_kill needs 'duration_s'"),
        ("name = ", "is not TOML"),
    ],
)
def test_mistakes_are_named_with_file_and_key(tmp_path: Path, text: str, sentence: str) -> None:
    path = save(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_name_suggests_a_near_one() -> None:
    with pytest.raises(ScenarioError, match="did you mean scaling-3"):
        load("scalling-3")


def test_run_directory_alone_repeats_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "times.csv").write_text("0.5\n0.7\n")
    path = save(
        tmp_path, MINIMAL + 'service = {distribution = "empirical", file = "times.csv"}\npriorities = {0 = 1, 5 = 2}'
    )
    scenario = load(path)
    run = tmp_path / "run"
    written = write(scenario, run)
    (tmp_path / "times.csv").unlink()
    again = load(written)
    assert isinstance(again.workload.service, Empirical)
    assert Path(again.workload.service.file).read_text() == "0.5\n0.7\n"
    assert Path(again.workload.service.file).parent == run.resolve()
    assert again.workload.priorities == {0: 1.0, 5: 2.0}
    assert again.topology == scenario.topology


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("quick", [False, True])
def test_every_scenario_of_ours_loads_under_its_own_name(name: str, *, quick: bool) -> None:
    scenario = load(name, quick=quick)
    assert isinstance(scenario, Scenario)
    assert scenario.name == name
    assert scenario.claims
