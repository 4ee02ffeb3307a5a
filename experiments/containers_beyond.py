"""What goes beyond the source's commands: a scenario on the deployment, and parts killed, drained, started too early.

Each fault submits tasks, breaks something while they run, and wants every task done. Rows of these have the section
"beyond".
"""

import json
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from experiments.containers_engine import Container, Running, ask, containers, run
from experiments.containers_trial import DEPLOYED, LIMIT_S, Step, Trial, did, nothing_left, serves
from experiments.world import ExperimentError

SECTION = "beyond"
COMPOSE = "docker-compose"
CLUSTER = "docker-compose -f docker-compose.cluster.yml"
CLUSTERED = {
    **dict.fromkeys(("etcd-1", "etcd-2", "etcd-3", "scheduler-1", "scheduler-2", "worker-1", "worker-2", "worker-3"), 1)
}
CLIENT = "run --rm client --etcd-endpoints=etcd:2379 --type=echo"
SCENARIO = "scaling-3"
"""The source's set-up: one scheduler, three workers of ten slots, tasks of one second."""
SEEN_TIMEOUT_S = 60.0
GRACE_S = 40.0
"""`stop_grace_period` of the compose file: what takes longer was killed."""
LATE_S = 6.0
"""How long the others wait for an etcd that starts after them."""

Break = Callable[[Trial], tuple[str, str | None]]
"""Breaks something; the command that did it, and what went wrong with it."""


def scenario_deployed(trial: Trial) -> None:
    """A scenario, submitted from outside to the schedulers and workers in the containers."""
    trial.do(Step(SECTION, f"{COMPOSE} up -d", serves(DEPLOYED)))
    endpoint = run(trial.command(f"{COMPOSE} port etcd 2379"), trial.environment, LIMIT_S).tail[-1:]
    with tempfile.TemporaryDirectory(prefix="tandem-trial-") as folder:
        options = f"run {SCENARIO} --quick --world real --deployed"
        where = ["--etcd-endpoints", *endpoint, "--out", folder]
        done = run([sys.executable, "-m", "experiments.cli", *options.split(), *where], {}, LIMIT_S)
        problem, figures = f"it ended with exit code {done.exit_code}", {}
        if done.exit_code == 0:
            found = json.loads((Path(folder) / "metrics.json").read_text())["real"]
            figures = {key: found[key] for key in ("submitted", "completed", "lost", "committed_twice")}
            figures["throughput_per_s"] = found["throughput_per_s"]["value"]
            figures["total_p50_s"] = found["latency_s"]["total"]["p50"]["value"]
            figures["enqueue_p50_s"] = found["latency_s"]["enqueue"]["p50"]["value"]
            whole = figures["completed"] == figures["submitted"] and not figures["lost"]
            problem = "" if whole else "not every task was done"
    command = f"tandem-bench {options} --etcd-endpoints $(docker-compose port etcd 2379)"
    trial.note(SECTION, command, done, problem or None, what="a scenario on the deployed processes", figures=figures)


def _while_tasks_run(trial: Trial, what: str, tasks: tuple[int, float], breaks: Break, compose: str = COMPOSE) -> None:
    """Submit `tasks` (number, seconds each), break something once they run, and wait for them all."""
    count, duration_s = tasks
    command = f"{compose} {CLIENT} --count={count} --payload='{{\"duration_s\": {duration_s}}}'"
    client = Running(trial.command(command), trial.environment)
    try:
        _wait_running(trial, compose)
        broken, problem = breaks(trial)
    except ExperimentError as error:
        broken, problem = "(nothing)", str(error)
    finally:
        done = client.wait(LIMIT_S)
    argv = shlex.join(trial.command(command))
    trial.note(SECTION, argv, done, problem or did(count)(trial, done), what=what, meanwhile=broken)
    # whatever is missing comes back
    trial.do(Step(SECTION, f"{compose} up -d", serves(DEPLOYED if compose == COMPOSE else CLUSTERED)))


