"""What was measured of rests, reads, watches, bytes and compares: plain data, as one process tells it another."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AtRest:
    """CPU seconds a second of a server that has nothing to do."""

    server_cpu: float


@dataclass(frozen=True, slots=True)
class Read:
    keys: int
    latency_s: float
    client_cpu_s: float
    etcd_cpu_s: float


@dataclass(frozen=True, slots=True)
class WatchCost:
    """CPU seconds that a client and the server spent on so many watch messages with so many changes in all."""

    batch: int
    messages: int
    changes: int
    cpu_s: float
    server_cpu_s: float


@dataclass(frozen=True, slots=True)
class ByteCost:
    """Seconds for each byte of a payload.

    CPU time of who sends and of the server that writes, time of the log's disk and of the backend's commit, CPU time of
    who hears and of the server that tells.
    """

    send_s: float
    write_s: float
    fsync_s: float
    commit_s: float
    heard_s: float
    told_s: float


@dataclass(frozen=True, slots=True)
class CompareCost:
    """CPU seconds for each compare: of who sends it, and of the server that checks it."""

    send_s: float
    check_s: float
