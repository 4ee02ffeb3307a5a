"""RES and BOT: memory, processor time and traffic, and which of them binds."""

from experiments.claims.reading import Runs
from experiments.claims.verdict import (
    FAILS,
    NOT_RUN,
    PER_SECOND,
    THROUGHPUT,
    Finding,
    Rule,
    judge,
)
from experiments.phrases import digits, join

MEMORY_MB = {"scheduler": 100.0, "worker": 200.0}
"""The most that the source states; less is no objection."""
QUEUES = ("resources-idle", "memory-1000", "ablation-baseline", "memory-50000", "burst-1s")
IDLE, BUSY = "resources-idle", "resources-busy"
IDLE_SHARE, BUSY_SHARE = 0.05, 0.20
OPERATION_BYTES = 5_000.0


def memory_key(runs: Runs, scenario: str, kind: str) -> str:
    """Proportional set size where it was measured: shared pages are not counted once for each process."""
    pss = f"pss_peak_mb_of.{kind}"
    return pss if runs.value(scenario, pss) is not None else f"rss_peak_mb_of.{kind}"


def _memory(runs: Runs) -> Finding:
    texts, above = [], []
    for name in QUEUES:
        count = runs.setting(name, "workload.count")
        queue = f"{count:,} queued" if count else "idle"
        parts = []
        for kind, most in MEMORY_MB.items():
            key = memory_key(runs, name, kind)
            value = runs.value(name, key)
            if value is None:
                continue
            parts.append(f"{kind} {runs.text(name, key, 'MB')}")
            if value > most:
                above.append((queue, kind, value))
        texts.append(f"{queue}: {', '.join(parts)}" if parts else "")
    if not any(texts):
        return Finding(NOT_RUN)
    if memory_key(runs, IDLE, "scheduler").startswith("pss"):
        texts.append("shared pages counted once")
    texts.append("less than stated is no objection")
    if not above:
        return judge(True, join(texts), "")  # noqa: FBT003
    if len({queue for queue, _, _ in above}) == len([text for text in texts[: len(QUEUES)] if text]):
        return judge(False, join(texts), "")  # noqa: FBT003
    queue, kind, value = above[0]
    return judge(f"the queue is short: with {queue} a {kind} takes {digits(value)} MB", join(texts), "")


def share_of(runs: Runs, scenario: str, kind: str, world: str = "real") -> float | None:
    """Processor seconds a second of a process of that kind: measured for one, or for all of them from the cost."""
    found = runs.value(scenario, f"cpu_share_of.{kind}", world)
    if found is not None:
        return found
    cost = runs.value(scenario, f"cpu_s_per_1000_of.{kind}", world)
    rate = runs.value(scenario, THROUGHPUT, world)
    return None if cost is None or rate is None else cost * rate / 1000


def _scheduler(runs: Runs) -> Finding:
    """RES-2: the source's busy scheduler gives out 100 tasks a second at most."""
    idle, busy = share_of(runs, IDLE, "scheduler"), share_of(runs, BUSY, "scheduler")
    if idle is None or busy is None:
        return Finding(NOT_RUN)
    measured, predicted = (_shares(runs, world) for world in ("real", "sim"))
    source = share_of(runs, "scaling-10", "scheduler")
    if idle >= IDLE_SHARE or (source is not None and source > BUSY_SHARE):
        return judge(False, measured, predicted)  # noqa: FBT003
    if busy <= BUSY_SHARE:
        return judge(True, measured, predicted)  # noqa: FBT003
    rate = digits(runs.value(BUSY, THROUGHPUT) or 0.0)
    condition = f"tasks come one by one, fewer than {rate}/s, which take {_percent(busy)} of a core"
    return judge(condition, measured, predicted)


def _shares(runs: Runs, world: str) -> str:
    texts = []
    for name, word in ((IDLE, "idle"), ("scaling-10", "busy"), (BUSY, "busy")):
        share, rate = share_of(runs, name, "scheduler", world), runs.text(name, THROUGHPUT, PER_SECOND, world)
        texts.append("" if share is None else f"{word}, {rate}: {_percent(share)} of a core")
    return join(texts)


