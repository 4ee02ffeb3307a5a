"""One trial of the container commands: what is typed, what must be true after it, and a row of the record for each."""

import re
import secrets
import shlex
from collections.abc import Callable
from typing import Any

import msgspec

from experiments.containers_engine import Done, containers, leftovers, run
from experiments.world import ExperimentError

LIMIT_S, FOLLOW_S = 180.0, 4.0
DEPLOYED = {"etcd": 1, "scheduler": 1, "worker-1": 1, "worker-2": 1, "worker-3": 1}
"""Containers of each service after `up -d`."""

Expect = Callable[["Trial", Done], str | None]
"""Why the command did not do what it should; None where it did."""


class Step(msgspec.Struct, frozen=True):
    """One command of the source, and what must be true after it."""

    section: str
    command: str
    expect: Expect
    limit_s: float = LIMIT_S
    follows: bool = False
    """It goes on until Ctrl-C, and is given `FOLLOW_S` seconds."""


class Trial:
    """The commands with one compose, in a project of its own."""

    def __init__(self, words: str, tell: Callable[[str], None]) -> None:
        """`words`: how this compose is called. Raises ExperimentError where it is not installed."""
        self.words = words
        self.version = version_of(words)
        self.project = f"tandem-trial-{secrets.token_hex(4)}"
        self.rows: list[dict[str, Any]] = []
        self._tell = tell

    def command(self, text: str) -> list[str]:
        """`text` is written with docker-compose, as in the source."""
        return shlex.split(re.sub(r"^docker-compose\b", self.words, text))

    @property
    def environment(self) -> dict[str, str]:
        """Of every command: what the user's own environment says of his deployment must not reach ours."""
        return {"COMPOSE_PROJECT_NAME": self.project, "COMPOSE_FILE": "docker-compose.yml", "TANDEM_ETCD_PORT": ""}

    def do(self, step: Step) -> None:
        """Run one step and note what happened."""
        argv = self.command(step.command)
        self._tell(shlex.join(argv))
        done = run(argv, self.environment, FOLLOW_S if step.follows else step.limit_s)
        self.note(step.section, shlex.join(argv), done, self._judge(step, done), follows=step.follows)

    def note(self, section: str, command: str, done: Done, problem: str | None, **more: Any) -> None:
        """Keep a row of the record."""
        row = {"section": section, "command": command, "holds": problem is None, "problem": problem}
        row |= {"exit_code": done.exit_code, "seconds": done.seconds, "interrupted": done.interrupted, **more}
        self.rows.append({**row, **client_figures(done.output), "output": done.tail})
        if problem is not None:
            self._tell(f"  does not hold: {problem}")

    def record(self) -> dict[str, Any]:
        """All rows, and whether every one holds."""
        holds = all(row["holds"] for row in self.rows)
        return {"compose": self.words, "version": self.version, "holds": holds, "steps": self.rows}

    def _judge(self, step: Step, done: Done) -> str | None:
        if step.follows != done.interrupted:
            return f"it ended with {done.exit_code}" if step.follows else f"it did not end within {step.limit_s:.0f} s"
        if done.exit_code != 0 and not step.follows:
            return f"it ended with exit code {done.exit_code}"
        return step.expect(self, done)

    def remove(self) -> None:
        """Whatever is left of the project."""
        run(self.command("docker-compose down -v --remove-orphans"), self.environment, LIMIT_S)


def version_of(words: str) -> str:
    done = run([*words.split(), "version", "--short"], {}, LIMIT_S)
    if done.exit_code != 0 or not done.output.strip():
        raise ExperimentError(f"{words} is not installed")
    return done.output.strip().splitlines()[-1].lstrip("v")


# --- what must be true -------------------------------------------------------------------------------------------


def client_figures(output: str) -> dict[str, Any]:
    """What the client says at the end: tasks succeeded and failed, seconds, tasks a second. Empty for other output."""
    found = re.search(r"(\d+) succeeded, (\d+) failed, in ([\d.]+) s \(([\d,]+) tasks/s\)", output)
    if found is None:
        return {}
    succeeded, failed, seconds, rate = found.groups()
    return {
        "succeeded": int(succeeded),
        "failed": int(failed),
        "client_s": float(seconds),
        "tasks_per_s": int(rate.replace(",", "")),
    }


def serves(wanted: dict[str, int]) -> Expect:
    """So many containers of each service run, none was restarted, and there is no other."""

    def check(trial: Trial, _done: Done) -> str | None:
        found = containers(trial.project)
        if ill := [str(each) for each in found if not each.fine]:
            return "; ".join(ill)
        have = {name: sum(each.service == name for each in found) for name in {each.service for each in found}}
        return None if have == wanted else f"there run {have}, not {wanted}"

    return check


def did(count: int) -> Expect:
    """The client says that so many tasks succeeded."""

    def check(_trial: Trial, done: Done) -> str | None:
        figures = client_figures(done.output)
        return None if figures.get("succeeded") == count else f"the client did not report {count} tasks done"

    return check


def ended(*, more_than: int) -> Expect:
    """`tandem status --json` counts more tasks that have ended."""

    def check(_trial: Trial, done: Done) -> str | None:
        found = re.search(r'"ended": (\d+)', done.output)
        return None if found and int(found[1]) > more_than else f"not more than {more_than} tasks are kept"

    return check


def tells(*words: str) -> Expect:
    """The output holds these words."""

    def check(_trial: Trial, done: Done) -> str | None:
        missing = [word for word in words if word not in done.output]
        return f"the output does not tell of {', '.join(missing)}" if missing else None

    return check


def nothing_left(*, volumes: int) -> Expect:
    """No container and no network, and so many volumes."""

    def check(trial: Trial, _done: Done) -> str | None:
        left = leftovers(trial.project)
        kept = [each for each in left if each.startswith("volume")]
        return None if len(left) == len(kept) == volumes else f"there is left: {', '.join(left) or 'nothing'}"

    return check
