"""The tables of the report that have a row for each scenario, each a function from scenarios to Markdown."""

from collections.abc import Sequence
from typing import Any

from reports.columns import (
    STEADY,
    Column,
    bare,
    both,
    bound,
    count,
    dispatch,
    figure,
    model_error,
    name,
    only,
    pair,
    repetitions,
    rows_of,
    share,
    size,
    slashed,
    steady_of,
    throughput_of,
    told,
    words,
)
from reports.language import gettext, mark
from reports.markdown import Md, code, escape, table
from reports.numbers import (
    MISSING,
    error_of,
    fixed,
    interval,
    milliseconds,
    number,
    percent,
    signed_percent,
    spread_of,
    value_of,
)
from reports.provenance import sourced
from reports.runs import STAGES, WORLD_NAMES, WORLDS, Scenario, in_world

MS = 1000.0
TICKERS = {"rate": mark("rate"), "delay": mark("delay")}
PERCENTILES = ("p50", "p95", "p99")
DISPATCH = tuple(f"latency_s.dispatch.{statistic}" for statistic in PERCENTILES)


def throughput(scenarios: Sequence[Scenario], caption: str) -> Md:
    """The source's two set-ups: throughput, how well slots are used, and how long a task waits."""
    columns = [
        name(), dispatch(), size(), told(gettext("task (s)"), "service_s"),
        bound(gettext("slot bound"), "slot_bound_per_s"), *both(gettext("tasks/s"), throughput_of), repetitions(),
        model_error(throughput_of), share(gettext("slot efficiency"), figure("slot_efficiency"), "real"),
        slashed(gettext("submit to start p50 / p99 (ms)"), (DISPATCH[0], DISPATCH[2]), "real", MS),
    ]  # fmt: skip
    return rows_of("throughput", caption, scenarios, columns)


