"""What a scenario may say: what is run, by what load, through which faults, and how it is measured.

Everything but `name`, `workload.arrivals` and `count`/`duration_s` has a default. Components are named worker-1..,
scheduler-1.., etcd-1.. . `experiments.scenario` reads and writes the files.
"""

import re
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from core.model import DEFAULT_PRIORITY, MAX_PAYLOAD_BYTES, PRIORITIES
from core.settings import Count, Dispatch, Positive, Ticker, Ttl
from experiments.overrides import Overrides, of_model

Rate = Annotated[float, Meta(ge=0.001)]
"""Tasks a second; a task in a quarter of an hour is the least that makes sense."""
NotNegative = Annotated[float, Meta(ge=0)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]

SERVICE_TAG, ARRIVALS_TAG = "distribution", "process"


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all tables of a scenario."""


class Topology(_Table, frozen=True):
    """What runs. The defaults are the source's set-up: one scheduler, three workers of ten slots."""

    schedulers: Count = 1
    """Named scheduler-1, scheduler-2, ..."""
    workers: Count = 3
    """Named worker-1, worker-2, ..."""
    slots: Count = 10
    """Tasks a worker runs at once."""
    dispatch: Dispatch = "watch"
    """`"watch"`: told by etcd as it happens. `"poll"`: schedulers and workers look in intervals."""
    scheduler_poll_interval_s: Positive = 0.1
    """Poll mode only: how often a scheduler looks for ready tasks."""
    worker_poll_interval_s: Positive = 0.5
    """Poll mode only: how often a worker fetches what it was assigned."""
    ticker: Ticker = "rate"
    """Poll mode only. `"rate"`: ticks on a fixed grid, like Go's Ticker. `"delay"`: from the end of the last poll."""
    lease_ttl_s: Ttl = 5.0
    """Of workers and schedulers: how long a silent one counts as alive. etcd allows no less than 2 s."""
    etcd_members: Literal[1, 3, 5] = 1
    """Members of the etcd cluster, all on this machine."""
    etcd_flush_delay_s: NotNegative = 0.0
    """Added to each flush of etcd to its disk: a slow disk. Needs an etcd of its own, and Linux on x86-64 or arm64."""


# --- arrivals ----------------------------------------------------------------------------------------------------


class _Arrivals(_Table, frozen=True, tag_field=ARRIVALS_TAG):
    pass


class Burst(_Arrivals, frozen=True, tag="burst"):
    """All tasks at once."""


class ConstantRate(_Arrivals, frozen=True, tag="constant"):
    """One task every 1 / rate seconds, the first at 0."""

    rate_per_s: Rate


class Poisson(_Arrivals, frozen=True, tag="poisson"):
    """Independent exponential gaps."""

    rate_per_s: Rate


class Closed(_Arrivals, frozen=True, tag="closed"):
    """A new task whenever fewer than `in_flight` are unfinished: no schedule, so latency counts from the submit."""

    in_flight: Count


class ArrivalTrace(_Arrivals, frozen=True, tag="trace"):
    """Times in seconds from the start of the run, one a line, never decreasing."""

    file: str


Arrivals: TypeAlias = Burst | ConstantRate | Poisson | Closed | ArrivalTrace

# --- service times -----------------------------------------------------------------------------------------------


class _Service(_Table, frozen=True, tag_field=SERVICE_TAG):
    pass


class Constant(_Service, frozen=True, tag="constant"):
    """Always the same."""

    value_s: NotNegative


class Uniform(_Service, frozen=True, tag="uniform"):
    """Any time between two as likely as any other."""

    low_s: NotNegative
    high_s: NotNegative

    def __post_init__(self) -> None:
        _require(self.low_s <= self.high_s, f"low_s ({self.low_s}) is above high_s ({self.high_s})")


class Exponential(_Service, frozen=True, tag="exponential"):
    """Coefficient of variation 1."""

    mean_s: Positive


