"""The command line as a user types it, against a real cluster."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from core.cli import app
from core.etcd.embedded import EmbeddedEtcd
from core.settings import WorkerSettings
from tests.cluster import Cluster, environment, tandem, until

SHOP = """
import subprocess
from core.handlers import Handlers
from prices import of

app = Handlers()

@app.handler("shop.total")
def total(payload, task):
    return {"total": sum(of(item) for item in payload), "attempt": task.attempt}

@app.handler("shop.broken")
def broken(payload):
    raise KeyError("no such shop")

@app.handler("shop.exit")
def leave(payload):
    raise SystemExit(5)

@app.handler("shop.unserialisable")
def unserialisable(payload):
    return object()

@app.handler("shop.child")
def child(payload):
    return subprocess.Popen(["sleep", "300"], close_fds=False).pid
"""


@pytest.fixture(scope="module")
def cluster(etcd: EmbeddedEtcd) -> Iterator[Cluster]:
    """A scheduler, and a worker with the user's own handlers from the folder where it was started."""
    settings = WorkerSettings(lease_ttl_s=60.0, slots=4)
    with Cluster(",".join(etcd.endpoints), "test-cli", worker=settings) as cluster:
        (cluster.folder / "shop.py").write_text(SHOP)
        (cluster.folder / "prices.py").write_text("def of(item):\n    return len(item)\n")
        cluster.start("scheduler-1")
        cluster.start("worker-1", more=("--app", "shop:app"))
        yield cluster
        cluster.drain()


def run(cluster: Cluster, *arguments: str) -> Result:
    """In this process: it is faster, and `test_installed_command` does it the long way round."""
    where = {"TANDEM_ETCD_ENDPOINTS": cluster.endpoints, "TANDEM_NAMESPACE": cluster.namespace, "COLUMNS": "200"}
    return CliRunner().invoke(app, arguments, env=where)


def submitted(result: Result) -> list[str]:
    return re.findall(r"^[0-9a-f]{32}$", result.stdout, re.MULTILINE)


def only_task(cluster: Cluster, result: Result) -> dict[str, object]:
    """What `tandem task --json` says of the one task that was submitted."""
    (task_id,) = submitted(result)
    shown = run(cluster, "task", task_id, "--json")
    assert shown.exit_code == 0, shown.output
    task: dict[str, object] = json.loads(shown.stdout)
    return task


def test_installed_command(cluster: Cluster) -> None:
    """A process of its own; the options go before the environment."""
    where = ("--etcd-endpoints", cluster.endpoints, "--namespace", cluster.namespace)
    done = tandem(
        "submit", "--type", "echo", "--count", "50", "--wait", *where, env={"TANDEM_ETCD_ENDPOINTS": "127.0.0.1:1"}
    )
    assert done.returncode == 0, done.stderr
    assert "50 succeeded, 0 failed" in done.stdout
    assert "... and 40 more" in done.stdout
    assert "Traceback" not in done.stderr


def test_users_handlers(cluster: Cluster) -> None:
    payload = json.dumps(["tea", "bread"])
    result = run(cluster, "submit", "--type", "shop.total", "--payload", payload, "--wait", "--priority", "0")
    assert result.exit_code == 0, result.output
    task = only_task(cluster, result)
    assert task["state"] == "done"
    assert task["outcome"]["result"] == {"total": 8, "attempt": 1}  # type: ignore[index]
    assert task["spec"]["priority"] == 0  # type: ignore[index]
    shown = run(cluster, "task", str(task["id"]))
    assert "shop.total, default, 0" in shown.stdout
    assert '{"total":8,"attempt":1}' in shown.stdout


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        ("shop.broken", "KeyError: 'no such shop'"),
        ("shop.exit", "SystemExit: 5"),
        ("shop.unserialisable", "the handler's return value is not JSON"),
    ],
)
def test_handlers_that_fail(cluster: Cluster, handler: str, error: str) -> None:
    """The task fails, the worker goes on, the user reads why."""
    result = run(cluster, "submit", "--type", handler, "--max-attempts", "1", "--wait")
    assert result.exit_code == 1
    assert "0 succeeded, 1 failed" in result.stdout
    assert error in result.stdout
    task = only_task(cluster, result)
    assert task["state"] == "dead"
    shown = run(cluster, "task", str(task["id"]))
    assert error in shown.stdout


