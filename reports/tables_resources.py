"""Memory, processors, disk and network of the processes, and the benchmarks of queue and codec."""

from collections.abc import Sequence
from typing import Any

from reports.columns import Column, bare, name, only, repetitions, rows_of, told
from reports.language import gettext, mark
from reports.markdown import Md, table
from reports.numbers import MISSING, integer, interval, number, percent, value_of
from reports.provenance import Known, Source
from reports.runs import WORLDS, Scenario

KIND_NAMES = {
    "client": mark("client"), "scheduler": mark("scheduler"), "worker": mark("worker"), "etcd": mark("etcd"),
}  # fmt: skip
KB = 1e-3


def kinds_of(scenarios: Sequence[Scenario], key: str) -> list[str]:
    """The kinds of process below a key such as `cpu_s_per_1000_of`."""
    return list(dict.fromkeys(part for one in scenarios for world in WORLDS for part in one.parts(world, key)))


def cpu(scenarios: Sequence[Scenario], caption: str) -> Md:
    """CPU seconds per 1,000 tasks of each kind of component, real / model, and their sum with its interval."""

    def pair(kind: str) -> Column:
        def show(one: Scenario) -> str:
            cells = [value_of(one.get(world, f"cpu_s_per_1000_of.{kind}")) for world in WORLDS]
            return MISSING if set(cells) == {MISSING} else " / ".join(cells)

        return Column(gettext(KIND_NAMES.get(kind, kind)), show)

    columns = [
        name(), *(pair(kind) for kind in kinds_of(scenarios, "cpu_s_per_1000_of")),
        only("real", gettext("all, real"), "cpu_s_per_1000"), only("sim", gettext("all, model"), "cpu_s_per_1000"),
        repetitions(),
    ]  # fmt: skip
    return rows_of("cpu", caption, scenarios, columns)


def busy(scenarios: Sequence[Scenario], caption: str) -> Md:
    """The share of a core that the busiest process of each kind used, over the whole run."""

    def pair(kind: str) -> Column:
        def show(one: Scenario) -> str:
            found = [one.get(world, f"cpu_share_of.{kind}") for world in WORLDS]
            cells = [percent(each.value if each else None) for each in found]
            return MISSING if set(cells) == {MISSING} else " / ".join(cells)

        return Column(gettext(KIND_NAMES.get(kind, kind)), show)

    columns = [name(), *(pair(kind) for kind in kinds_of(scenarios, "cpu_share_of")), repetitions()]
    return rows_of("busy", caption, scenarios, columns)


