"""What etcd says of itself: its /metrics, read from each member before and after a repetition.

The two readings are kept in the repetition's `etcd.json`; what lies between them gives the figures `etcd.*`. Counters
begin anew when a member is restarted: nothing is then known of what it did in between, and the figures that would need
it do not exist.
"""

import contextlib
import http.client
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S = 2.0
"""etcd answers in some 5 ms; a member that is down or hangs must not hold up a run."""

FSYNC = "etcd_disk_wal_fsync_duration_seconds"
COMMIT = "etcd_disk_backend_commit_duration_seconds"
REQUESTS = "grpc_server_handled_total"
SERVICES = ("etcdserverpb.KV", "etcdserverpb.Lease")
"""What clients call once for each request; keepalives and watches are streams, and count when they end."""

WANTED = {
    "process_start_time_seconds": "started_at",
    "etcd_server_proposals_committed_total": "proposals",
    "etcd_network_client_grpc_received_bytes_total": "received_bytes",
    "etcd_network_client_grpc_sent_bytes_total": "sent_bytes",
    f"{FSYNC}_count": "fsyncs",
    f"{FSYNC}_sum": "fsync_s",
    f"{COMMIT}_count": "commits",
    f"{COMMIT}_sum": "commit_s",
    "etcd_mvcc_db_total_size_in_bytes": "db_bytes",
}
"""Names of etcd 3.4 and later, all without labels."""


class Reading(msgspec.Struct, frozen=True):
    """One member at one moment: counts and seconds since it started, and the size of its database now."""

    started_at: float
    """Unix time: another one means another process, whose counters began at 0."""
    proposals: float
    """Committed by raft, and so counted by every member."""
    received_bytes: float
    """From clients."""
    sent_bytes: float
    """To clients."""
    requests: float
    """Of clients, to the key-value and the lease service."""
    fsyncs: float
    """Of the write-ahead log."""
    fsync_s: float
    commits: float
    """Of the backend, the database file."""
    commit_s: float
    db_bytes: float


class Member(msgspec.Struct, frozen=True):
    """A member before and after; None where its /metrics could not be read."""

    name: str
    before: Reading | None
    after: Reading | None

    def used(self, what: Callable[[Reading], float]) -> float | None:
        """How much a counter has grown; None where that is not known."""
        before, after = self.before, self.after
        if before is None or after is None or before.started_at != after.started_at:
            return None
        return what(after) - what(before)


def read(url: str) -> Reading:
    """The figures of the member whose /metrics are at `url`.

    Raises OSError where it does not answer, ValueError where the answer is none of etcd's.
    """
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc, timeout=TIMEOUT_S)  # no proxy: members are near
    try:
        connection.request("GET", where.path)
        return parse(connection.getresponse().read().decode())
    except http.client.HTTPException as error:
        raise ValueError(f"{url}: {error!r}") from error
    finally:
        connection.close()


def parse(text: str) -> Reading:
    """The figures in what etcd answers. Raises ValueError where some are missing."""
    found = {"requests": 0.0}
    for family in text_string_to_metric_families("".join(_matter(text))):
        for sample in family.samples:
            if sample.name == REQUESTS and sample.labels.get("grpc_service") in SERVICES:
                found["requests"] += sample.value
            elif sample.name in WANTED and not sample.labels:
                found[WANTED[sample.name]] = sample.value
    try:
        return msgspec.convert(found, Reading)
    except msgspec.ValidationError as error:
        raise ValueError(f"these are not etcd's metrics: {error}") from error


def _matter(text: str) -> Iterator[str]:
    """The lines that say something wanted: some 20 of 1,500, which takes 2 ms instead of 60 to understand."""
    names = tuple(WANTED)
    for line in text.splitlines(keepends=True):
        if line.startswith(names) or (line.startswith(REQUESTS) and not line.rstrip().endswith(" 0")):
            yield line


def read_all(urls: Mapping[str, str]) -> dict[str, Reading | None]:
    """The figures of each member by its name; None where they could not be read."""
    found: dict[str, Reading | None] = dict.fromkeys(urls)
    for name, url in urls.items():
        with contextlib.suppress(OSError, ValueError):
            found[name] = read(url)
    return found


def between(before: Mapping[str, Reading | None], after: Mapping[str, Reading | None]) -> list[Member]:
    return [Member(name, before[name], after.get(name)) for name in before]


def write(members: Sequence[Member], path: Path) -> None:
    """`etcd.json`."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode({"members": members}), indent=2) + b"\n")


def figures(members: Sequence[Member], completed: int) -> dict[str, float | None]:
    """The figures `etcd.*` of `metrics.json`.

    Bytes and requests are those of all members, since each client talks to any of them. Proposals and fsyncs are those
    of the member that had most: in a cluster every member has about as many. Times are means over all members.
    """
    fsyncs = [(one.used(lambda at: at.fsync_s), one.used(lambda at: at.fsyncs)) for one in members]
    commits = [(one.used(lambda at: at.commit_s), one.used(lambda at: at.commits)) for one in members]
    sizes = [one.after.db_bytes for one in members if one.after is not None]
    return {
        "proposals_per_task": _per(_most([one.used(lambda at: at.proposals) for one in members]), completed),
        "requests_per_task": _per(_sum([one.used(lambda at: at.requests) for one in members]), completed),
        "bytes_in_per_task": _per(_sum([one.used(lambda at: at.received_bytes) for one in members]), completed),
        "bytes_out_per_task": _per(_sum([one.used(lambda at: at.sent_bytes) for one in members]), completed),
        "fsyncs_per_task": _per(_most([count for _, count in fsyncs]), completed),
        "fsync_mean_s": _mean(fsyncs),
        "commit_mean_s": _mean(commits),
        "db_size_mb": max(sizes) / 1e6 if sizes else None,
    }


def _most(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _sum(values: Sequence[float | None]) -> float | None:
    """None where one is missing: a part would look like the whole."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _mean(pairs: Sequence[tuple[float | None, float | None]]) -> float | None:
    """Seconds over the number of times, of those members of which both are known."""
    known = [(seconds, count) for seconds, count in pairs if seconds is not None and count is not None]
    return _per(sum(seconds for seconds, _ in known), sum(count for _, count in known))


def _per(value: float | None, count: float) -> float | None:
    return None if value is None or not count else value / count
