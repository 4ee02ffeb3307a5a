"""What breaks, and what became of the tasks: the table of failures and that of recovery times."""

from collections.abc import Sequence
from typing import Any

from reports.columns import Column, name, repetitions, rows_of, slashed, told
from reports.language import gettext, mark
from reports.markdown import Md, code, table
from reports.numbers import MISSING, duration, integer
from reports.provenance import Known
from reports.runs import WORLD_NAMES, WORLDS, Scenario

KINDS = {
    "worker_kill": mark("worker process killed (kill -9); its nanny restarts it"),
    "host_kill": mark("worker and nanny killed, as when a host dies"),
    "worker_stop": mark("worker hangs (SIGSTOP)"),
    "worker_drain": mark("worker drains (SIGTERM)"),
    "scheduler_kill": mark("scheduler killed (kill -9)"),
    "scheduler_stop": mark("scheduler hangs (SIGSTOP)"),
    "etcd_kill": mark("etcd member killed (kill -9) and restarted"),
    "partition": mark("worker cut off from etcd"),
    "etcd-leader": mark("leader of etcd killed (kill -9) and restarted"),
    "etcd-follower": mark("follower of etcd killed (kill -9) and restarted"),
}
"""By the fault's target, where it is a role, or its kind."""
COUNTS = ("submitted", "completed", "lost", "committed_twice", "executed_twice")
RECOVERY = ("recovery_s.p50", "recovery_s.p95", "recovery_s.max")


def kinds_of(one: Scenario) -> str:
    """The faults of a scenario in words, each once."""
    kinds = ((str(fault.get("target")), str(fault.get("kind"))) for fault in one.faults)
    words = dict.fromkeys(KINDS.get(target) or KINDS.get(kind, kind) for target, kind in kinds)
    return gettext("; ").join(gettext(word) for word in words)


def failures(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Each kind of fault with what became of the acknowledged tasks; a row for each world."""
    rows: list[list[Any]] = []
    for one in scenarios:
        for world in WORLDS:
            if one.has(world):
                counts = [integer(one.count(world, key)) for key in COUNTS]
                last = one.get(world, "recovery_s.max")
                rows.append([kinds_of(one), code(one.name), gettext(WORLD_NAMES[world]), *counts,
                             duration(last.value) if last else MISSING])  # fmt: skip
    header = [gettext("fault"), gettext("scenario"), gettext("world"), gettext("acknowledged"), gettext("completed"),
              gettext("lost"), gettext("committed twice"), gettext("executed twice"),
              gettext("longest recovery")]  # fmt: skip
    return table("failures", caption, header, rows, "lllrrrrrr", widths=(20, 16, 8, 10, 9, 6, 10, 10, 11), small=True)


def recovery(scenarios: Sequence[Scenario], caption: str) -> Md:
    """From the fault to the restart of the tasks that were lost with it."""
    columns = [
        name(), Column(gettext("fault"), kinds_of, "l"), told(gettext("lease TTL (s)"), "lease_ttl_s"),
        *(slashed(gettext("p50 / p95 / longest (s), {world}", world=gettext(WORLD_NAMES[world])), RECOVERY, world)
          for world in WORLDS), repetitions(),
    ]  # fmt: skip
    return rows_of("recovery", caption, scenarios, columns)


def total(scenarios: Sequence[Scenario], key: str) -> Known | None:
    """A count of the real system over several scenarios."""
    found = [value for one in scenarios if (value := one.count("real", key)) is not None]
    return sum(found[1:], start=found[0]) if found else None


def tasks_told(scenarios: Sequence[Scenario]) -> tuple[str, str, str] | None:
    """Acknowledged, lost and committed twice over all real runs of these scenarios; None where nobody counted."""
    counts = [total(scenarios, key) for key in ("submitted", "lost", "committed_twice")]
    return None if None in counts else (integer(counts[0]), integer(counts[1]), integer(counts[2]))
