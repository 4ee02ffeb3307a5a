"""Simulation testing: random small systems under random faults, and everything that must hold afterwards.

    python -m sim.hunt --seeds 200          # hunts
    python -m sim.hunt --first 4711         # replays one seed, with its story

Machines and store are validated after every event; in the end every task must have ended once, in one place.
"""

import argparse
import sys
from collections import Counter

import msgspec
from msgspec import Raw

from core.model import INLINE_PAYLOAD_BYTES, TaskSpec
from core.settings import ClientSettings, SchedulerSettings, WorkerSettings
from sim.aftermath import inspect
from sim.config import Fault, FaultKind, Load, SimConfig, SimResult
from sim.parameters import Values
from sim.run import simulate
from sim.streams import Stream

LIMIT_S = 300.0
"""Far more than any of these systems needs once the last fault is mended."""

_FAULTS: tuple[tuple[FaultKind, str], ...] = (
    ("worker_kill", "worker"),
    ("host_kill", "worker"),
    ("worker_stop", "worker"),
    ("worker_drain", "worker"),
    ("scheduler_kill", "scheduler"),
    ("scheduler_stop", "scheduler"),
    ("etcd_kill", "etcd"),
    ("partition", "worker"),
)


class _Dice:
    def __init__(self, seed: int) -> None:
        self._stream = Stream(seed, "hunt")

    def number(self, low: int, high: int) -> int:
        return low + self._stream.integer(high - low + 1)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._stream.random()

    def chance(self, probability: float) -> bool:
        return self._stream.random() < probability


def hostile(seed: int) -> SimConfig:
    """A small system, a small load and some faults, all drawn from the seed."""
    dice = _Dice(seed)
    schedulers, workers = dice.number(1, 3), dice.number(1, 4)
    span_s = dice.between(1.0, 12.0)
    load = _load(dice, span_s)
    poll = dice.chance(0.25)
    small = dice.chance(0.4)
    members = 3 if dice.chance(0.3) else 1
    return SimConfig(
        load=load,
        schedulers=schedulers,
        workers=workers,
        scheduler=SchedulerSettings(
            dispatch="poll" if poll else "watch",
            lease_ttl_s=dice.between(2.0, 4.0),
            window=dice.number(2, 20) if small else 4096,
            max_batch=dice.number(1, 8) if small else 256,
            max_in_flight=dice.number(1, 4),
            max_buffer=0 if dice.chance(0.3) else 64,
        ),
        worker=WorkerSettings(
            dispatch="poll" if poll else "watch",
            slots=dice.number(1, 5),
            lease_ttl_s=dice.between(2.0, 4.0),
            max_batch=dice.number(1, 8) if small else 256,
            max_in_flight=dice.number(1, 3),
            drain_limit_s=dice.between(0.1, 3.0),
        ),
        client=ClientSettings(max_batch=dice.number(1, 50), max_in_flight=dice.number(1, 4)),
        faults=_faults(dice, {"scheduler": schedulers, "worker": workers, "etcd": members}, span_s),
        seed=seed,
        values=msgspec.structs.replace(_values(dice), etcd_members=members),
        limit_s=LIMIT_S,
        check=True,
    )


def _values(dice: _Dice) -> Values:
    values = Values(
        network_jitter_s=dice.between(0.0, 0.03) if dice.chance(0.7) else 0.0,
        etcd_fsync_s=dice.between(0.0005, 0.02),
        etcd_watch_delay_s=dice.between(0.0, 0.02),
        worker_start_s=0.3,
        scheduler_start_s=0.3,
    )
    return msgspec.structs.replace(values, max_operations=dice.number(10, 40)) if dice.chance(0.3) else values


def _load(dice: _Dice, span_s: float) -> Load:
    count = dice.number(20, 200)
    specs, service_s = [], []
    for number in range(count):
        kind = "fail" if dice.chance(0.1) else "echo"
        large = dice.chance(0.05)
        specs.append(
            TaskSpec(
                id=f"{number:032x}",
                type=kind,
                queue=f"queue-{dice.number(1, 2)}",
                payload=Raw(b'"' + b"x" * INLINE_PAYLOAD_BYTES + b'"') if large else Raw(b"1"),
                priority=dice.number(4, 6),
                max_attempts=dice.number(1, 3),
                max_losses=dice.number(1, 5),
                backoff_s=dice.between(0.01, 1.0),
            )
        )
        service_s.append(0.0 if dice.chance(0.3) else dice.between(0.0, 0.5))
    burst = dice.chance(0.5)
    intended = [0.0] * count if burst else sorted(dice.between(0.0, span_s) for _ in range(count))
    return Load(specs, service_s, intended)


def _faults(dice: _Dice, last: dict[str, int], span_s: float) -> tuple[Fault, ...]:
    faults = []
    for _ in range(dice.number(0, 6)):
        kind, who = _FAULTS[dice.number(0, len(_FAULTS) - 1)]
        leads = who == "etcd" and dice.chance(0.5)
        target = "etcd-leader" if leads else f"{who}-{dice.number(1, last[who])}"
        duration_s = None if kind == "worker_kill" else dice.between(0.2, 8.0)
        faults.append(Fault(kind, dice.between(0.0, span_s), target, duration_s))
    return tuple(faults)


def violations(config: SimConfig, result: SimResult) -> list[str]:
    """What must not be; empty where all is well."""
    after = inspect(result.kv)
    count = len(config.load.specs)
    found = []
    if result.unfinished:
        found.append(f"{result.unfinished} tasks did not end (or the client did not hear of it)")
    if len(after.outcomes) != count:
        found.append(f"{len(after.outcomes)} outcomes of {count} tasks")
    if after.stored != count:
        found.append(f"{after.stored} records of {count} tasks")
    if after.lost or after.misplaced or after.doubled:
        found.append(f"lost {after.lost}, misplaced {after.misplaced}, ended twice {after.doubled}")
    committed: Counter[tuple[str, int]] = Counter()
    for _, kind, rows in result.spool:
        if kind == "committed":
            committed.update((task_id, attempt) for task_id, attempt, _ in rows)
    twice = [key for key, times in committed.items() if times > 1]
    if twice:
        found.append(f"acknowledged as committed twice: {twice[:3]}")
    found += [f"{name}: {text}" for _, name, level, text in result.reports if level == "error"]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sim.hunt", description="Hunt for bugs in the model's world.")
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    options = parser.parse_args()
    bad = 0
    for seed in range(options.first, options.first + options.seeds):
        config = hostile(seed)
        try:
            result = simulate(config)
            found = violations(config, result)
        except AssertionError as error:
            result, found = None, [f"an invariant is broken: {error}"]
        if options.seeds == 1:
            _tell(config, result)
        if found:
            bad += 1
            print(f"seed {seed}: {'; '.join(found)}")  # noqa: T201 - a command
    print(f"{options.seeds} seeds, {bad} with violations")  # noqa: T201
    return 1 if bad else 0


def _tell(config: SimConfig, result: SimResult | None) -> None:
    for fault in config.faults:
        print(fault)  # noqa: T201
    for at, name, level, text in result.reports if result is not None else ():
        print(f"{at:9.3f} {name:12} {level:8} {text}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
