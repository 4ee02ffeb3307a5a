"""Sets of scenarios: what is missing is run, what is finished is kept, and what has changed is run again."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from experiments import claims, cli, metrics, report, scenario, suite, suite_console, summary, sweep
from experiments.run import PROFILE
from experiments.scenario import ScenarioError
from experiments.suite import Plan
from experiments.validation.store import DONE
from experiments.world import ExperimentError
from sim.parameters import REFERENCE, Profile, load
from tests.unit.suite_bench import done, plan, small


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulations run here: starting processes takes longer than these do."""
    spread = sweep.spread
    monkeypatch.setattr(sweep, "spread", lambda work, jobs, **how: spread(work, jobs, **{**how, "n_jobs": 1}))


def test_a_finished_set_is_not_run_again_and_gives_the_same_summary(tmp_path: Path) -> None:
    first = suite.run(plan(tmp_path))
    before, figures = done(tmp_path / "runs"), metrics.read(tmp_path / "runs/small/metrics.json")
    second = suite.run(plan(tmp_path))
    assert (first.run, first.kept, second.run, second.kept) == (2, 0, 0, 2)
    assert done(tmp_path / "runs") == before
    assert metrics.read(tmp_path / "runs/small/metrics.json") == figures
    assert figures["sim"]["throughput_per_s"]["n"] == 2
    assert figures["sim"]["completed"] == 24
    assert {path.name for path in (tmp_path / "runs").iterdir()} >= {claims.FILE, "environment.json", "small"}


def test_more_repetitions_keep_those_there_are_and_fewer_remove_the_rest(tmp_path: Path) -> None:
    suite.run(plan(tmp_path))
    before = done(tmp_path / "runs")
    assert suite.run(plan(tmp_path, small(tmp_path, repetitions=3))).run == 1
    assert before.items() <= done(tmp_path / "runs").items()
    assert suite.run(plan(tmp_path, small(tmp_path, repetitions=1))).run == 0
    assert list(done(tmp_path / "runs")) == ["small/sim/0"]
    assert metrics.read(tmp_path / "runs/small/metrics.json")["sim"]["throughput_per_s"]["n"] == 1


def test_a_changed_scenario_is_run_again_and_its_old_figures_are_gone(tmp_path: Path) -> None:
    suite.run(plan(tmp_path, small(tmp_path), small(tmp_path, "other")))
    before = done(tmp_path / "runs")
    one = small(tmp_path)
    changed = msgspec.structs.replace(one, topology=msgspec.structs.replace(one.topology, slots=3))
    assert suite.run(plan(tmp_path, changed, small(tmp_path, "other"))).run == 2
    after = done(tmp_path / "runs")
    assert {name for name in before if before[name] == after[name]} == {"other/sim/0", "other/sim/1"}
    assert scenario.load(tmp_path / "runs/small/scenario.toml").topology.slots == 3


def test_what_the_run_depends_on_is_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def keys(**how: Any) -> list[str]:
        return [job.key for job in suite.wanted(plan(tmp_path, worlds=["real", "sim"], **how))]

    before = keys()
    assert keys() == before
    assert all(one != other for one, other in zip(keys(endpoints="127.0.0.1:1")[2:], before[2:], strict=True))
    monkeypatch.setattr(suite, "digest", lambda _: "another")
    assert keys()[:2] == before[:2]
    assert all(one != other for one, other in zip(keys()[2:], before[2:], strict=True))


def test_an_interrupted_set_keeps_what_is_finished_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate = sweep.spread

    def one_then_ctrl_c(work: Any, jobs: Sequence[Any], **_: Any) -> None:
        simulate(work, jobs[:1], n_jobs=1)
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "spread", one_then_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        suite.run(plan(tmp_path))
    assert list(done(tmp_path / "runs")) == ["small/sim/0"]
    assert (tmp_path / "runs" / claims.FILE).is_file()
    monkeypatch.undo()
    assert (suite.run(plan(tmp_path)).run, len(done(tmp_path / "runs"))) == (1, 2)


