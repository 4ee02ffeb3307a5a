"""The trial of the container commands: how it judges, and how it ends what does not end. No engine takes part."""

import json
import stat
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from experiments import containers_engine, containers_trial
from experiments.containers import ENDING, STEPS, app, image_kept
from experiments.containers_engine import ROOT, Done, Running, run
from experiments.containers_trial import Step, Trial, client_figures, did, tells
from tests.cluster import alive, until

SAID = "submitted 1000 tasks\n1000 succeeded, 0 failed, in 0.42 s (2,381 tasks/s)\n"


def done(output: str = "", exit_code: int = 0, *, interrupted: bool = False) -> Done:
    return Done(exit_code, 1.0, interrupted, output)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs put here are found first."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def trial_with(folder: Path, text: str) -> Trial:
    program(folder, "docker-compose", f'if [ "$1" = version ]; then echo v9.8.7; exit; fi\n{text}\n')
    return Trial("docker-compose", lambda _: None)


def test_what_the_client_reports_is_read() -> None:
    assert client_figures(SAID) == {"succeeded": 1000, "failed": 0, "client_s": 0.42, "tasks_per_s": 2381}
    assert client_figures("no report") == {}


def test_a_command_is_judged_by_its_end_and_by_what_it_says(folder: Path) -> None:
    trial = trial_with(folder, f'echo "$COMPOSE_PROJECT_NAME"; printf "{SAID}"; exit 0')
    assert trial.version == "9.8.7"
    trial.do(Step("9.1", "docker-compose run --rm client --count=1000", did(1000)))
    trial.do(Step("9.1", "docker-compose run --rm client --count=999", did(999)))
    trial.do(Step("9.1", "docker-compose ps", tells("worker-7")))
    trial.do(Step("9.1", "docker-compose logs -f", tells("submitted"), follows=True))
    assert [row["holds"] for row in trial.rows] == [True, False, False, False]
    assert trial.rows[0]["tasks_per_s"] == 2381
    assert trial.rows[0]["output"][0] == trial.project
    assert trial.rows[3]["problem"] == "it ended with 0"  # a follower that ends by itself has failed
    assert trial.record()["holds"] is False


def test_a_bad_exit_code_is_no_success_whatever_was_said(folder: Path) -> None:
    trial = trial_with(folder, f'printf "{SAID}"; exit 3')
    trial.do(Step("9.1", "docker-compose run --rm client", did(1000)))
    assert trial.rows[0]["problem"] == "it ended with exit code 3"


def test_a_follower_is_ended_with_its_children(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers_trial, "FOLLOW_S", 0.5)
    monkeypatch.setattr(containers_engine, "END_TIMEOUT_S", 1.0)
    trial = trial_with(folder, "echo worker-1 is here; sleep 300 & echo $!; sleep 300")
    trial.do(Step("9.4", "docker-compose logs -f worker-1", tells("worker-1"), follows=True))
    (row,) = trial.rows
    assert row["holds"], row
    assert row["interrupted"]
    assert row["seconds"] < 20
    child = int(row["output"][1])
    until(lambda: not psutil.pid_exists(child) or not alive(psutil.Process(child)), "the child to end")


def test_a_command_that_hangs_does_not_hold(folder: Path) -> None:
    trial = trial_with(folder, "sleep 300")
    trial.do(Step("9.1", "docker-compose ps", tells(), limit_s=0.2))
    assert trial.rows[0]["problem"] == "it did not end within 0 s"


def test_v2_is_called_as_it_is_called() -> None:
    trial = Trial.__new__(Trial)
    trial.words = "docker compose"
    assert trial.command("docker-compose up -d --scale worker-1=5")[:4] == ["docker", "compose", "up", "-d"]
    assert trial.command("docker stats") == ["docker", "stats"]


def test_the_record_names_no_folder_and_keeps_the_last_lines() -> None:
    text = "".join(f"line {number}\n" for number in range(20)) + f"\x1b[31mBuilding {ROOT}/x\x1b[0m\r\n"
    tail = done(text).tail
    assert len(tail) == 8
    assert tail[-1] == "Building ./x"


def test_output_before_an_interrupt_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers_engine, "END_TIMEOUT_S", 1.0)
    ended = Running(["sh", "-c", "echo said; exec sleep 300"], {}).wait(0.5)
    assert ended.interrupted
    assert "said" in ended.output


def test_no_such_program_is_one_sentence() -> None:
    with pytest.raises(Exception, match="cannot be run: No such file"):
        run(["no-such-compose"], {}, 1.0)


def test_without_an_engine_there_is_one_sentence_and_no_record(folder: Path, tmp_path: Path) -> None:
    program(folder, "docker", 'echo "Cannot connect to the Docker daemon" >&2; exit 1')
    out = tmp_path / "containers.json"
    ended = CliRunner().invoke(app, ["--out", str(out)])
    assert ended.exit_code == 3
    assert ended.stderr == "python -m experiments.containers: docker info: Cannot connect to the Docker daemon\n"
    assert not out.exists()


def test_the_reference_record_says_that_the_commands_of_the_source_work() -> None:
    """What is committed is from a trial in which they did; whoever repeats it with another result must say so."""
    record = json.loads((ROOT / "reports" / "reference" / "containers.json").read_text())
    assert record["claim"] == "MET-1"
    assert record["trials"]
    for trial in record["trials"]:
        rows = [row for row in trial["steps"] if row["section"] != "beyond"]
        assert len(rows) == len(STEPS) + len(ENDING)
        assert [row["command"] for row in rows if not row["holds"]] == []


ENGINE = """
echo "$@" >> {calls}
case "$1 $2" in
  "image ls") grep -qx "$4" {images} && echo sha; exit 0 ;;
  "image inspect") echo '[{{"Id": "sha", "Size": 1}}]' ;;
  "image tag") echo "$4" >> {images} ;;
  "image rm") for name; do :; done; grep -vx "$name" {images} > {images}.new; mv {images}.new {images} ;;
esac
"""


@pytest.mark.parametrize("had", [["tandem"], []])
def test_the_trial_builds_its_own_image_and_puts_back_what_was_there(folder: Path, had: list[str]) -> None:
    images, calls = folder / "images", folder / "calls"
    images.write_text("".join(f"{name}\n" for name in had))
    program(folder, "docker", ENGINE.format(images=images, calls=calls))
    with image_kept():
        assert "tandem" not in images.read_text().split(), "compose would not build what is there"
        images.write_text(images.read_text() + "tandem\n")  # as compose does
    assert images.read_text().split() == had
