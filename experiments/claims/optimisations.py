"""OPT: whether what the source proposes helps, each switched off against everything on."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.claims.reading import Runs
from experiments.claims.verdict import (
    NOT_RUN,
    PER_SECOND,
    THROUGHPUT,
    Change,
    Finding,
    Rule,
    change,
    judge,
    unshown,
    untold,
)
from experiments.phrases import MIN_FOR_INTERVAL, join

BASE = "ablation-baseline"
OVERHEAD = "latency_s.overhead.mean"
NOTHING_LOST, CHANGED_NOTHING = "no throughput was surely lost", "changed nothing here"


@dataclass(frozen=True, slots=True)
class Part:
    """One proposal: the scenario without it, and what to call that."""

    scenario: str
    name: str


def _ablations(parts: Sequence[Part], shown: Sequence[Part] = (), missing: str = "") -> Rule:
    """All parts help: holds. Some do: holds only if those are meant. `missing`: what cannot be judged, a clause."""

    def rule(runs: Runs) -> Finding:
        changes = {part.name: change(runs, BASE, part.scenario, THROUGHPUT) for part in parts}
        if None in changes.values():
            return Finding(NOT_RUN)
        measured, predicted = (_rates(runs, [*parts, *shown], world) for world in ("real", "sim"))
        helping = [name for name, found in changes.items() if found == "less"]
        idle = [name for name in changes if name not in helping]
        if not helping:
            hurting = all(found == "more" for found in changes.values())
            certain = all(runs.count(part.scenario) >= MIN_FOR_INTERVAL for part in (Part(BASE, ""), *parts))
            if hurting and certain:
                return judge(holds=False, measured=measured, predicted=predicted)
            return unshown(measured, predicted, f"with {' and '.join(idle)} {NOTHING_LOST}")
        clauses = [missing] if missing else []
        if idle:
            clauses.insert(0, f"{' or '.join(idle)} is not meant: {NOTHING_LOST} with it")
        return judge("; ".join(clauses) or True, measured, predicted)

    return rule


def _rates(runs: Runs, parts: Sequence[Part], world: str) -> str:
    """The first beside what it is compared with: a table of headlines shows no more."""
    texts = [(part.name, runs.text(part.scenario, THROUGHPUT, PER_SECOND, world)) for part in parts]
    shown = [f"{name} {text}" for name, text in texts if text]
    shown[:1] = [f"{one}, everything on {runs.text(BASE, THROUGHPUT, PER_SECOND, world)}" for one in shown[:1]]
    return join(shown)


# --- intervals, concurrency, timeouts

PULLS = ("tuning-pull-100", "latency-poll", "tuning-pull-1000")
SLOTS = ("tuning-slots-5", "scaling-3", "tuning-slots-20")
TTLS = ("tuning-ttl-2", "failure-host", "tuning-ttl-10")


def _tuning(runs: Runs) -> Finding:
    """OPT-4: each knob changes what it should; knobs whose other end was not run are left out."""
    knobs: dict[str, Change | None] = {
        "the poll interval": change(runs, "latency-poll", "tuning-pull-100", OVERHEAD),
        "concurrency": _flip(change(runs, "scaling-3", "tuning-slots-20", "steady_throughput_per_s")),
        "the lease's timeout": change(runs, "failure-host", "tuning-ttl-2", "recovery_s.p50"),
    }
    known = {name: found for name, found in knobs.items() if found is not None}
    if not known:
        return Finding(NOT_RUN)
    measured, predicted = (_knobs(runs, world) for world in ("real", "sim"))
    without = [name for name, found in known.items() if found != "less"]
    if len(without) == len(known):
        return unshown(measured, predicted, f"{' and '.join(without)} {CHANGED_NOTHING}")
    condition = f"{' or '.join(without)} is not meant, which {CHANGED_NOTHING}"
    return judge(condition if without else True, measured, predicted)


def _flip(found: Change | None) -> Change | None:
    """More throughput is what is wanted, where of the other figures less is."""
    return {"more": "less", "less": "more", "same": "same", None: None}[found]


def _knobs(runs: Runs, world: str) -> str:
    pulls = [(runs.setting(name, "topology.worker_poll_interval_s"), name) for name in PULLS]
    slots = [(runs.setting(name, "topology.slots"), name) for name in SLOTS]
    ttls = [(runs.setting(name, "topology.lease_ttl_s"), name) for name in TTLS]
    parts = [
        ("pull every", "s", pulls, OVERHEAD, "ms", "latency beyond execution"),
        ("", " slots a worker", slots, "steady_throughput_per_s", PER_SECOND, ""),
        ("lease of", "s", ttls, "recovery_s.p50", "s", "running again after"),
    ]
    texts = []
    for before, after, found, key, unit, what in parts:
        for setting, name in found:
            text = runs.text(name, key, unit, world)
            unit_of = f" {after}" if after == "s" else after
            label = f"{before} {setting:g}{unit_of}".strip() if text and setting is not None else ""
            texts.append(f"{label}: {what} {text}".replace(":  ", ": ") if label else "")
    return join(texts)


# --- etcd

ENQUEUE = "latency_s.enqueue.p50"
ONE, THREE, SLOW = "latency-watch", "members-3", "disk-slow"
"""The same load."""

KILLED_MEMBERS = (("a follower of three killed", "members-3-kill"), ("the leader of three killed", "members-3-leader"))


def _etcd(runs: Runs) -> Finding:
    """OPT-5: members cost and keep the system going; the distance is asked of the model."""
    slower = change(runs, ONE, THREE, ENQUEUE)
    if slower is None:
        return Finding(NOT_RUN)
    texts = [f"{words}: enqueue p50 {runs.text(name, ENQUEUE, 'ms')}"
             for words, name in (("1 member", ONE), ("3 members", THREE))]  # fmt: skip
    slow = runs.text(SLOW, ENQUEUE, "ms")
    texts.append(f"each flush 10 ms later: enqueue p50 {slow}" if slow else "")
    rate = runs.text("members-3-burst", THROUGHPUT, PER_SECOND)
    texts.append(f"3 members, no duration: {rate}, of one {runs.text(BASE, THROUGHPUT, PER_SECOND)}" if rate else "")
    texts.append(f"one fsync {text}" if (text := runs.text(ONE, "etcd.fsync_mean_s", "ms")) else "")
    texts += [_killed(runs, words, name) for words, name in KILLED_MEMBERS]
    return judge(
        "availability is what the cluster is for: it costs time for every write, and buys no throughput here"
        if slower == "more"
        else True,
        join(texts),
        _asked(runs),
    )


def _killed(runs: Runs, words: str, name: str) -> str:
    """What a killed member of etcd cost; "" where it was not tried."""
    if runs.value(name, "completed") is None:
        return ""
    longest = runs.text(name, "latency_s.dispatch.p99", "ms")
    return f"{words}: {untold(runs, name) or 'all done'}, submit to start p99 {longest}"


def _asked(runs: Runs) -> str:
    """Of the model: latency beyond execution with another disk, or with etcd elsewhere."""
    names = {"latency-watch": "as here", "disk-none": "no fsync", "disk-slow": "each flush 10 ms later",
             "network-1ms": "etcd 1 ms away", "network-10ms": "10 ms away"}  # fmt: skip
    texts = [(word, runs.text(name, "latency_s.overhead.p50", "ms", "sim")) for name, word in names.items()]
    shown = [f"{word} {text}" for word, text in texts if text]
    shown[:1] = [f"latency beyond execution, p50: {shown[0]}"] if shown else []
    members = [(words, runs.text(name, ENQUEUE, "ms", "sim")) for words, name in (("1 member", ONE), ("3", THREE))]
    shown += [f"enqueue p50, {words} {text}" for words, text in members if text]
    return join(shown)


RULES: dict[str, Rule] = {
    "OPT-1": _ablations(
        [Part("ablation-no-batching", "one task a transaction")],
        [Part("ablation-batch-8", "at most 8"), Part("ablation-batch-64", "at most 64")],
    ),
    "OPT-2": _ablations(
        [Part("ablation-small-window", "next to no cache"), Part("ablation-no-buffer", "no local queue")]
    ),
    "OPT-3": _ablations(
        [Part("ablation-no-pipelining", "one transaction at a time")],
        missing="asynchronous handling is meant: every process keeps its one connection, which nothing switches off, "
        "so reuse has nothing to be compared with",
    ),
    "OPT-4": _tuning,
    "OPT-5": _etcd,
}
