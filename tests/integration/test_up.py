"""`tandem up`: everything on one machine until Ctrl-C, and nothing left behind."""

import json
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cluster import family, tandem, until
from tests.up import PATIENCE_S, Up


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tandem-test-") as name:
        yield Path(name)


def test_up_submit_status_task_and_ctrl_c(folder: Path) -> None:
    """The first minutes of a new user, command by command."""
    settings = folder / "settings.toml"
    settings.write_text("[worker]\nslots = 4\n")
    up = Up(folder, "--workers", "2", "--config", str(settings))
    try:
        up.wait(workers=2)
        assert "slots in all: 8" in up.text()
        done = tandem("submit", "--type", "echo", "--count", "50", "--wait", env=up.env)
        assert done.returncode == 0, done.stderr
        assert "50 succeeded, 0 failed" in done.stdout
        status = tandem("status", "--json", env=up.env)
        whole = json.loads(status.stdout)
        assert sorted(worker["name"] for worker in whole["workers"]) == ["worker-1", "worker-2"]
        assert {worker["slots"] for worker in whole["workers"]} == {4}
        (task_id, *_) = re.findall(r"^[0-9a-f]{32}$", done.stdout, re.MULTILINE)
        task = tandem("task", task_id, env=up.env)
        assert task.returncode == 0
        assert "done" in task.stdout
        os.killpg(up.process.pid, signal.SIGINT)  # what the terminal does at Ctrl-C
        assert up.ends() == 0
        settings.unlink()
        assert up.leftover() == []
        assert "Traceback" not in up.text()
        after = tandem("status", env={**up.env, "TANDEM_ETCD_ENDPOINTS": "127.0.0.1:1"})
        assert after.returncode == 3
    finally:
        up.close()


@pytest.mark.slow_faults
def test_two_ctrl_c_in_a_row(folder: Path) -> None:
    """Impatience does not break the orderly end."""
    up = Up(folder, "--workers", "1", "--slots", "1")
    try:
        up.wait(workers=1)
        os.killpg(up.process.pid, signal.SIGINT)
        os.killpg(up.process.pid, signal.SIGINT)
        assert up.ends() == 0
        assert up.leftover() == []
    finally:
        up.close()


@pytest.mark.slow_faults
def test_up_killed(folder: Path) -> None:
    """Kill -9: etcd and its data go; schedulers and workers notice that nobody looks after them."""
    up = Up(folder, "--workers", "1")
    try:
        up.wait(workers=1)
        up.process.kill()
        up.ends()
        after = tandem("status", env=up.env)  # the state file still stands, and is not believed
        assert after.returncode == 3
        assert "no etcd answers at 127.0.0.1:2379" in after.stderr
        assert [name for name in up.leftover() if not name.startswith("tandem-up")] == []
    finally:
        up.close()


def test_ctrl_c_while_starting(folder: Path) -> None:
    """Before anything is registered: still nothing is left."""
    up = Up(folder, "--workers", "1")
    try:
        until(lambda: "Ctrl-C stops everything" in up.text(), "the first processes", PATIENCE_S)
        up._seen.update(family(up.process))
        os.killpg(up.process.pid, signal.SIGINT)
        assert up.ends() == 0
        assert up.leftover() == []
        assert "Traceback" not in up.text()
    finally:
        up.close()


def test_what_dies_is_started_again(folder: Path) -> None:
    """Kill -9 of the scheduler and of etcd: what was acknowledged is still done."""
    up = Up(folder, "--workers", "1", "--slots", "2")
    try:
        up.wait(workers=1)
        sent = tandem("submit", "--payload", '{"duration_s": 0.05}', "--count", "60", env=up.env)
        assert sent.returncode == 0, sent.stderr
        for what, mark in (("scheduler-1", "core.cli scheduler"), ("etcd", "--data-dir")):
            victim = next(one for one in family(up.process) if mark in " ".join(one.cmdline()))
            victim.kill()
            until(partial(up.said, f"{what} has ended"), f"the restart of {what}", PATIENCE_S)

        def all_ended() -> bool:
            status = tandem("status", "--json", env=up.env)
            return status.returncode == 0 and json.loads(status.stdout)["ended"] == 60

        until(all_ended, f"every task to end; {up.text()}", PATIENCE_S)
        assert "scheduler-1 has ended with signal SIGKILL: starting it again" in up.text()
        os.killpg(up.process.pid, signal.SIGINT)
        assert up.ends() == 0
        assert up.leftover() == []
    finally:
        up.close()


def test_two_at_once_do_not_hide_each_other(folder: Path) -> None:
    """Commands find the newer one, and the older one again when that has ended."""
    first = Up(folder, "--workers", "1")
    try:
        first.wait(workers=1)
        second = Up(folder, "--workers", "1")
        try:
            second.wait(workers=1)
            assert "another `tandem up` runs" in second.text()
            os.killpg(second.process.pid, signal.SIGINT)
            assert second.ends() == 0
        finally:
            second.close()
        status = tandem("status", "--json", env=first.env)
        assert status.returncode == 0, status.stderr
        os.killpg(first.process.pid, signal.SIGINT)
        assert first.ends() == 0
    finally:
        first.close()
