"""What the model is told about the world: each number with its unit, its source and its date.

`tandem-bench calibrate` measures a profile; `profiles/reference.json` is one that was measured on the machine it names.
Costs are CPU seconds on the core that does the work, delays are seconds. `..._item_s` is per item: an operation of a
transaction, a key of an answer, a change of a watch, a task of an event.
"""

from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

REFERENCE = Path(__file__).parent / "profiles" / "reference.json"

Refinement: TypeAlias = Literal["constant", "quantiles", "station"]
"""How finely etcd is modelled (`sim.etcd.paths`)."""


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number (or the quantiles of one) and where it comes from."""

    value: float | tuple[float, ...]
    unit: str
    source: str
    when: str
    error: float | None = None
    """Relative error of the fit that it comes from, where it comes from one."""


class WriteTimes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the server took for transactions of `batch` puts, `concurrency` under way: quantiles, equally spaced."""

    batch: int
    concurrency: int
    quantiles_s: tuple[float, ...]


class Values(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The plain numbers. The defaults are round figures for tests and examples; experiments load a profile."""

    cores: int = 2
    """Of the one host that all processes share."""

    slice_s: float = 0.0
    """How long a process with more to do keeps its core while others wait for one (Linux: 1 to 3 ms)."""
    balance_s: float = 0.0
    """How long a core with nothing to do leaves alone what waits for another; 0: all cores share one queue."""
    stolen_per_s: float = 0.0
    stolen_s: tuple[float, ...] = ()
    """How often a hypervisor takes a core away in a second that it is wanted; equally spaced quantiles of how long."""
    network_delay_s: float = 0.00004
    network_jitter_s: float = 0.0
    request_timeout_s: float = 5.0
    reconnect_s: float = 0.25
    """Until a client has noticed that etcd is back (its channel backs off up to 0.5 s)."""

    # etcd
    max_operations: int = 4096
    etcd_request_s: float = 0.00008
    etcd_request_item_s: float = 0.000002
    etcd_fsync_s: float = 0.0004
    """One write-ahead-log batch, on a machine with nothing else to do: a wait, and `etcd_sync_s` of CPU time in it."""
    etcd_sync_s: float = 0.0
    """CPU time of an fsync: see `sim.etcd.disk`."""
    etcd_fsync_item_s: float = 0.000002
    etcd_fsync_byte_s: float = 0.0
    """For each byte of payloads and results (as all `..._byte_s`)."""
    etcd_flush_delay_s: float = 0.0
    """Added to each flush of a slow disk: one for a batch of the log, two for a commit of the database file."""
    etcd_compare_s: float = 0.0
    """CPU time of the server to look up the key of a compare."""
    etcd_byte_s: float = 0.0
    """CPU time to write a byte: half before the log, half when it is applied."""
    etcd_batch_s: float = 0.0
    """CPU time of one round of raft's loop, before the log is written."""
    etcd_background: float = 0.0
    """Share of the server's CPU time that no request waits for: garbage collection, and what comes after an answer."""
    etcd_fsync_residuals: tuple[float, ...] = ()
    """Equally spaced quantiles of measured / fitted; empty: constant."""
    etcd_apply_s: float = 0.00003
    etcd_apply_item_s: float = 0.000006
    etcd_connection_s: float = 0.0
    """CPU time to wake a connection that has nothing under way: its messages do not come together with others."""
    etcd_answer_s: float = 0.0
    """CPU time from the effect of a write to its answer on the wire."""
    etcd_read_s: float = 0.00004
    etcd_read_item_s: float = 0.000002
    etcd_watch_delay_s: float = 0.0001
    etcd_watch_s: float = 0.0
    """CPU time of one message to one watcher."""
    etcd_watch_item_s: float = 0.000001
    etcd_watch_byte_s: float = 0.0
    """CPU time of the server to tell a byte, to a watcher or in an answer."""
    etcd_commit_interval_s: float = 0.1
    """etcd's default of --backend-batch-interval."""
    etcd_commit_s: float = 0.0
    """One commit of the database file: applying waits for it."""
    etcd_commit_byte_s: float = 0.0
    etcd_cold_factor: float = 0.0
    etcd_cold_warm_s: float = 0.0005
    """See `sim.coldness`."""
    etcd_idle_cpu: float = 0.0
    """CPU seconds a second that the server uses with nothing to do."""
    write_times: tuple[WriteTimes, ...] = ()
    """Measured times at the server, for the coarse models of it."""
    etcd_members: int = 1
    etcd_member_delay_s: float = 0.0002
    """Round trip between members of a cluster."""
    etcd_expiry_interval_s: float = 0.5
    etcd_start_s: float = 0.5
    """From a restart to the earliest moment at which it serves again."""
    etcd_election_s: float = 0.0
    """How much later that may be, evenly drawn: raft draws how long a member waits before it elects itself."""
    etcd_election_timeout_s: float = 1.0
    """etcd's default of --election-timeout: see `sim.etcd.election`."""

    # Python processes
    wake_s: float = 0.0
    """CPU time to wake a process that has nothing to do: from its socket through its threads."""
    switch_s: float = 0.0
    """How long a thread waits for the GIL before it is handed over (`sys.getswitchinterval`); 0: jobs in turn."""
    alarm_s: float = 0.0
    alarm_cold_s: float = 0.0
    """CPU time to wake one that has set itself a timer, and what is added when it is cold."""
    tail: float = 0.0
    """Share of what waking and coldness add that comes after the effect."""
    cold_factor: float = 0.0
    cold_warm_s: float = 0.001
    cold_idle_s: float = 0.004
    cold_share: float = 0.0
    cold_quick_s: float = 0.0005
    """See `sim.coldness`; the server's, too."""
    trace_s: float = 0.0
    trace_row_s: float = 0.0
    """To write down a batch of moments, and each row of it."""
    scheduler_idle_cpu: float = 0.0
    worker_idle_cpu: float = 0.0
    client_idle_cpu: float = 0.0
    """CPU seconds a second that each uses with nothing to do, a worker's nanny included."""
    send_s: float = 0.00012
    send_item_s: float = 0.000006
    send_compare_s: float = 0.0
    send_byte_s: float = 0.0
    """To encode and send."""
    reply_s: float = 0.0001
    reply_item_s: float = 0.000004
    watch_s: float = 0.00008
    watch_item_s: float = 0.000008
    heard_byte_s: float = 0.0
    """To receive and decode a byte of a watch message or an answer."""
    scheduler_event_s: float = 0.00002
    scheduler_item_s: float = 0.000006
    worker_event_s: float = 0.00002
    worker_item_s: float = 0.000004
    client_event_s: float = 0.00001
    client_item_s: float = 0.000002
    submit_call_s: float = 0.00003
    submit_item_s: float = 0.000003
    slot_pickup_s: float = 0.00002
    slot_hop_s: float = 0.0
    slot_cold_s: float = 0.0
    """To wake a slot's thread, or the thread that waits for the slot; what the first adds in a cold process."""
    slot_wrap_s: float = 0.00002
    sleep_overshoot_s: float = 0.0001
    sleep_overshoot_residuals: tuple[float, ...] = ()
    """Equally spaced quantiles of measured / `sleep_overshoot_s`; empty: constant."""
    scheduler_start_s: float = 0.6
    worker_start_s: float = 0.7
    """CPU time from the start of a process to its registration; of a worker without its nanny."""
    nanny_start_s: float = 0.0
    nanny_revoke_s: float = 0.3
    """CPU time of a nanny whose worker died, until its lease is revoked: it imports the client of etcd and connects."""
    nanny_restart_s: float = 0.1
    """The nanny's first pause (`core.runtime.nanny.RESTART_FIRST_S`)."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A measured set of parameters. `about`: machine, etcd version and flags, load, as the calibration found them."""

    about: dict[str, Any]
    parameters: dict[str, Parameter]
    write_times: tuple[WriteTimes, ...] = ()

    def values(self) -> Values:
        """The plain numbers; what the profile does not name keeps its default.

        Raises ValueError for a name that the model does not know, or a value that does not fit.
        """
        plain: dict[str, Any] = {name: parameter.value for name, parameter in self.parameters.items()}
        plain["write_times"] = self.write_times
        try:
            return msgspec.convert(plain, Values, strict=False)
        except msgspec.ValidationError as error:
            raise ValueError(f"model parameters: {error}") from error


REMEDY = "'tandem-bench calibrate --out FILE' writes such a file"


def load(path: Path = REFERENCE) -> Profile:
    """Read a profile.

    Raises ValueError with a sentence for the user.
    """
    try:
        profile = msgspec.json.decode(path.read_bytes(), type=Profile)
    except OSError as error:
        raise ValueError(f"cannot read model parameters {path}: {error.strerror}; {REMEDY}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"model parameters {path}: {error}; {REMEDY}") from error
    profile.values()
    return profile


def save(profile: Profile, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(profile), indent=2) + b"\n")
