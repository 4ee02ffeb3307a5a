"""Settings of the components, as users write them (`--config FILE.toml`) and as experiments vary them.

Every optimisation can be switched off here, because the experiments measure what each one is worth.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]

MIN_LEASE_TTL_S = 2.0
"""etcd raises shorter leases to 2 s at its default election timeout (1 s): asking for less would be a lie."""

Ttl = Annotated[float, Meta(ge=MIN_LEASE_TTL_S)]
Dispatch = Literal["watch", "poll"]
Ticker = Literal["rate", "delay"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all settings."""


class SchedulerSettings(Settings, frozen=True):
    dispatch: Dispatch = "watch"
    """`watch`: told by etcd as it happens. `poll`: look in intervals."""
    poll_interval_s: Positive = 0.1
    """Poll mode only: how often to look for ready tasks."""
    ticker: Ticker = "rate"
    """`rate`: ticks on a fixed grid, missed ones dropped, like Go's time.Ticker. `delay`: counted from the last end."""
    lease_ttl_s: Ttl = 5.0
    """How long a silent scheduler counts as alive."""
    steal_after_s: Positive = 1.0
    """A share whose owner has moved nothing for this long may be taken over by a scheduler that is idle."""
    reconcile_interval_s: Positive = 1.0
    """How often a page of assignments is compared with the live workers, beside what the watch tells."""
    window: Count = 4096
    """Ready tasks held in memory for each queue; the rest stays in etcd and is paged in."""
    max_batch: Count = 512
    """Tasks in one transaction; 1 switches batching off."""
    max_in_flight: Count = 4
    """Assign transactions under way at once; 1 switches pipelining off."""
    min_fill: Count = 256
    """Tasks that a transaction must hold to start while another is under way; 1 switches gathering off."""
    max_buffer: Annotated[int, Meta(ge=0)] = 256
    """Most tasks a worker may hold beyond its slots, so that short tasks stream; 0 switches the buffer off. By polling
    a worker may always hold twice its slots."""
    placement: str = "least_loaded"
    """Who takes the next task: a name of `core.policy.placement`, or `module:name` of a function of yours."""


class WorkerSettings(Settings, frozen=True):
    slots: Count = 10
    """Tasks run at once, each in a thread."""
    queues: tuple[str, ...] = ()
    """Queues served; empty: all."""
    dispatch: Dispatch = "watch"
    """As the scheduler's; set both alike."""
    poll_interval_s: Positive = 0.5
    """Poll mode only: how often to fetch what was assigned."""
    ticker: Ticker = "rate"
    """As the scheduler's."""
    lease_ttl_s: Ttl = 5.0
    """How long a silent worker counts as alive; then its tasks are requeued."""
    max_batch: Count = 512
    """Results in one transaction; 1 switches batching off."""
    max_in_flight: Count = 2
    """Transactions with results under way at once; 1 switches pipelining off."""
    min_fill: Count = 256
    """Results that a transaction must hold to start while another is under way; 1 switches gathering off."""
    drain_limit_s: Positive = 30.0
    """On SIGTERM, running tasks may take this long; after it they are handed back."""


class ClientSettings(Settings, frozen=True):
    max_batch: Count = 512
    """Submits in one transaction; 1 switches batching off."""
    max_in_flight: Count = 4
    """Submit transactions under way at once; 1 switches pipelining off."""
    min_fill: Count = 256
    """Submits that a transaction must hold to start while another is under way; 1 switches gathering off."""


class Config(Settings, frozen=True):
    """A settings file: tables [scheduler], [worker], [client]; all optional."""

    scheduler: SchedulerSettings = SchedulerSettings()
    worker: WorkerSettings = WorkerSettings()
    client: ClientSettings = ClientSettings()


def load_config(path: Path) -> Config:
    """Read a settings file.

    Raises ValueError with a sentence for the user (file, key path, what is wrong).
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Config)
    except OSError as error:
        raise ValueError(f"cannot read settings file {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"settings file {path}: {error}") from error