class Lognormal(_Service, frozen=True, tag="lognormal"):
    """`sigma` is the standard deviation of the logarithm; `mean_s` is the mean of the times themselves."""

    mean_s: Positive
    sigma: NotNegative


class Empirical(_Service, frozen=True, tag="empirical"):
    """Drawn with replacement from a file of seconds, one a line."""

    file: str


Service: TypeAlias = Constant | Uniform | Exponential | Lognormal | Empirical


class Workload(_Table, frozen=True):
    """The load. With both `count` and `duration_s`, whichever ends first ends the arrivals."""

    arrivals: Arrivals
    """When tasks are due; the kinds are below."""
    count: Count | None = None
    """Number of tasks. Burst and closed arrivals need it."""
    duration_s: Positive | None = None
    """Arrivals stop after this; what was submitted is waited for."""
    handler: Literal["echo", "sleep", "cpu", "fail"] = "echo"
    """What tasks do: return the payload after the service time, sleep it, burn it as CPU time, or fail."""
    service: Service = Constant(value_s=1.0)
    """How long each task takes; the kinds are below."""
    payload_bytes: Annotated[int, Meta(ge=0, le=MAX_PAYLOAD_BYTES)] = 0
    """Size of the payload; 0: no padding."""
    priorities: dict[int, Positive] = msgspec.field(default_factory=lambda: {DEFAULT_PRIORITY: 1.0})
    """Weight of each priority (0 runs first): `priorities = {0 = 1, 5 = 9}` gives every tenth task priority 0."""

    def __post_init__(self) -> None:
        bounded = self.count is not None or self.duration_s is not None
        by_count = isinstance(self.arrivals, Burst | Closed)
        process = type(self.arrivals).__struct_config__.tag
        _require(self.count is not None or not by_count, f"'count' is missing: {process} arrivals have no other end")
        _require(bounded or isinstance(self.arrivals, ArrivalTrace), "give 'count' or 'duration_s' (or both)")
        closed = isinstance(self.arrivals, Closed)
        _require(self.duration_s is None or not closed, "'duration_s' does not go with closed arrivals: use 'count'")
        _require(bool(self.priorities), "'priorities' is empty")
        for priority in self.priorities:
            _require(priority in PRIORITIES, f"priority {priority} is not between {PRIORITIES[0]} and {PRIORITIES[-1]}")

    @property
    def size(self) -> str:
        """Number of tasks, or how long they arrive, as the file says it."""
        return str(self.count) if self.count else f"{self.duration_s:g} s" if self.duration_s else "a trace"

    @property
    def expected_duration_s(self) -> float | None:
        """How long tasks arrive, where the file says so."""
        if isinstance(self.arrivals, Burst):
            return 0.0
        spans = [] if self.duration_s is None else [self.duration_s]
        if self.count is not None and isinstance(self.arrivals, ConstantRate | Poisson):
            spans.append(self.count / self.arrivals.rate_per_s)
        return min(spans, default=None)


# --- faults and measurement --------------------------------------------------------------------------------------

FaultKind: TypeAlias = Literal[
    "worker_kill",
    "host_kill",
    "worker_stop",
    "worker_drain",
    "scheduler_kill",
    "scheduler_stop",
    "etcd_kill",
    "partition",
]

FAULT_TARGETS: dict[str, str] = {
    "worker_kill": "worker",
    "host_kill": "worker",
    "worker_stop": "worker",
    "worker_drain": "worker",
    "scheduler_kill": "scheduler",
    "scheduler_stop": "scheduler",
    "etcd_kill": "etcd",
    "partition": "worker",
}

ETCD_LEADER, ETCD_FOLLOWER = "etcd-leader", "etcd-follower"
"""Targets of `etcd_kill` that are found when its time has come, or as soon as there is a leader."""


