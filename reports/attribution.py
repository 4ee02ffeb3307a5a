"""Where each millisecond and each CPU second goes, and which resource binds, from the figures of a scenario.

Shares of use, all between 0 and 1: the slots' time, a core by the busiest Python process of each kind (it has one, the
GIL), all cores of the machine, and the time in which etcd flushes its log. What is used most binds, if that is much.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reports.columns import throughput_of
from reports.language import gettext, mark
from reports.markdown import Md, code, table
from reports.numbers import MISSING, percent
from reports.provenance import Known, Source
from reports.runs import STAGES, Scenario, World

BINDS = 0.8
"""From this share of use on a resource counts as binding: what waits for it grows fast from there on."""
PYTHON = ("client", "scheduler", "worker")
OVERHEAD_STAGES = tuple(stage for stage in STAGES if stage != "execution")
RESOURCES = {
    "slots": mark("slots"),
    "client": mark("client process"),
    "scheduler": mark("scheduler process"),
    "worker": mark("worker process"),
    "cores": mark("all cores"),
    "fsync": mark("etcd's fsync"),
}


@dataclass(frozen=True)
class Use:
    """How much of each resource a scenario used; what is not known is missing."""

    shares: dict[str, Known]

    @property
    def binding(self) -> str | None:
        """The resource that is used most, if that is much."""
        most = max(self.shares, key=lambda name: self.shares[name], default=None)
        return most if most is not None and self.shares[most] >= BINDS else None


def use_of(one: Scenario, world: World, cores: int | None) -> Use:
    """Every share that the figures allow to tell."""
    shares: dict[str, Known] = {}

    def put(name: str, value: float | None) -> None:
        if isinstance(value, Known):
            shares[name] = value

    put("slots", _value(one, world, "slot_efficiency"))
    for kind in PYTHON:
        put(kind, _value(one, world, f"cpu_share_of.{kind}"))
    rate, cpu = throughput_of(one, world), _value(one, world, "cpu_s_per_1000")
    if rate and rate.value and cpu and cores:
        put("cores", rate.value * cpu / 1000 / Known(cores, Source("environment.json", "cores")))
    fsyncs, fsync_s = (_value(one, world, f"etcd.{key}") for key in ("fsyncs_per_task", "fsync_mean_s"))
    if rate and rate.value and fsyncs and fsync_s:
        put("fsync", rate.value * fsyncs * fsync_s)
    return Use(shares)


def _value(one: Scenario, world: World, key: str) -> float | None:
    found = one.get(world, key)
    return found.value if found else None


def resources(scenarios: Sequence[Scenario], cores: int | None, caption: str) -> Md:
    """A row for each scenario: how much of each resource was used, and which one binds."""
    rows: list[list[Any]] = []
    for one in scenarios:
        use = use_of(one, "real", cores)
        cells = [percent(use.shares.get(name)) for name in RESOURCES]
        named = gettext(RESOURCES[use.binding]) if use.binding else gettext("none: waiting")
        rows.append([code(one.name), *cells, named if use.shares else MISSING])
    header = [gettext("scenario"), *(gettext(name) for name in RESOURCES.values()), gettext("binds")]
    return table("binding", caption, header, rows, "l" + "r" * len(RESOURCES) + "l", small=True)


def milliseconds(scenarios: Sequence[Scenario], caption: str) -> Md:
    """The share of each stage in the mean time of a task without its execution, real system."""
    rows: list[list[Any]] = []
    for one in scenarios:
        whole = _value(one, "real", "latency_s.overhead.mean")
        if not whole:
            continue
        found = [_value(one, "real", f"latency_s.{stage}.mean") for stage in OVERHEAD_STAGES]
        rows.append([code(one.name), *(percent(None if value is None else value / whole) for value in found)])
    header = [gettext("scenario"), *OVERHEAD_STAGES]
    return table("milliseconds", caption, header, rows, "l" + "r" * len(OVERHEAD_STAGES), small=True)


def told(scenarios: Sequence[Scenario], cores: int | None) -> str:
    """Which resource binds in how many of the scenarios, in words, the most frequent first."""
    counts: dict[str | None, list[Scenario]] = {}
    for one in scenarios:
        counts.setdefault(use_of(one, "real", cores).binding, []).append(one)
    parts = []
    for name, found in sorted(counts.items(), key=lambda item: (-len(item[1]), item[0] or "")):
        what = gettext(RESOURCES[name]) if name else gettext("nothing that is measured")
        parts.append(gettext("{what} ({names})", what=what, names=gettext(", ").join(code(one.name) for one in found)))
    return Md(gettext("; ").join(parts))