def memory(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Peak memory of the largest process of each kind in MB, real system: resident, and its fair share of pages."""
    kinds = kinds_of(scenarios, "rss_peak_mb_of")

    def column(kind: str) -> Column:
        def show(one: Scenario) -> str:
            cells = [value_of(one.get("real", f"{key}.{kind}")) for key in ("rss_peak_mb_of", "pss_peak_mb_of")]
            return cells[0] if cells[1] == MISSING else " / ".join(cells)

        return Column(gettext(KIND_NAMES.get(kind, kind)), show)

    columns = [
        name(), told(gettext("tasks"), "count_of_tasks"), bare("real", gettext("longest queue"), "queue_depth_max"),
        *(column(kind) for kind in kinds), repetitions(),
    ]  # fmt: skip
    return rows_of("memory", caption, scenarios, columns)


def traffic(scenarios: Sequence[Scenario], caption: str) -> Md:
    """What a task costs etcd: proposals, bytes each way, flushes, and the disk writes of its processes."""
    columns = [
        name(), only("real", gettext("proposals per task"), "etcd.proposals_per_task"),
        only("real", gettext("KB in per task"), "etcd.bytes_in_per_task", KB),
        only("real", gettext("KB out per task"), "etcd.bytes_out_per_task", KB),
        bare("real", gettext("fsyncs per task"), "etcd.fsyncs_per_task"),
        bare("real", gettext("fsync mean (ms)"), "etcd.fsync_mean_s", 1000.0),
        bare("real", gettext("KB written to disk per task, etcd"), "disk_write_bytes_per_task_of.etcd", KB),
        bare("real", gettext("database (MB)"), "etcd.db_size_mb"), repetitions(),
    ]  # fmt: skip
    return rows_of("traffic", caption, scenarios, columns)


# --- benchmarks ------------------------------------------------------------------------------------------------------

QUEUE = {
    "test_one_operation": mark("one task at a time, idle: submit to start"),
    "test_batch_of_100_operations": mark("one call for many tasks: each, submit to start"),
    "test_100_threads_of_10_submits_that_wait": mark("many threads that wait for each submit: all acknowledged"),
    "test_100_waiting_tasks_taken_by_10_slots": mark("waiting tasks taken by one worker: the last has started"),
}
CODEC = {"test_codec[encode]": mark("serialise"), "test_codec[decode]": mark("deserialise")}
ASIDE = {
    "enqueue": mark("the acknowledged submit alone"), "put": mark("a bare etcd put in turn with it"),
    "enqueue_batch": mark("the whole call until acknowledged"), "operations": mark("until the last has started"),
}  # fmt: skip
Benchmarks = dict[str, dict[str, Any]]


def _known(benchmarks: Benchmarks, name_: str, key: str) -> Known | None:
    value = benchmarks.get(name_, {}).get(key)
    if not isinstance(value, int | float):
        return None
    return Known(value, Source("benchmarks.json", f"{name_}.extra_info.{key}"))


def _ms(value: Known | None, scale: float = 1000.0) -> str:
    return number(None if value is None else value * scale)


def queue(benchmarks: Benchmarks, caption: str) -> Md:
    """Each benchmark of the queue, and below it what was timed beside it."""
    rows: list[list[Any]] = []
    for key, label in QUEUE.items():
        if key not in benchmarks:
            continue
        times = [_ms(_known(benchmarks, key, field)) for field in ("p50_s", "p99_s")]
        claims = ", ".join(map(str, benchmarks[key].get("claims", ())))
        rate = number(_known(benchmarks, key, "rate_per_s"))
        rows.append([gettext(label), claims, integer(_known(benchmarks, key, "n")), *times, rate])
        for prefix, aside in ASIDE.items():
            if f"{prefix}_p50_s" in benchmarks[key]:
                times = [_ms(_known(benchmarks, key, f"{prefix}_{field}")) for field in ("p50_s", "p99_s")]
                rows.append([Md(f"*{gettext(aside)}*"), "", "", *times, ""])
        if (puts := _known(benchmarks, key, "put_rate_per_s")) is not None:
            name = gettext("bare etcd puts in the same manner")
            rows.append([Md(f"*{name}*"), "", "", "", "", number(puts)])
    header = [gettext("benchmark"), gettext("claims"), "n", gettext("p50 (ms)"), gettext("p99 (ms)"),
              gettext("tasks/s")]  # fmt: skip
    return table("queue", caption, header, rows, "llrrrr", small=True)


def codec(benchmarks: Benchmarks, caption: str) -> Md:
    """Encode and decode a task."""
    rows = [
        [gettext(label), integer(_known(benchmarks, key, "bytes")), integer(_known(benchmarks, key, "n")),
         *(_ms(_known(benchmarks, key, field), 1e6) for field in ("p50_s", "p99_s")),
         number(_known(benchmarks, key, "rate_per_s"))]
        for key, label in CODEC.items() if key in benchmarks
    ]  # fmt: skip
    header = [gettext("operation"), gettext("bytes"), "n", gettext("p50 (µs)"), gettext("p99 (µs)"),
              gettext("operations/s")]  # fmt: skip
    return table("codec", caption, header, rows, "lrrrrr", small=True)


def twice(benchmarks: Benchmarks) -> Known | None:
    """Tasks that the benchmark of taking saw executed twice."""
    return _known(benchmarks, "test_100_waiting_tasks_taken_by_10_slots", "executed_twice")


def of_kind(scenarios: Sequence[Scenario], key: str) -> str:
    """The smallest to the largest of a figure over scenarios, such as the peak of the schedulers' memory."""
    found = sorted(value for one in scenarios if (each := one.get("real", key)) and (value := each.value) is not None)
    if not found:
        return MISSING
    return (
        number(found[0])
        if found[0] == found[-1]
        else gettext("{least} to {most}", least=number(found[0]), most=number(found[-1]))
    )


def at(one: Scenario, key: str) -> str:
    """A figure of the real system with its interval."""
    return interval(one.get("real", key))