def scaling(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Throughput, bounds and share of the slot bound for each scenario, real and model."""

    def used(one: Scenario) -> str:
        real, limit = throughput_of(one, "real"), one.told("slot_bound_per_s")
        return percent(real.value / limit if real and real.value and limit else None)

    columns = [
        name(), size(), bound(gettext("slot bound"), "slot_bound_per_s"),
        bound(gettext("tick bound"), "tick_bound_per_s"), *both(gettext("tasks/s"), throughput_of), repetitions(),
        Column(gettext("real / bound"), used), model_error(throughput_of),
        bare("real", gettext("steady, real"), STEADY),
    ]  # fmt: skip
    ordered = sorted(scenarios, key=lambda one: (one.dispatch != "watch", one.workers))
    return rows_of("scaling", caption, ordered, columns)


def knee(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Short tasks on more and more workers."""
    columns = [
        name(), size(), told(gettext("task (s)"), "service_s"), bound(gettext("slot bound"), "slot_bound_per_s"),
        *both(gettext("tasks/s"), steady_of), repetitions(), model_error(steady_of),
        only("real", gettext("CPU s per 1,000 tasks"), "cpu_s_per_1000"),
    ]  # fmt: skip
    return rows_of("knee", caption, scenarios, columns)


def polling(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Service time against ticker: what the intervals imply, and what came out."""

    def at_fixed_rate(attribute: str, header: str) -> Column:
        shown = bound(header, attribute).show
        return Column(header, lambda one: shown(one) if one.ticker == "rate" else MISSING)

    columns = [
        name(), Column(gettext("ticks"), lambda one: gettext(TICKERS[one.ticker]), "l"),
        told(gettext("task (s)"), "service_s"), at_fixed_rate("cycle_s", gettext("cycle (s)")),
        bound(gettext("slot bound"), "slot_bound_per_s"), at_fixed_rate("tick_bound_per_s", gettext("tick bound")),
        *both(gettext("tasks/s"), steady_of), repetitions(), model_error(steady_of),
        Column(gettext("whole run"), lambda one: value_of(throughput_of(one, "real"))),
    ]  # fmt: skip
    ordered = sorted(scenarios, key=lambda one: (one.ticker != "rate", one.service_s or 0.0))
    return rows_of("polling", caption, ordered, columns)


def schedulers(scenarios: Sequence[Scenario], caption: str) -> Md:
    """What another scheduler buys, and what it costs."""
    columns = [
        name(), told(gettext("schedulers"), "schedulers"), *both(gettext("tasks/s"), throughput_of), repetitions(),
        pair(gettext("submit to start p99 (ms)"), figure(DISPATCH[2]), MS),
        bare("real", gettext("scheduler CPU s per 1,000 tasks"), "cpu_s_per_1000_of.scheduler"),
        count(gettext("run twice"), "executed_twice"), count(gettext("committed twice"), "committed_twice"),
        count(gettext("lost"), "lost"),
    ]  # fmt: skip
    return rows_of("schedulers", caption, scenarios, columns)


def percentiles(scenario: Scenario, label: str, caption: str) -> Md:
    """Mean and percentiles of every stage in milliseconds, real beside model."""
    rows: list[list[Any]] = []
    for stage in (*STAGES, "dispatch", "overhead", "total"):
        cells = [
            milliseconds(scenario.get(world, f"latency_s.{stage}.{statistic}"))
            for statistic in ("mean", *PERCENTILES)
            for world in WORLDS
        ]
        if any(cell != MISSING for cell in cells):
            rows.append([escape(stage) if stage in STAGES else Md(f"*{escape(stage)}*"), *cells])
    header = [gettext("stage"), *(in_world(gettext(statistic), world)
                                  for statistic in (mark("mean"), *PERCENTILES) for world in WORLDS)]  # fmt: skip
    return table(label, caption, header, rows, "lrrrrrrrr", small=True)


def burst(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Drain time against the bound, the depth of the queue, and the counts that must be zero."""

    def least(one: Scenario) -> str:
        tasks, limit = one.told("count_of_tasks"), one.told("slot_bound_per_s")
        return number(tasks / limit) if tasks and limit else MISSING

    columns = [
        name(), size(), told(gettext("task (s)"), "service_s"), repetitions(),
        Column(gettext("bound (s)"), least), *both(gettext("drain (s)"), figure("makespan_s")),
        model_error(figure("makespan_s")), bare("real", gettext("tasks/s, real"), "throughput_per_s"),
        bare("real", gettext("longest queue"), "queue_depth_max"), count(gettext("lost"), "lost"),
        count(gettext("run twice"), "executed_twice"),
    ]  # fmt: skip
    return rows_of("burst", caption, scenarios, columns)


def sustained(scenarios: Sequence[Scenario], caption: str) -> Md:
    """A steady load against the slots it needs."""
    columns = [
        name(), size(), count(gettext("tasks"), "submitted"),
        Column(gettext("tasks/s offered"), lambda one: number(one.told("rate_per_s"))),
        Column(gettext("utilisation"), lambda one: percent(one.told("utilisation"))),
        pair(gettext("tasks/s"), throughput_of), pair(gettext("longest queue"), figure("queue_depth_max")),
        pair(gettext("submit to start p99 (s)"), figure(DISPATCH[2])), repetitions(), count(gettext("lost"), "lost"),
    ]  # fmt: skip
    return rows_of("sustained", caption, scenarios, columns)


def tuning(scenarios: Sequence[Scenario], caption: str) -> Md:
    """The intervals, slots and lease times of the sweep, and what they do to waiting and to cost."""
    columns = [
        name(), told(gettext("scheduler poll (s)"), "poll_interval_s"),
        told(gettext("worker pull (s)"), "pull_interval_s"), size(), told(gettext("lease TTL (s)"), "lease_ttl_s"),
        *(slashed(in_world(gettext("submit to start p50 / p99 (ms)"), world),
                  (DISPATCH[0], DISPATCH[2]), world, MS) for world in WORLDS),
        pair(gettext("CPU s per 1,000 tasks"), figure("cpu_s_per_1000")), repetitions(),
    ]  # fmt: skip
    return rows_of("tuning", caption, scenarios, columns)


def what_ifs(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Another disk, another network: real where the machine can be made so, and the model's answer."""
    columns = [
        name(), _changed_model(),
        *(pair(f"{label} (ms)", figure(key), MS) for label, key in (
            (gettext("enqueue p50"), "latency_s.enqueue.p50"), (gettext("submit to start p50"), DISPATCH[0]),
            (gettext("submit to start p99"), DISPATCH[2]))),
        repetitions(),
    ]  # fmt: skip
    return rows_of("what-ifs", caption, scenarios, columns)


def fleets(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Clusters past one machine: the model's answer."""
    columns = [
        name(), size(), told(gettext("schedulers"), "schedulers"), _changed_model(),
        told(gettext("tasks/s offered"), "rate_per_s"),
        only("sim", gettext("tasks/s, steady"), "steady_throughput_per_s"),
        *(only("sim", f"{label} (ms)", key, MS) for label, key in (
            (gettext("submit to start p50"), DISPATCH[0]), (gettext("submit to start p99"), DISPATCH[2]))),
        share(gettext("busiest scheduler"), figure("cpu_share_of.scheduler"), "sim"), repetitions(),
    ]  # fmt: skip
    return rows_of("fleets", caption, scenarios, columns)


def _changed_model() -> Column:
    def show(one: Scenario) -> str:
        changed = {"etcd_flush_delay_s": one.flush_delay_s} if one.flush_delay_s else one.model
        return ", ".join(f"{key} = {value:g}" for key, value in changed.items())

    return words(gettext("changed"), show, "model")


def members(scenarios: Sequence[Scenario], caption: str) -> Md:
    """One member of etcd against three under the same load."""
    columns = [
        name(), told(gettext("members"), "members"), *both(gettext("tasks/s"), throughput_of), repetitions(),
        pair(gettext("enqueue p50 (ms)"), figure("latency_s.enqueue.p50"), MS),
        pair(gettext("submit to start p99 (ms)"), figure(DISPATCH[2]), MS),
        bare("real", gettext("CPU s per 1,000 tasks"), "cpu_s_per_1000"),
        bare("real", gettext("fsync mean (ms)"), "etcd.fsync_mean_s", MS), count(gettext("lost"), "lost"),
    ]  # fmt: skip
    return rows_of("members", caption, scenarios, columns)


FIDELITY = (
    (mark("tasks/s"), "throughput_per_s"),
    (mark("steady tasks/s"), STEADY),
    (mark("dispatch p50"), "latency_s.dispatch.p50"),
    (mark("dispatch p99"), "latency_s.dispatch.p99"),
    (mark("overhead mean"), "latency_s.overhead.mean"),
    (mark("CPU"), "cpu_s_per_1000"),
)


def fidelity(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Signed error of the model for each scenario and figure, beside the spread of the real system."""

    def cell(one: Scenario, key: str) -> str:
        real = one.get("real", key)
        error, spread = signed_percent(error_of(real, one.get("sim", key))), spread_of(real)
        return error if spread is None or error == MISSING else f"{error} (±{sourced(fixed(spread * 100, 1), spread)})"

    def column(header: str, key: str) -> Column:
        return Column(gettext(header), lambda one: cell(one, key))

    columns = [name(), repetitions(), *(column(header, key) for header, key in FIDELITY)]
    return rows_of("fidelity", caption, scenarios, columns)


def absolute(scenarios: Sequence[Scenario], caption: str) -> Md:
    """Real and model themselves, for the errors of the fidelity table."""
    rows = []
    for one in scenarios:
        for world in WORLDS:
            cells = [interval(one.get(world, key), MS if "latency" in key else 1.0) for _, key in FIDELITY]
            rows.append([code(one.name), gettext(WORLD_NAMES[world]), *cells])
    units = [gettext(header) + (" (ms)" if "latency" in key else "") for header, key in FIDELITY]
    return table("absolute", caption, [gettext("scenario"), gettext("world"), *units], rows, "ll" + "r" * len(FIDELITY),
                 small=True)  # fmt: skip
