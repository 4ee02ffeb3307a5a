"""Commands of a container engine, run as a person types them, with time limits; and what the engine says it has."""

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from experiments.world import ExperimentError

ROOT = Path(__file__).parents[1]
ASK_TIMEOUT_S = 30.0
END_TIMEOUT_S = 10.0
"""From Ctrl-C to the end of a command: compose tells the engine, which may be busy."""
TAIL_LINES, TAIL_CHARS = 8, 200
PROJECT_LABEL, SERVICE_LABEL = "com.docker.compose.project", "com.docker.compose.service"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Done(msgspec.Struct, frozen=True):
    """A command that has ended, by itself or by us."""

    exit_code: int
    seconds: float
    interrupted: bool
    """It was still running at its limit, and was ended as by Ctrl-C."""
    output: str
    """Both streams together."""

    @property
    def tail(self) -> list[str]:
        """The last lines, without colours and without the folder we are in."""
        lines = _CONTROL.sub("", self.output).replace(str(ROOT), ".").splitlines()
        return [line.rstrip()[:TAIL_CHARS] for line in lines if line.strip()][-TAIL_LINES:]


class Running:
    """A command that runs in the project's folder, in a process group of its own.

    Raises ExperimentError where there is no such program.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._started = time.monotonic()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the command has ended
        try:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=self._file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            self._file.close()
            raise ExperimentError(f"{command[0]} cannot be run: {error.strerror}") from error

    def wait(self, limit_s: float) -> Done:
        """Until it ends; at the limit, or when we are interrupted ourselves, it is ended."""
        interrupted = False
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            interrupted = True
        finally:
            seconds = time.monotonic() - self._started
            if self._process.poll() is None:
                self._end()
        self._file.seek(0)
        output = self._file.read().decode(errors="replace")
        self._file.close()
        return Done(self._process.returncode, round(seconds, 3), interrupted, output)

    def _end(self) -> None:
        """As Ctrl-C does, and then for good: also what the command left in the background.

        Whoever was started in the background of a shell ignores SIGINT; SIGTERM follows.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            if self._process.poll() is None:
                os.killpg(self._process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(END_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(END_TIMEOUT_S)


def run(command: Sequence[str], environment: Mapping[str, str], limit_s: float) -> Done:
    """Run a command to its end. Raises ExperimentError where there is no such program."""
    return Running(command, environment).wait(limit_s)


class Container(msgspec.Struct, frozen=True):
    """A container of the trial, as the engine describes it."""

    id: str
    name: str
    service: str
    state: str
    exit_code: int
    restarts: int

    @property
    def fine(self) -> bool:
        return self.state == "running" and self.restarts == 0

    def __str__(self) -> str:
        return f"{self.name}: {self.state}, exit code {self.exit_code}, {self.restarts} restarts"


def ask(*arguments: str) -> str:
    """What `docker ARGUMENTS` prints.

    Raises ExperimentError where no engine answers.
    """
    try:
        done = subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False
        )
    except OSError as error:
        raise ExperimentError(f"docker cannot be run ({error.strerror}): install a container engine") from error
    except subprocess.TimeoutExpired as error:
        raise ExperimentError(f"the container engine did not answer within {ASK_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise ExperimentError(f"docker {arguments[0]}: {reason[-1][:TAIL_CHARS]}")
    return done.stdout


def about() -> dict[str, Any]:
    """The engine's versions and settings. Raises ExperimentError where none answers."""
    info = json.loads(ask("info", "--format", "{{json .}}"))
    if errors := info.get("ServerErrors"):
        raise ExperimentError(f"no container engine answers: {errors[0]}")
    client = json.loads(ask("version", "--format", "{{json .Client}}"))
    return {
        "version": info["ServerVersion"],
        "client_version": client["Version"],
        "storage_driver": info["Driver"],
        "cgroup_version": info.get("CgroupVersion"),
        "cpus": info["NCPU"],
        "memory_bytes": info["MemTotal"],
    }


def containers(project: str) -> list[Container]:
    """All containers of a compose project, stopped ones too."""
    ids = ask("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={PROJECT_LABEL}={project}").split()
    found = json.loads(ask("inspect", *ids)) if ids else []
    return [
        Container(
            each["Id"],
            each["Name"].lstrip("/"),
            each["Config"]["Labels"].get(SERVICE_LABEL, ""),
            each["State"]["Status"],
            each["State"]["ExitCode"],
            each["RestartCount"],
        )
        for each in found
    ]


def leftovers(project: str) -> list[str]:
    """Containers, volumes and networks that the project still has."""
    label = f"label={PROJECT_LABEL}={project}"
    volumes = ask("volume", "ls", "--quiet", "--filter", label).split()
    networks = ask("network", "ls", "--quiet", "--filter", label).split()
    return [
        *(f"container {each.name}" for each in containers(project)),
        *(f"volume {name}" for name in volumes),
        *(f"network {name}" for name in networks),
    ]


def image(name: str) -> dict[str, Any] | None:
    """What the engine knows of an image; None where it has none of that name."""
    if not ask("image", "ls", "--quiet", name).strip():
        return None
    found = json.loads(ask("image", "inspect", name))[0]
    return {"id": found["Id"], "size_bytes": found["Size"], "from_registry": bool(found.get("RepoDigests"))}