def test_an_unfinished_repetition_counts_for_nothing(tmp_path: Path) -> None:
    suite.run(plan(tmp_path))
    (tmp_path / "runs/small/sim/1" / DONE).unlink()
    summary.write_scenario(tmp_path / "runs/small")
    assert metrics.read(tmp_path / "runs/small/metrics.json")["sim"]["throughput_per_s"]["n"] == 1
    assert [job.repetition for job in suite.missing(plan(tmp_path))] == [1]


def test_nobodys_files_are_removed(tmp_path: Path) -> None:
    strange = tmp_path / "runs" / "small" / "real" / "notes.txt"
    strange.parent.mkdir(parents=True)
    strange.write_text("precious")
    with pytest.raises(ExperimentError, match="choose another folder"):
        suite.run(plan(tmp_path))
    assert strange.read_text() == "precious"


def test_repetitions_are_interleaved_and_what_is_run_once_comes_last(tmp_path: Path) -> None:
    ones = (small(tmp_path, "a"), small(tmp_path, "once", 1), small(tmp_path, "b", 3))
    order = [f"{job.scenario.name}{job.repetition}" for job in suite.missing(plan(tmp_path, *ones, worlds=["real"]))]
    assert order == ["a0", "b0", "a1", "b1", "b2", "once0"]


# --- the sets that come with Tandem


def test_the_quick_set_leaves_out_what_has_no_short_form() -> None:
    full, quick = suite.names_of_set(quick=False), suite.names_of_set(quick=True)
    assert set(quick) < set(full)
    assert {"burst-1s", "scaling-1-poll"} == {"burst-1s", "scaling-1-poll"} & (set(full) - set(quick))
    with pytest.raises(ScenarioError, match="has no short form"):
        scenario.load("burst-1s", quick=True)


@pytest.mark.parametrize(("quick", "limit_minutes"), [(True, 6), (False, 60)])
def test_the_sets_take_as_long_as_is_promised(tmp_path: Path, *, quick: bool, limit_minutes: float) -> None:
    scenarios = suite.load(suite.names_of_set(quick=quick), quick=quick)
    jobs = suite.missing(Plan(scenarios, tmp_path))
    assert suite_console.minutes(jobs) < limit_minutes
    assert len({(job.scenario.name, job.world, job.repetition) for job in jobs}) == len(jobs)


# --- the command line


