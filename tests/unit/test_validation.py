"""`tandem-bench validate`: what is run and what is kept, the bands, and the whole of it with the model on both sides.

Here the model stands in for the real system, with other randomness of its own: the plumbing can be followed without
etcd, and the answer is known: no error.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from experiments.cli import app
from experiments.scenario import ScenarioError
from experiments.schema import Scenario
from experiments.simulated import SimulatedWorld
from experiments.validation import analysis, bands, command, engine, region, store
from experiments.validation.bands import Band, Bands
from experiments.validation.catalogue import cases
from experiments.validation.engine import Plan, Step
from experiments.validation.results import Validation
from experiments.workload import Workload
from experiments.world import Measured, Tell
from reports import validation as page
from reports.runs import ReportError
from sim import parameters

QUICK = {"quick": True, "real": 2, "simulated": 2}


class Pretended(SimulatedWorld):
    """The model in the place of the real system. `ran`: the repetitions that were asked of it."""

    ran: list[tuple[str, int]]
    fails_at: int | None

    def run(self, one: Scenario, workload: Workload, tell: Tell) -> Measured:
        if len(self.ran) == self.fails_at:
            raise KeyboardInterrupt
        self.ran.append((one.name, workload.repetition))
        measured = super().run(one, workload, tell)
        measured.environment["etcd"] = {"version": "3.4.23", "origin": "none", "put_p50_ms": 1.0}
        return measured


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> type[Pretended]:
    class Fresh(Pretended):
        ran: list[tuple[str, int]] = []  # noqa: RUF012 - of this test
        fails_at = None

    def worlds_of(names: Sequence[str]) -> dict[str, Any]:
        assert names == ["real"]
        return {"real": lambda one: Fresh(one, replica=77)}

    monkeypatch.setattr(engine, "worlds_of", worlds_of)
    return Fresh


def plan(out: Path, *names: str, **changes: Any) -> Plan:
    return Plan(cases(names or ("idle",), **QUICK), out, **{"jobs": 1, **changes})  # type: ignore[arg-type]


# --- what is run, and what is kept -------------------------------------------------------------------------------


def test_repetitions_of_all_scenarios_are_interleaved_and_each_is_simulated(
    tmp_path: Path, pretended: type[Pretended]
) -> None:
    steps: list[Step] = []
    engine.run(plan(tmp_path, "idle", "burst-none"), steps.append)
    assert pretended.ran == [("idle", 0), ("burst-none", 0), ("idle", 1), ("burst-none", 1)]
    done = sorted(str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob(store.DONE))
    assert done == [
        *(f"runs/burst-none/{which}" for which in ("real/0", "real/1", "sim/0.0", "sim/1.0")),
        *(f"runs/idle/{which}" for which in ("real/0", "real/1", "sim/0.0", "sim/1.0")),
    ]
    assert steps[-1].done_s == pytest.approx(steps[-1].total_s)
    assert [one.done_s for one in steps] == sorted(one.done_s for one in steps)


def test_what_is_finished_is_not_repeated_and_what_has_changed_is(tmp_path: Path, pretended: type[Pretended]) -> None:
    engine.run(plan(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob(store.DONE)}
    engine.run(plan(tmp_path))
    assert len(pretended.ran) == 2
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob(store.DONE)}
    (tmp_path / "runs/idle/sim/1.0" / store.DONE).unlink()  # as an interrupted repetition leaves it
    more = Plan(cases(["idle"], quick=True, real=3, simulated=3), tmp_path, jobs=1)
    engine.run(more)
    assert pretended.ran[2:] == [("idle", 2)]
    assert store.is_done(tmp_path / "runs/idle/sim/1.0", store.sim_key(more.cases[0].scenario, None, "station"))
    engine.run(Plan(cases(["idle"], **QUICK, seed=5), tmp_path, jobs=1))  # type: ignore[arg-type]
    assert len(pretended.ran) == 5


def test_an_interrupted_validation_goes_on_where_it_was(tmp_path: Path, pretended: type[Pretended]) -> None:
    pretended.fails_at = 1
    with pytest.raises(KeyboardInterrupt):
        engine.run(plan(tmp_path))
    pretended.fails_at = None
    engine.run(plan(tmp_path))
    assert pretended.ran == [("idle", 0), ("idle", 1)]


def test_the_model_alone_takes_real_runs_that_fit_and_no_others(tmp_path: Path, pretended: type[Pretended]) -> None:
    engine.run(plan(tmp_path / "a"))
    engine.run(plan(tmp_path / "b", real_from=tmp_path / "a"))
    assert len(pretended.ran) == 2
    assert not (tmp_path / "b/runs/idle/real").exists()
    assert len(list((tmp_path / "b/runs/idle/sim").iterdir())) == 2
    other_seed = Plan(cases(["idle"], **QUICK, seed=5), tmp_path / "b", real_from=tmp_path / "a")  # type: ignore[arg-type]
    for unfit in (other_seed, plan(tmp_path / "b", "burst-none", real_from=tmp_path / "a")):
        with pytest.raises(ScenarioError, match="has no real repetition 0"):
            engine.run(unfit)


def test_a_repetition_is_known_by_what_it_depends_on(tmp_path: Path) -> None:
    one, two, seeded = (cases(["idle"], **changes)[0].scenario for changes in ({}, {"real": 3}, {"seed": 9}))  # type: ignore[arg-type]
    assert store.real_key(one) == store.real_key(two) != store.real_key(seeded)
    profile = tmp_path / "profile.json"
    profile.write_bytes(parameters.REFERENCE.read_bytes())
    key = store.sim_key(one, None, "station")
    assert store.sim_key(one, profile, "station") == key  # the same numbers
    profile.write_bytes(parameters.REFERENCE.read_bytes() + b" ")
    assert key not in {store.sim_key(one, profile, "station"), store.sim_key(one, None, "constant")}
    files = cases(["bursts", "tail-pareto"])
    assert len({store.real_key(case.scenario) for case in files}) == 2


# --- the whole of it ---------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> command.Files:
    return command.Files(tmp_path / "bands.toml", tmp_path / "region.json")


def test_the_model_has_no_error_against_itself(
    tmp_path: Path, files: command.Files, pretended: type[Pretended], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("idle", "burst-none", "host-kill")
    whole = plan(tmp_path, *names, refinements=("station", "constant"))
    findings = command.validate(whole, quick=False, files=files)
    assert {one.verdict for one in findings} == {"not recorded"}
    found = msgspec.json.decode((tmp_path / command.FILE).read_bytes(), type=Validation)
    assert [one.name for one in found.results] == list(names)
    for result in found.results:
        throughput = next(one for one in result.figures if one.key == "throughput_per_s")
        # two runs of a burst differ by what the model draws; under an open load the arrivals say it all
        assert throughput.error == pytest.approx(0.0, abs=0.3 if result.name == "burst-none" else 0.02)
        assert (result.real, result.simulated, result.unfinished) == (2, 2, 0)
    execution = next(one for one in found.results[0].stages if one.stage == "execution")
    assert execution.met, execution
    recovery = next(one for one in found.results[2].figures if one.key == "recovery_s")
    assert recovery.real == pytest.approx(2.0, abs=0.7)  # a lease of 2 s, kept alive every third of it
    assert found.rankings[0].tau == pytest.approx(1.0)
    assert [one.refinement for one in found.gains] == ["station", "constant"]
    said = capsys.readouterr().out
    assert "host-kill: 5 x 10 slots" in said
    assert max(len(line.rstrip()) for line in said.splitlines()) <= 100


def test_errors_that_are_recorded_are_within_their_bands_and_others_fail(
    tmp_path: Path, files: command.Files, pretended: type[Pretended]
) -> None:
    command.validate(plan(tmp_path), quick=False, reason="as it is", files=files)
    findings = command.validate(plan(tmp_path), quick=False, files=files)
    assert {one.verdict for one in findings} == {"within"}
    (point,) = region.load_region(files.region).points
    assert (point.scenario, point.workers, point.slots, point.rate_per_s) == ("idle", 3, 10, 20.0)
    assert point.utilisation == pytest.approx(20 * 0.01 / 30)
    worse = bands.read(files.bands)
    key = "latency_s.overhead.p50"
    moved = {**worse.full["idle"].figures, key: Band(-0.5, 0.01, 0.05), "makespan_s": Band(0.4, 0.01, 0.05)}
    moved["recovery_s"] = Band(0.0, 0.0, 0.1)
    bands.write(Bands(full={"idle": msgspec.structs.replace(worse.full["idle"], figures=moved)}), files.bands)
    findings = command.validate(plan(tmp_path), quick=False, files=files)
    verdicts = {one.figure: one.verdict for one in findings}
    # from -50 % or 40 % to next to nothing is better, and no failure
    assert (verdicts[key], verdicts["makespan_s"], verdicts["recovery_s"]) == ("better", "better", "not measured")
    failures, sentence = command.told(findings)
    assert [line.partition(":")[0] for line in failures] == ["idle, recovery_s"]
    assert "2 better, 1 beyond" in sentence


def test_quick_errors_have_bands_of_their_own_and_are_no_region(
    tmp_path: Path, files: command.Files, pretended: type[Pretended]
) -> None:
    command.validate(plan(tmp_path), quick=True, reason="quick", files=files)
    recorded = bands.read(files.bands)
    assert (list(recorded.quick), list(recorded.full)) == (["idle"], [])
    assert not files.region.exists()


def test_the_page_and_the_figures(tmp_path: Path, files: command.Files, pretended: type[Pretended]) -> None:
    command.validate(plan(tmp_path, "idle", "burst-none"), quick=True, files=files)
    text = page.write(tmp_path).read_text()
    assert "| idle | watch | 1 | 3 x 10 | 1 | poisson | 20 |" in text
    assert "### burst-none" in text
    assert "undefined" not in text.lower()
    for name in ("errors.svg", "latency.svg"):
        drawn = (tmp_path / name).read_text()
        assert drawn.startswith("<?xml")
    (tmp_path / page.FILE).write_text("[]")
    with pytest.raises(ReportError, match="is not of 'tandem-bench validate'"):
        page.write(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--scenario", "idel"], "did you mean idle?"),
        (["--runs", "somewhere"], "--runs goes with --sim-only"),
        (["--record", "  "], "--record needs a reason"),
        (["--sim-only", "--scenario", "idle", "--out", "nowhere"], "has no real repetition 0 of idle"),
        (["--profile", "nowhere.json"], "cannot read model parameters nowhere.json"),
    ],
)
def test_a_users_mistake_is_one_sentence(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["validate", *arguments])
    assert done.exit_code == 2
    assert not list(tmp_path.rglob(store.DONE))
    assert says in done.stderr
    assert "Traceback" not in done.stderr


# --- a machine as quick as the calibrated one --------------------------------------------------------------------


@pytest.mark.parametrize(("name", "told"), [("idle", True), ("etcd-3", False), ("disk-slow-2ms", False)])
def test_the_page_says_what_is_left_where_the_machine_was_alike(
    tmp_path: Path, pretended: type[Pretended], name: str, *, told: bool
) -> None:
    """The pretended put takes 1 ms, as in the profile: all repetitions are alike, and both errors are the same."""
    assert pretended.fails_at is None
    engine.run(plan(tmp_path, name))
    found = analysis.validation(plan(tmp_path, name), quick=True)
    (result,) = found.results
    assert bool(result.alike) == told
    (tmp_path / page.FILE).write_bytes(msgspec.json.encode(found))
    text = page.write(tmp_path).read_text()
    assert ("## Where the machine was as quick" in text) == told
    if told:
        (whole,) = [one for one in result.figures if one.key == "latency_s.overhead.p50"]
        error = page.signed(whole.error)
        assert f"| {error} / {error} |" in text
