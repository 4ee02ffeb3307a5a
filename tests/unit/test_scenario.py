from pathlib import Path

import msgspec
import pytest

from core.settings import ClientSettings, Config, load_config
from experiments import load as load_generator
from experiments import workload
from experiments.components import Components, config_of
from experiments.overrides import Overrides
from experiments.scenario import ScenarioError, both, load, names, write
from experiments.schema import Burst, Constant, Empirical, Exponential, Scenario, Workload
from experiments.simulated import SimulatedWorld

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
        (
            MINIMAL + 'handler = "ecco"',
            "workload.handler: invalid enum value 'ecco': expected one of 'echo', 'sleep', 'cpu', 'fail'",
        ),
        (MINIMAL + '[topology]\ndispatch = "push"', "topology.dispatch: invalid enum value 'push': expected one of"),
        (MINIMAL + '[[faults]]\nkind = "fire"', "faults[0].kind: invalid enum value 'fire': expected one of"),
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
        (
            MINIMAL + '[[faults]]\nkind = "etcd_kill"\nat_s = 1\ntarget = "leader"\nduration_s = 1',
            "needs a target like 'etcd-1' or 'etcd-leader' or 'etcd-follower', not 'leader'",
        ),
        (
            MINIMAL + '[[faults]]\nkind = "etcd_kill"\nat_s = 1\ntarget = "etcd-follower"\nduration_s = 1',
            "faults[0].target is 'etcd-follower', but the last etcd is 'etcd-1' (topology)",
        ),
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
def test_every_scenario_of_ours_loads_under_its_own_name_and_bears_on_a_claim(name: str) -> None:
    full, quick = both(name)
    assert full.name == name
    assert full.claims
    assert quick is None or (quick.name, quick.claims) == (name, full.claims)


def test_a_scenario_without_a_short_form_refuses_quick(tmp_path: Path) -> None:
    path = save(tmp_path, MINIMAL)
    path.write_text("quick = false\n" + path.read_text())
    assert both(path)[1] is None
    assert load(path).name
    with pytest.raises(ScenarioError, match="has no short form"):
        load(path, quick=True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[model]\ncoers = 2", "model.coers: unknown parameter; did you mean 'cores'?"),
        ("[model]\ncores = 0", "model.cores: expected a whole number >= 1"),
        ("[model]\ncores = 1.5", "model.cores: Expected `int`, got `float`"),
        ("[model]\nnetwork_delay_s = -1", "model.network_delay_s: expected a number >= 0"),
        ("[model]\nnetwork_delay_s = 'x'", "model.network_delay_s: expected a number >= 0"),
        ("[model]\netcd_members = 3", "model.etcd_members belongs to the topology: set topology.etcd_members instead"),
        ("[model]\netcd_flush_delay_s = 1", "model.etcd_flush_delay_s belongs to the topology"),
        ("model = 1", "model: Expected `object`, got `int`"),
    ],
)
def test_mistakes_in_the_models_parameters_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    path = save(tmp_path, MINIMAL)
    path.write_text(path.read_text() + text if text.startswith("[") else f"{text}\n{path.read_text()}")
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert sentence in str(caught.value)


def test_the_models_parameters_reach_the_model_alone_and_survive_the_run_directory(tmp_path: Path) -> None:
    path = save(tmp_path, MINIMAL + "\n[model]\ncores = 64\nnetwork_delay_s = 0.01\n")
    scenario = load(write(load(path), tmp_path / "run"))
    assert scenario.worlds == ("sim",)
    values = SimulatedWorld(scenario).config(scenario, workload.draw(scenario, 0)).values
    assert (values.cores, values.network_delay_s) == (64, 0.01)
    plain = load(save(tmp_path, MINIMAL))
    assert plain.worlds == ("real", "sim")
    assert values.etcd_fsync_s == SimulatedWorld(plain).config(plain, workload.draw(plain, 0)).values.etcd_fsync_s


