"""The load of one repetition, drawn once and given to both worlds.

Real and model see the same arrivals, service times, priorities and ids: independent draws alone would make them differ
by about 3 %. Each purpose has its own random stream, so that changing one draw leaves the others as they are.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.model import TaskSpec
from experiments.scenario import ScenarioError
from experiments.schema import (
    ArrivalTrace,
    Burst,
    Closed,
    Constant,
    ConstantRate,
    Empirical,
    Exponential,
    Lognormal,
    Poisson,
    Scenario,
    Uniform,
)
from experiments.schema import Workload as WorkloadTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BASE_MS = 1_767_225_600_000
"""Ids start here (2026-01-01T00:00Z), not at the clock: the same seed gives the same ids, hence the same decisions."""

_COUNTER = 1 << 12  # the three hex digits behind the version in a UUIDv7
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Workload:
    """Tasks in the order in which they are submitted; times in seconds from the start of the run."""

    intended_s: Floats
    """When each is due; NaN where the load is closed (then it is due when `in_flight` allows)."""
    service_s: Floats
    priority: Ints
    payload_bytes: int
    ids: list[str]
    handler: str
    repetition: int
    in_flight: int | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def payload(self, index: int) -> bytes:
        """JSON for the handler: `{"duration_s": x, "pad": "..."}`, padded to `payload_bytes` where that is longer."""
        plain = msgspec.json.encode({"duration_s": float(self.service_s[index])})
        room = self.payload_bytes - len(plain) - len(b',"pad":""')
        return plain if room < 0 else plain[:-1] + b',"pad":"' + b"x" * room + b'"}'

    def specs(self, submitted_at: float = 0.0) -> Sequence[TaskSpec]:
        """The tasks, ready to submit. `submitted_at`: wall time of the start, seconds since the epoch."""
        return _Specs(self, submitted_at)


class _Specs(Sequence[TaskSpec]):
    """Each is made when it is asked for: a million of them would take half a gigabyte."""

    def __init__(self, load: Workload, submitted_at: float) -> None:
        self._load = load
        self._due = np.nan_to_num(load.intended_s)
        self._submitted_at = submitted_at

    def __len__(self) -> int:
        return len(self._load)

    @overload
    def __getitem__(self, index: int) -> TaskSpec: ...
    @overload
    def __getitem__(self, index: slice) -> list[TaskSpec]: ...
    def __getitem__(self, index: int | slice) -> TaskSpec | list[TaskSpec]:
        if isinstance(index, slice):
            return [self._make(one) for one in range(*index.indices(len(self)))]
        return self._make(range(len(self))[index])

    def _make(self, index: int) -> TaskSpec:
        load = self._load
        return TaskSpec(
            id=load.ids[index],
            type=load.handler,
            payload=msgspec.Raw(load.payload(index)),
            priority=int(load.priority[index]),
            submitted_at=self._submitted_at + float(self._due[index]),
        )


def stream(seed: int, repetition: int, purpose: str) -> np.random.Generator:
    """The random stream of one purpose. The name is hashed by CRC-32, which is the same in every process."""
    return np.random.default_rng(np.random.SeedSequence([seed, repetition, zlib.crc32(purpose.encode())]))


def draw(scenario: Scenario, repetition: int, *, seed: int | None = None, base_ms: int = BASE_MS) -> Workload:
    """The load of one repetition (numbered from 0); `seed` replaces the scenario's own.

    Raises ScenarioError where a file that the scenario names holds no usable numbers, or nothing arrives in time.
    """
    table = scenario.workload
    root = scenario.measure.seed if seed is None else seed

    def rng(purpose: str) -> np.random.Generator:
        return stream(root, repetition, purpose)

    intended = _intended(table, rng("arrivals"))
    if len(intended) == 0:
        raise ScenarioError(
            f"scenario {scenario.name}: no task arrives within workload.duration_s = {table.duration_s}"
        )
    count = len(intended)
    levels = sorted(table.priorities)
    weights = np.array([table.priorities[level] for level in levels])
    return Workload(
        intended_s=intended,
        service_s=_service(table, count, rng("service")),
        priority=rng("priority").choice(np.array(levels, dtype=np.int64), size=count, p=weights / weights.sum()),
        payload_bytes=table.payload_bytes,
        ids=make_ids(intended, base_ms, rng("ids")),
        handler=table.handler,
        repetition=repetition,
        in_flight=table.arrivals.in_flight if isinstance(table.arrivals, Closed) else None,
    )


def _intended(table: WorkloadTable, rng: np.random.Generator) -> Floats:
    match table.arrivals:
        case Burst():
            return np.zeros(table.count or 0)
        case Closed():
            return np.full(table.count or 0, np.nan)
        case ConstantRate(rate_per_s=rate):
            return _until(table, lambda have: np.arange(have, have + _CHUNK) / rate)
        case Poisson(rate_per_s=rate):
            gaps = _gaps(rng, rate)
            return _until(table, lambda _: gaps())
        case ArrivalTrace(file=file):
            times = read_numbers(Path(file))
            if np.any(np.diff(times) < 0):
                raise ScenarioError(f"{file}: arrival times must never decrease")
            return _cut(table, times)


def _gaps(rng: np.random.Generator, rate_per_s: float) -> Callable[[], Floats]:
    last = 0.0

    def chunk() -> Floats:
        nonlocal last
        times = last + np.cumsum(rng.exponential(1 / rate_per_s, _CHUNK))
        last = float(times[-1])
        return times

    return chunk


def _until(table: WorkloadTable, chunk: Callable[[int], Floats]) -> Floats:
    """Chunks of arrival times until the count or the duration is reached."""
    parts: list[Floats] = []
    have = 0
    while True:
        parts.append(chunk(have))
        have += _CHUNK
        enough = table.count is not None and have >= table.count
        late = table.duration_s is not None and parts[-1][-1] >= table.duration_s
        if enough or late:
            return _cut(table, np.concatenate(parts))


def _cut(table: WorkloadTable, times: Floats) -> Floats:
    if table.duration_s is not None:
        times = times[times < table.duration_s]
    return times[: table.count]


def _service(table: WorkloadTable, count: int, rng: np.random.Generator) -> Floats:
    match table.service:
        case Constant(value_s=value):
            return np.full(count, value)
        case Uniform(low_s=low, high_s=high):
            return rng.uniform(low, high, count)
        case Exponential(mean_s=mean):
            return rng.exponential(mean, count)
        case Lognormal(mean_s=mean, sigma=sigma):
            return rng.lognormal(np.log(mean) - sigma**2 / 2, sigma, count)
        case Empirical(file=file):
            return rng.choice(read_numbers(Path(file)), size=count)


def read_numbers(path: Path) -> Floats:
    """Seconds, one a line; empty lines and lines that start with '#' are skipped.

    Raises ScenarioError naming the first line that is not a finite number >= 0, or an empty file.
    """
    numbers: list[float] = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not 0 <= value < float("inf"):
            raise ScenarioError(f"{path}, line {number}: expected seconds (finite, 0 or more), got {text[:40]!r}")
        numbers.append(value)
    if not numbers:
        raise ScenarioError(f"{path}: holds no numbers")
    return np.array(numbers)


def make_ids(intended_s: Floats, base_ms: int, rng: np.random.Generator) -> list[str]:
    """Ids like UUIDv7 (RFC 9562) in 32 hex digits, strictly increasing in the order given.

    12 digits of milliseconds, '7', 3 digits that count within the millisecond, the variant ('8' to 'b'), 7 random
    digits, and the mailbox, as one client would make them. More than 4,096 tasks in one millisecond spill into the
    next.
    """
    count = len(intended_s)
    order = np.arange(count, dtype=np.int64)
    due_ms = base_ms + np.floor(np.nan_to_num(intended_s) * 1000).astype(np.int64)
    ticks = np.maximum.accumulate(due_ms * _COUNTER - order) + order
    variants = rng.integers(8, 12, count)
    tails = rng.integers(0, 1 << 28, count)
    mailbox = int(rng.integers(0, 1 << 32))
    return [
        f"{tick // _COUNTER:012x}7{tick % _COUNTER:03x}{variant:x}{tail:07x}{mailbox:08x}"
        for tick, variant, tail in zip(ticks.tolist(), variants.tolist(), tails.tolist(), strict=True)
    ]
