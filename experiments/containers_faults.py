"""What goes beyond the source's commands: a deployment whose parts are killed, drained and started in the wrong order.

Each fault submits tasks, breaks something while they run, and wants every task done. Rows of these have the section
"beyond".
"""

import json
import re
import shlex
import time
from collections.abc import Callable

from experiments.containers_engine import Container, Running, ask, containers, run
from experiments.containers_trial import DEPLOYED, LIMIT_S, Step, Trial, did, nothing_left, serves
from experiments.world import ExperimentError

SECTION = "beyond"
CLIENT = "docker-compose run --rm client --etcd-endpoints=etcd:2379 --type=echo"
STATUS = "docker-compose exec -T scheduler tandem status --json"
SEEN_TIMEOUT_S = 60.0
GRACE_S = 40.0
"""`stop_grace_period` of the compose file: what takes longer was killed."""
LATE_S = 10.0
"""How long the others wait for an etcd that starts after them."""

Break = Callable[[Trial], tuple[str, str | None]]
"""Breaks something; the command that did it, and what went wrong with it."""


def _while_tasks_run(trial: Trial, what: str, count: int, duration_s: float, breaks: Break) -> None:
    """Submit `count` tasks of `duration_s`, break something once they run, and wait for them all."""
    command = f"{CLIENT} --count={count} --payload='{{\"duration_s\": {duration_s}}}'"
    client = Running(trial.command(command), trial.environment)
    problem: str | None = "the client was not waited for"
    try:
        _wait_running(trial)
        broken, problem = breaks(trial)
    except ExperimentError as error:
        broken, problem = "(nothing)", str(error)
    finally:
        done = client.wait(LIMIT_S)
    problem = problem or did(count)(trial, done)
    trial.note(SECTION, command, done, problem, what=what, meanwhile=broken)
    trial.do(Step(SECTION, "docker-compose up -d", serves(DEPLOYED)))  # whatever is missing comes back


def _wait_running(trial: Trial) -> None:
    """Until a task runs. Raises ExperimentError where none does."""
    until = time.monotonic() + SEEN_TIMEOUT_S
    while time.monotonic() < until:
        done = run(trial.command(STATUS), trial.environment, LIMIT_S)
        found = re.search(r"^\{.*^\}", done.output, re.DOTALL | re.MULTILINE)
        if done.exit_code == 0 and found and json.loads(found[0])["running"]:
            return
    raise ExperimentError("no task was seen running")


def _one(trial: Trial, service: str) -> Container:
    return next(each for each in containers(trial.project) if each.service == service)


def _kill(service: str) -> Break:
    def breaks(trial: Trial) -> tuple[str, str | None]:
        ask("kill", _one(trial, service).id)
        return f"docker kill (a container of {service})", None

    return breaks


def _kill_etcd_and_start_it_again(trial: Trial) -> tuple[str, str | None]:
    command = "docker-compose up -d etcd"
    ask("kill", _one(trial, "etcd").id)
    done = run(trial.command(command), trial.environment, LIMIT_S)
    problem = None if done.exit_code == 0 else f"{command} ended with exit code {done.exit_code}"
    return f"docker kill (etcd); {shlex.join(trial.command(command))}", problem


def _stop_worker(trial: Trial) -> tuple[str, str | None]:
    command = "docker-compose stop worker-2"
    done = run(trial.command(command), trial.environment, LIMIT_S)
    ended = _one(trial, "worker-2")
    problem = None
    if done.exit_code != 0 or ended.exit_code != 0 or done.seconds > GRACE_S:
        problem = f"{command} took {done.seconds:.0f} s and left {ended}"
    return f"{shlex.join(trial.command(command))} ({done.seconds:.1f} s, exit code {ended.exit_code})", problem


def worker_killed(trial: Trial) -> None:
    _while_tasks_run(trial, "a worker is killed, nanny and all", 300, 1.0, _kill("worker-1"))


def etcd_killed(trial: Trial) -> None:
    _while_tasks_run(trial, "etcd is killed and started again", 300, 0.5, _kill_etcd_and_start_it_again)


def worker_drained(trial: Trial) -> None:
    _while_tasks_run(trial, "a worker is stopped: it drains", 60, 3.0, _stop_worker)


def etcd_comes_late(trial: Trial) -> None:
    """Everything else is started first: it waits, and nothing is restarted."""
    trial.do(Step(SECTION, "docker-compose down -v", nothing_left(volumes=0)))
    early = {name: count for name, count in DEPLOYED.items() if name != "etcd"}
    trial.do(Step(SECTION, f"docker-compose up -d --no-deps {' '.join(early)}", serves(early)))
    time.sleep(LATE_S)
    trial.do(Step(SECTION, "docker-compose up -d", serves(DEPLOYED)))
    trial.do(Step(SECTION, f"{CLIENT} --count=10", did(10)))
    trial.do(Step(SECTION, "docker-compose ps", serves(DEPLOYED)))


FAULTS = (worker_killed, etcd_killed, worker_drained, etcd_comes_late)