def _wait_running(trial: Trial, compose: str) -> None:
    """Until a task runs. Raises ExperimentError where none does."""
    status = trial.command(f"{compose} exec -T worker-3 tandem status --json")
    until = time.monotonic() + SEEN_TIMEOUT_S
    while time.monotonic() < until:
        done = run(status, trial.environment, LIMIT_S)
        found = re.search(r"^\{.*^\}", done.output, re.DOTALL | re.MULTILINE)
        if done.exit_code == 0 and found and json.loads(found[0])["running"]:
            return
    raise ExperimentError("no task was seen running")


def _one(trial: Trial, service: str) -> Container:
    return next(each for each in containers(trial.project) if each.service == service)


def _kill(service: str, *then: str) -> Break:
    """`docker kill` a container of a service, then run commands."""

    def breaks(trial: Trial) -> tuple[str, str | None]:
        ask("kill", _one(trial, service).id)
        told = [f"docker kill ({service})"]
        for command in then:
            argv = trial.command(command)
            done = run(argv, trial.environment, LIMIT_S)
            told.append(shlex.join(argv))
            if done.exit_code != 0:
                return "; ".join(told), f"{command} ended with exit code {done.exit_code}"
        return "; ".join(told), None

    return breaks


def _stop_worker(trial: Trial) -> tuple[str, str | None]:
    argv = trial.command(f"{COMPOSE} stop worker-2")
    done = run(argv, trial.environment, LIMIT_S)
    ended = _one(trial, "worker-2")
    drained = done.exit_code == ended.exit_code == 0 and done.seconds < GRACE_S
    told = f"{shlex.join(argv)} ({done.seconds:.1f} s, exit code {ended.exit_code})"
    return told, None if drained else f"worker-2 did not drain: {ended}"


def worker_killed(trial: Trial) -> None:
    _while_tasks_run(trial, "a worker is killed, nanny and all", (300, 1.0), _kill("worker-1"))


def etcd_killed(trial: Trial) -> None:
    broken = _kill("etcd", f"{COMPOSE} up -d etcd")
    _while_tasks_run(trial, "etcd is killed and started again", (300, 1.0), broken)


def worker_drained(trial: Trial) -> None:
    _while_tasks_run(trial, "a worker is stopped: it drains", (90, 3.0), _stop_worker)


def etcd_comes_late(trial: Trial) -> None:
    """Everything else is started first: it waits, and nothing is restarted."""
    trial.do(Step(SECTION, f"{COMPOSE} down -v", nothing_left(volumes=0)))
    early = {name: count for name, count in DEPLOYED.items() if name != "etcd"}
    trial.do(Step(SECTION, f"{COMPOSE} up -d --no-deps {' '.join(early)}", serves(early)))
    time.sleep(LATE_S)
    trial.do(Step(SECTION, f"{COMPOSE} up -d", serves(DEPLOYED)))
    trial.do(Step(SECTION, f"{COMPOSE} {CLIENT} --count=10", did(10)))
    trial.do(Step(SECTION, f"{COMPOSE} ps", serves(DEPLOYED)))


def cluster(trial: Trial) -> None:
    """The file with three members and two schedulers: one of each may go. Nothing else of the project is there."""
    trial.do(Step(SECTION, f"{CLUSTER} up -d", serves(CLUSTERED)))
    trial.do(Step(SECTION, f"{CLUSTER} {CLIENT} --count=1000", did(1000)))
    for service in ("etcd-1", "scheduler-1"):
        _while_tasks_run(trial, f"{service} of the cluster is killed", (200, 1.0), _kill(service), CLUSTER)
    trial.do(Step(SECTION, f"{CLUSTER} down -v", nothing_left(volumes=0)))


BEFORE_THE_END = (scenario_deployed, worker_killed, etcd_killed, worker_drained, etcd_comes_late)
AFTER_THE_END = (cluster,)