def _percent(share: float) -> str:
    return f"{digits(share * 100)} %"


def _traffic(runs: Runs) -> Finding:
    """RES-3: bytes between etcd and its clients for each proposal, where hardly any are batched."""
    name = "latency-watch"
    keys = ("etcd.bytes_in_per_task", "etcd.bytes_out_per_task", "etcd.proposals_per_task")
    into, out, proposals = (runs.value(name, key) for key in keys)
    if into is None or out is None or not proposals:
        return Finding(NOT_RUN)
    each = (into + out) / proposals
    n = runs.count(name)
    measured = (
        f"{digits(each / 1000)} KB for each write; a task takes {digits(proposals)} writes, {digits(into / 1000)} KB "
        f"to etcd and {digits(out / 1000)} KB from it (n = {n})"
    )
    return judge(each <= OPERATION_BYTES, measured, "")


# --- which one binds ---------------------------------------------------------------------------------------------

WRITES = ("enqueue", "assign", "commit")
LONG, ALONE = "scaling-10", "latency-watch"
SHORT = ("burst-short", "schedulers-1", "knee-10", "ablation-baseline")
"""Loads that keep everything busy: the one that keeps the processors busiest tells."""
BUSY_SLOTS, BUSY_CORES = 0.9, 0.8
"""From here on slots, or processors, are what everything waits for."""


def _binds(runs: Runs) -> Finding:
    """BOT-1: what binds long tasks, tasks without duration, and a task alone."""
    slots = runs.value(LONG, "slot_efficiency")
    busy = {name: used for name in SHORT if (used := _busy_cores(runs, name)) is not None}
    writes, overhead = _writes_s(runs, "real"), runs.value(ALONE, "latency_s.overhead.mean")
    if slots is None or not busy or writes is None or not overhead:
        return Finding(NOT_RUN)
    busiest = max(busy, key=lambda name: busy[name])
    used, cores = busy[busiest], _cores(runs, busiest)
    alone = writes / overhead
    measured = join([
        f"tasks of 1 s: share of the time that slots are busy {runs.text(LONG, 'slot_efficiency', '%')}",
        f"a task alone: {_percent(alone)} of its latency are writes to etcd",
        f"short tasks ({busiest}): {digits(used)} of {cores or '?'} cores are busy",
    ])  # fmt: skip
    if slots < BUSY_SLOTS and alone < 0.5:
        return Finding(FAILS, measured, _network(runs))
    if cores and used >= BUSY_CORES * cores:
        condition = "tasks last, or etcd has a machine of its own: with short tasks, all on one, the processors bind"
        return judge(condition, measured, _network(runs))
    return judge(True, measured, _network(runs))  # noqa: FBT003


def _writes_s(runs: Runs, world: str) -> float | None:
    found = [runs.value(ALONE, f"latency_s.{stage}.mean", world) for stage in WRITES]
    known = [one for one in found if one is not None]
    return sum(known) if len(known) == len(WRITES) else None


def _busy_cores(runs: Runs, name: str) -> float | None:
    """Processors that all processes of a run kept busy, on average."""
    cost, rate = runs.value(name, "cpu_s_per_1000"), runs.value(name, THROUGHPUT)
    return None if cost is None or rate is None else cost * rate / 1000


def _cores(runs: Runs, name: str) -> int | None:
    for path in sorted((runs.root / name / "real").glob("*/environment.json")):
        cores = runs.json(path).get("cores")
        return int(cores) if cores else None
    return None


def _network(runs: Runs) -> str:
    """What the model says of a slower network and a slower disk."""
    texts = []
    for name, word in ((ALONE, "here"), ("network-1ms", "etcd 1 ms away"), ("disk-slow", "each flush 10 ms later")):
        text = runs.text(name, "latency_s.overhead.p50", "ms", "sim")
        texts.append(f"{word}: latency beyond execution, p50 {text}" if text else "")
    return join(texts)


RULES: dict[str, Rule] = {"RES-1": _memory, "RES-2": _scheduler, "RES-3": _traffic, "BOT-1": _binds}