ABLATED = """
[settings.scheduler]
max_batch = 1
max_in_flight = 1
max_buffer = 0
window = 64
steal_after_s = 2
[settings.worker]
max_batch = 3
[settings.client]
max_batch = 2
[topology]
workers = 2
slots = 4
lease_ttl_s = 3
"""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[settings.scheduler]\nmax_batch = 0", ": settings.scheduler.max_batch: Expected `int` >= 1"),
        ("[settings.worker]\nmax_batch = 1.5", ": settings.worker.max_batch: Expected `int`, got `float`"),
        ("[settings.client]\nmax_batch = 'x'", ": settings.client.max_batch: Expected `int`, got `str`"),
        ("[settings.scheduler]\nmax_bach = 1", ": settings.scheduler.max_bach: unknown key; did you mean 'max_batch'?"),
        ("[settings.client]\nwindow = 1", ": settings.client.window: unknown key"),
        ("[settings.schedulr]\nwindow = 1", ": settings.schedulr: unknown key; did you mean 'scheduler'?"),
        ("[settings]\nscheduler = 1", ": settings.scheduler: Expected `object`, got `int`"),
        (
            "[settings.scheduler]\ndispatch = 'poll'",
            ": settings.scheduler.dispatch belongs to the topology: set topology.dispatch instead",
        ),
        (
            "[settings.worker]\npoll_interval_s = 1",
            ": settings.worker.poll_interval_s belongs to the topology: set topology.worker_poll_interval_s instead",
        ),
        ("[settings.worker]\nslots = 1", ": settings.worker.slots belongs to the topology: set topology.slots instead"),
        ("[settings.worker]\nqueues = 'a'", ": settings.worker.queues cannot be set: the load has one queue"),
        ("[quick]\nsettings.worker.max_batch = 0", "settings.worker.max_batch: Expected `int` >= 1 (with [quick]"),
    ],
)
def test_mistakes_in_settings_are_named_with_their_key_path(tmp_path: Path, text: str, sentence: str) -> None:
    path = save(tmp_path, MINIMAL + text)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def check_ablated(config: Config) -> None:
    scheduler = config.scheduler
    assert (scheduler.max_batch, scheduler.max_in_flight, scheduler.max_buffer, scheduler.window) == (1, 1, 0, 64)
    assert (scheduler.steal_after_s, scheduler.lease_ttl_s) == (2.0, 3.0)
    assert (config.worker.max_batch, config.worker.slots, config.worker.lease_ttl_s) == (3, 4, 3.0)
    assert config.worker.max_in_flight == Config().worker.max_in_flight
    assert config.client.max_batch == 2


def test_settings_reach_the_real_components_and_survive_the_run_directory(tmp_path: Path) -> None:
    scenario = load(write(load(save(tmp_path, MINIMAL + ABLATED)), tmp_path / "run"))
    with Components(scenario.topology, "127.0.0.1:1", "/nowhere/", scenario.settings) as components:
        check_ablated(load_config(components.directory / "config.toml"))


def test_settings_reach_the_model(tmp_path: Path) -> None:
    scenario = load(save(tmp_path, MINIMAL + ABLATED))
    config = SimulatedWorld(scenario).config(scenario, workload.draw(scenario, 0))
    check_ablated(Config(scheduler=config.scheduler, worker=config.worker, client=config.client))


@pytest.mark.parametrize("one", [MINIMAL, MINIMAL + ABLATED])
def test_the_load_generator_gets_the_client_settings(tmp_path: Path, one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = load(save(tmp_path, one))
    job = load_generator.Job(scenario, 0, "127.0.0.1:1", "/nowhere/", str(tmp_path), 1.0)
    seen: list[ClientSettings | None] = []

    def client(*_: object, settings: ClientSettings | None = None, **__: object) -> None:
        seen.append(settings)
        raise ValueError("enough seen")

    monkeypatch.setattr(load_generator, "Client", client)
    monkeypatch.setattr(load_generator, "say", lambda _: None)
    monkeypatch.setattr("select.select", lambda *_: ([], [], []))
    assert load_generator.main(msgspec.json.encode(job).decode()) == 1
    assert seen == [config_of(scenario.topology, scenario.settings).client]
    assert seen[0] is not None
    assert seen[0].max_batch == scenario.settings.client.get("max_batch", ClientSettings().max_batch)


def test_a_scenario_built_in_python_is_checked_too() -> None:
    wrong = Overrides(scheduler={"window": 0})
    with pytest.raises(ValueError, match=r"^settings.scheduler.window: Expected `int` >= 1"):
        Scenario(name="x", workload=Workload(arrivals=Burst(), count=1), settings=wrong)