def bench(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(cli.app, [str(one) for one in arguments], env={"TERM": "dumb", "COLUMNS": "200"})
    return done.exit_code, done.output


def test_run_wants_a_scenario_or_all_of_them(tmp_path: Path) -> None:
    for arguments in (("run", "--out", tmp_path), ("run", "burst", "--all", "--out", tmp_path)):
        assert bench(*arguments) == (2, "tandem-bench: give either a scenario (see `tandem-bench list`) or --all\n")
    code, said = bench("run", "burst", "--repeat-disturbed", "--out", tmp_path)
    assert (code, "--repeat-disturbed goes with --all" in said) == (2, True)


def test_a_scenario_for_the_model_alone_is_not_run_for_real(tmp_path: Path) -> None:
    code, said = bench("run", "fleet-10", "--world", "real", "--out", tmp_path / "out")
    assert code == 2
    assert "runs in the model only" in said
    assert not (tmp_path / "out").exists()


def test_run_all_runs_the_set_and_shows_the_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(tmp_path, "burst")
    monkeypatch.setattr(scenario, "SCENARIOS", tmp_path / "scenarios")
    code, said = bench("run", "--all", "--world", "sim", "--out", tmp_path / "runs")
    assert code == 0, said
    assert "2 repetitions are to be run" in said
    assert "BUR-1" in said
    again = bench("run", "--all", "--world", "sim", "--out", tmp_path / "runs")[1]
    assert again.startswith("scenario")
    assert "0 of 2" in again


def test_report_builds_from_saved_runs_and_measures_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.run(plan(tmp_path))
    (tmp_path / "runs" / claims.FILE).unlink()
    built: list[tuple[Path, Path, list[str]]] = []
    monkeypatch.setattr(report, "build", lambda runs, out, languages: built.append((runs, out, [*languages])))
    arguments = ("report", "--runs", tmp_path / "runs", "--out", tmp_path / "out")
    assert [bench(*arguments)[0], bench(*arguments, "--lang", "zh")[0]] == [0, 0]
    assert built == [(tmp_path / "runs", tmp_path / "out", []), (tmp_path / "runs", tmp_path / "out", ["zh"])]
    assert (tmp_path / "runs" / claims.FILE).is_file()
    code, said = bench("report", "--runs", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert (code, "holds no finished runs" in said) == (2, True)


@pytest.fixture
def short_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`make report` with one small scenario, no benchmarks and no report built."""
    small(tmp_path, "burst", repetitions=1)
    monkeypatch.setattr(scenario, "SCENARIOS", tmp_path / "scenarios")
    monkeypatch.setattr(report, "run_benchmarks", lambda _root, **_: None)
    monkeypatch.setattr("experiments.planning.example.write", lambda _root, **_: None)
    monkeypatch.setattr(report, "build", lambda _runs, _out, _languages: None)
    return tmp_path / "out"


def make_report(*arguments: str | Path) -> str:
    done = CliRunner().invoke(report.app, [str(one) for one in arguments], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def test_the_quick_report_begins_anew_once_it_is_complete_and_the_full_one_does_not(short_report: Path) -> None:
    quick, full = ("--world", "sim", "--out", short_report), ("--full", "--world", "sim", "--out", short_report)
    assert "1 of 1 repetitions" in make_report(*quick)
    assert "1 of 1 repetitions" in make_report(*quick)
    (short_report / "runs" / report.COMPLETE).unlink()  # as after Ctrl-C
    assert "0 of 1 repetitions" in make_report(*quick)
    assert "0 of 1 repetitions" in make_report(*full)
    assert "1 of 1 repetitions" in make_report(*full, "--fresh", "--dry-run")
    assert len(done(short_report / "runs")) == 1


def test_this_machines_speed_is_measured_for_a_report_and_kept_when_it_goes_on(
    short_report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, measured = short_report / "runs", []

    def scaled(path: Path, **_: object) -> Profile:
        measured.append(path)
        shutil.copyfile(REFERENCE, path)
        return load(REFERENCE)

    monkeypatch.setattr("experiments.calibrate.run_scaled", scaled)
    monkeypatch.setattr("experiments.suite_console.run", lambda *_: None)
    for anew in (False, False, True):
        report.measure(suite.Plan([], runs, ("sim",), profile=runs / PROFILE), anew=anew, quick=True)
    report.measure(suite.Plan([], runs, ("sim",), profile=short_report / "mine.json"), anew=True, quick=True)
    assert measured == [runs / PROFILE] * 2


def test_scenarios_of_another_set_are_removed_from_the_reports_own_folder(short_report: Path) -> None:
    make_report("--world", "sim", "--out", short_report)
    shutil.copytree(short_report / "runs/burst", short_report / "runs/older")
    make_report("--full", "--world", "sim", "--out", short_report)
    assert not (short_report / "runs/older").exists()
    assert (short_report / "runs/burst/sim/0").exists()


@pytest.mark.parametrize("file", ["metrics.json", "benchmarks.json"])
def test_a_report_of_damaged_runs_is_refused_in_one_sentence(tmp_path: Path, file: str) -> None:
    runs = tmp_path / "runs"
    (runs / "scaling-3").mkdir(parents=True)
    (runs / "scaling-3/metrics.json").write_text("{}")
    (runs / ("scaling-3/metrics.json" if file == "metrics.json" else file)).write_text("{")
    code, said = bench("report", "--runs", runs, "--out", tmp_path / "out")
    assert (code, "a run cannot be read" in said, "Traceback" in said) == (2, True, False)
