"""What a run was measured on, and whether somebody else was using the machine meanwhile."""

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil

PACKAGES = ("cslab-etcd3", "grpcio", "msgspec", "numpy", "pandas", "protobuf", "pyarrow", "scipy", "simpy")
ROOT = Path(__file__).parents[1]
GIT_TIMEOUT_S = 10.0

DISTURBED_SHARE = 0.10
"""A run is disturbed when processes not its own used more than this share of all cores meanwhile. An idle desktop
stays under a tenth of two cores."""


@dataclass(frozen=True, slots=True)
class Load:
    """The machine's load at one moment."""

    busy_s: float
    """CPU seconds used by anybody since boot."""
    at_s: float
    """Monotonic seconds."""
    load_average: tuple[float, float, float]
    stolen_s: float = 0.0
    """Of `busy_s`: what a hypervisor gave to other machines while this one had work; 0 where nobody tells."""


def machine_load(now_s: float) -> Load:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # guest time is contained in user time
    counted = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return Load(counted - idle, now_s, os.getloadavg(), getattr(times, "steal", 0.0))


def disturbance(before: Load, after: Load, own_cpu_s: float) -> dict[str, Any]:
    """How much of the machine others used between two moments, in which the run itself used `own_cpu_s`."""
    elapsed_s = max(after.at_s - before.at_s, 1e-9)
    cores = psutil.cpu_count() or 1
    foreign = max(after.busy_s - before.busy_s - own_cpu_s, 0.0) / elapsed_s
    return {
        "load_average_before": list(before.load_average),
        "load_average_after": list(after.load_average),
        "foreign_cores": round(foreign, 3),
        "stolen_cores": round((after.stolen_s - before.stolen_s) / elapsed_s, 3),
        "disturbed": foreign > DISTURBED_SHARE * cores,
        "disturbance": f"other processes used {foreign:.2f} of {cores} cores (limit: {DISTURBED_SHARE:.0%} of them)",
    }


def describe() -> dict[str, Any]:
    """Hardware, system, versions, commit. Holds no paths and no host name."""
    return {
        "cpu_model": _cpu_model(),
        "cores": psutil.cpu_count(),
        "cores_physical": psutil.cpu_count(logical=False),
        "memory_bytes": psutil.virtual_memory().total,
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        **_commit(),
    }


def write(path: Path, **parts: Any) -> None:
    """`environment.json`: what `describe` says, and what the runner adds (etcd, load, seed)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode({**describe(), **parts}), indent=2) + b"\n")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "") or (
        platform.processor() or "unknown"
    )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> dict[str, Any]:
    """The commit that is checked out, and whether tracked files differ from it; nulls outside a git checkout."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(ROOT), *arguments],
                capture_output=True,
                text=True,
                timeout=GIT_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    changes = git("status", "--porcelain", "--untracked-files=no")
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if changes is None else bool(changes)}