class Fault(_Table, frozen=True):
    """Something breaks `at_s` after the start and, with `duration_s`, is mended that much later.

    A killed or drained component is mended by starting it again, a stopped one (SIGSTOP) by letting it go on.
    `worker_kill` ends the worker process only: its nanny brings it back, so it takes no `duration_s`.
    """

    kind: FaultKind
    """What breaks; the kinds are below."""
    at_s: NotNegative
    """After the first task is due."""
    target: str
    """The component: worker-1, scheduler-1, etcd-1, ...; of several etcd members also etcd-leader or etcd-follower."""
    duration_s: Positive | None = None
    """After which it is mended; without it, never."""

    def __post_init__(self) -> None:
        kind = FAULT_TARGETS[self.kind]
        roles = (ETCD_LEADER, ETCD_FOLLOWER) if kind == "etcd" else ()
        _require(
            self.target in roles or re.fullmatch(rf"{kind}-[1-9][0-9]*", self.target),
            f"{self.kind} needs a target like {' or '.join(map(repr, (f'{kind}-1', *roles)))}, not {self.target!r}",
        )
        _require(self.kind != "etcd_kill" or self.duration_s is not None, "etcd_kill needs 'duration_s'")
        _require(
            self.kind != "worker_kill" or self.duration_s is None,
            "worker_kill takes no 'duration_s': the nanny restarts the worker (host_kill kills both)",
        )


class Measure(_Table, frozen=True):
    """How it is measured."""

    warmup_s: NotNegative = 0.0
    """Tasks due before this are run but left out of the latencies."""
    repetitions: Count = 1
    """Each with other draws; where both worlds run, they take turns."""
    seed: Annotated[int, Meta(ge=0)] = 1
    """Of arrivals, service times and priorities: the same (seed, repetition) draws the same in both worlds."""


class Scenario(_Table, frozen=True):
    """A whole scenario. Files it names are absolute paths once it is loaded."""

    name: Name
    """Letters, digits, dots, underscores, hyphens; the folder of its runs is named so, too."""
    workload: Workload
    claims: tuple[str, ...] = ()
    """Ids of the claims (experiments/claims/claims.toml) that this scenario bears on."""
    topology: Topology = Topology()
    settings: Overrides = Overrides()
    """Settings of the components that differ from the defaults, such as `[settings.scheduler]` `max_batch = 1`."""
    model: dict[str, Any] = msgspec.field(default_factory=dict)
    """Parameters of the model that differ from the profile, such as `cores = 64`: what no machine at hand can be."""
    faults: tuple[Fault, ...] = ()
    measure: Measure = Measure()

    @property
    def worlds(self) -> tuple[Literal["real", "sim"], ...]:
        """Where it can run: one that changes the model, or cuts a network, in the model alone."""
        cut = any(fault.kind == "partition" for fault in self.faults)
        return ("sim",) if self.model or cut else ("real", "sim")

    def __post_init__(self) -> None:
        self.settings.check()
        of_model(self.model)
        for index, fault in enumerate(self.faults):
            self._check_fault(f"faults[{index}]", fault)
        arrivals_s = self.workload.expected_duration_s
        warmup_s = self.measure.warmup_s
        _require(
            warmup_s == 0 or arrivals_s is None or warmup_s < arrivals_s,
            f"measure.warmup_s is {warmup_s}, but tasks arrive for {arrivals_s} s only: nothing would be measured",
        )

    def _check_fault(self, where: str, fault: Fault) -> None:
        (kind, _, number), topology = fault.target.rpartition("-"), self.topology
        have = {"worker": topology.workers, "scheduler": topology.schedulers, "etcd": topology.etcd_members}[kind]
        known = int(number) <= have if number.isdigit() else have > 1 or fault.target == ETCD_LEADER
        _require(known, f"{where}.target is {fault.target!r}, but the last {kind} is '{kind}-{have}' (topology)")
        duration_s = self.workload.duration_s
        if duration_s is not None:
            _require(
                fault.at_s < duration_s,
                f"{where}.at_s is {fault.at_s}, after the end of the arrivals (workload.duration_s = {duration_s})",
            )


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(message)