def test_retries_then_success_then_death(cluster: Cluster) -> None:
    """`fail` with `times`: so many attempts fail; with fewer attempts than that the task is dead."""
    again = run(cluster, "submit", "--type", "fail", "--payload", '{"times": 1}', "--max-attempts", "2", "--wait")
    assert again.exit_code == 0, again.output
    assert only_task(cluster, again)["attempt"] == 2
    dead_before = cluster.look().dead.get("default", 0)
    result = run(cluster, "submit", "--type", "fail", "--payload", '{"times": 2}', "--max-attempts", "2", "--wait")
    assert result.exit_code == 1
    assert "this task fails on purpose" in result.stdout
    task = only_task(cluster, result)
    assert (task["state"], task["attempt"]) == ("dead", 2)
    assert cluster.look().dead["default"] == dead_before + 1


def test_task_that_waits_for_its_retry(cluster: Cluster) -> None:
    result = run(cluster, "submit", "--type", "fail", "--max-attempts", "9")
    (task_id,) = submitted(result)
    until(lambda: "waits" in run(cluster, "task", task_id).stdout or cluster.look().later > 0, "the retry to wait")
    shown = run(cluster, "task", task_id)
    assert "this task fails on purpose" in shown.stdout
    assert "(of 9)" in shown.stdout


def test_timeout_says_that_the_task_goes_on(cluster: Cluster) -> None:
    result = run(cluster, "submit", "--payload", '{"duration_s": 2}', "--wait", "--timeout", "0.2")
    assert result.exit_code == 4
    assert "it goes on: see `tandem task " in result.stderr
    (task_id,) = submitted(result)
    until(lambda: json.loads(run(cluster, "task", task_id, "--json").stdout)["state"] == "done", "the task to end")


def test_status(cluster: Cluster) -> None:
    result = run(cluster, "status", "--json")
    assert result.exit_code == 0, result.output
    whole = json.loads(result.stdout)
    assert [worker["name"] for worker in whole["workers"]] == ["worker-1"]
    assert whole["workers"][0]["slots"] == 4
    assert "shop.total" in whole["workers"][0]["types"]
    (scheduler,) = whole["schedulers"]
    assert scheduler["name"]
    assert scheduler["pid"] > 0
    assert whole["foreign"] == []
    text = run(cluster, "status")
    assert text.exit_code == 0
    assert whole["workers"][0]["id"] in text.stdout
    assert "/ 4" in text.stdout
    assert str(scheduler["pid"]) in text.stdout


def test_unknown_task(cluster: Cluster) -> None:
    for task_id in ("0" * 32, "nonsense", ""):
        result = run(cluster, "task", task_id)
        assert result.exit_code == 1
        assert f"there is no task {task_id}" in result.stderr


def test_numbers_arrive_as_they_were_typed(cluster: Cluster) -> None:
    """Also those that a decoder would round."""
    payload = '{"n": 123456789012345678, "x": 0.1000}'
    result = run(cluster, "submit", "--payload", payload, "--wait")
    assert result.exit_code == 0, result.output
    shown = run(cluster, "task", submitted(result)[0], "--json")
    assert "123456789012345678" in shown.stdout
    assert "0.1000" in shown.stdout


def test_worker_killed_while_a_handlers_child_lives(cluster: Cluster) -> None:
    """A program that a handler left behind keeps what it inherited, and must not hide the death from the nanny."""
    result = run(cluster, "submit", "--type", "shop.child", "--wait")
    assert result.exit_code == 0, result.output
    left = psutil.Process(only_task(cluster, result)["outcome"]["result"])  # type: ignore[index]
    (before,) = cluster.ids("worker-1")
    worker = cluster.worker_process("worker-1")
    try:
        worker.kill()
        until(lambda: cluster.ids("worker-1") not in ([before], []), "the nanny to notice and start another")
    finally:
        left.kill()


@pytest.mark.parametrize("command", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_help_has_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0
    assert f"Example: tandem {command}" in result.stdout


def test_no_command_shows_help() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "core.cli"], env=environment(), capture_output=True, text=True, timeout=30, check=False
    )
    assert "submit" in done.stdout + done.stderr
    assert done.returncode in (0, 2)


def test_app_is_found_from_the_current_folder_only(tmp_path: Path) -> None:
    done = tandem("worker", "--app", "shop:app", "--etcd-endpoints", "127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == 2
    assert "No module named 'shop'" in done.stderr
