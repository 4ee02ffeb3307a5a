"""Same seed, same run, byte for byte; and what was recorded in the model replays on a fresh machine."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.machine.replay import replay
from sim.config import SimResult
from sim.hunt import hostile
from sim.run import simulate

ROOT = Path(__file__).parents[2]
SEED = 5

_PROGRAM = f"""
import hashlib, msgspec
from dataclasses import replace
from sim.hunt import hostile
from sim.run import simulate
config = replace(hostile({SEED}), record=("scheduler-1", "worker-1", "client-1"))
result = simulate(config)
encode = msgspec.json.encode
lines = sum(result.recordings.values(), [])
spool = list(result.spool)
parts = [encode(spool), encode(result.samples), encode(result.reports), b"".join(lines)]
print(len(spool), *[hashlib.sha256(part).hexdigest() for part in parts])
"""


def fingerprint(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_two_processes_give_the_same_bytes() -> None:
    one, other = fingerprint("1"), fingerprint("2")
    assert int(one.split()[0]) > 10
    assert one == other


def test_another_seed_gives_another_run() -> None:
    assert simulate(hostile(SEED)).spool != simulate(hostile(SEED + 1)).spool


def recorded(seed: int) -> SimResult:
    config = hostile(seed)
    names = [f"scheduler-{n}" for n in range(1, config.schedulers + 1)]
    names += [f"worker-{n}" for n in range(1, config.workers + 1)]
    return simulate(replace(config, record=(*names, "client-1")))


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 6])
def test_recordings_replay_on_fresh_machines(seed: int) -> None:
    result = recorded(seed)
    assert len(result.recordings) >= 3
    for name, lines in result.recordings.items():
        steps, mismatch = replay(lines)
        assert mismatch is None, f"{name}, step {steps}: {mismatch}"
        assert steps == len(lines) - 1
        assert steps > 0


def test_a_changed_recording_is_noticed() -> None:
    lines = recorded(1).recordings["scheduler-1"]
    assigned = next(at for at, line in enumerate(lines) if b'"type":"Assign",' in line)
    changed = lines[assigned].replace(b'"batch":1', b'"batch":7')
    assert changed != lines[assigned]
    _, mismatch = replay([*lines[:assigned], changed, *lines[assigned + 1 :]])
    assert mismatch is not None
    assert mismatch.step == assigned
