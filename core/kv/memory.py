"""A model of etcd in memory: the same answers, without a network, a disk or a clock.

It serves the simulated world, and tests. The contract suite runs every behaviour that Tandem relies on against this
model and against a real server; a property test compares the two on random transactions.

How etcd works, as far as it shows here: the store has one revision number. Every transaction that changes something
raises it by one, and all keys that the transaction touched carry that number as their `mod_revision`. A transaction
that changes nothing (a deletion of an absent key, a failed compare) raises nothing. Watches deliver changes in
revision order. Leases hold keys; the end of a lease deletes them, in one revision for each lease.

Not modelled: sizes in bytes, the storage quota, permissions.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from core.kv.feeds import Feeds, Range
from core.kv.ordered import OrderedKeys
from core.kv.requests import (
    Change,
    Compare,
    CompareField,
    CompareOp,
    Delete,
    EtcdRequest,
    Found,
    Get,
    Grant,
    Granted,
    Kv,
    Put,
    Reason,
    Refused,
    Response,
    Revoke,
    Revoked,
    Txn,
    TxnDone,
)

MAX_OPERATIONS = 128
"""etcd's default of --max-txn-ops. It bounds each of compares, then and orelse, not their sum."""

MIN_LEASE_TTL_S = 2.0
"""What etcd makes of shorter wishes at its default election timeout of 1 s."""

LOG_LENGTH = 100_000
"""Changes kept for watches that start in the past and for reads of old revisions; older ones count as compacted."""


class Written(msgspec.Struct, frozen=True, gc=False):
    """One entry of the change log: `after` is None for a deletion, `before` for a creation."""

    revision: int
    key: str
    after: Kv | None
    before: Kv | None


class _Lease:
    __slots__ = ("expires_s", "keys", "ttl_s")

    def __init__(self, ttl_s: float, expires_s: float) -> None:
        self.ttl_s = ttl_s
        self.expires_s = expires_s
        self.keys: set[str] = set()


class MemoryKv:
    """etcd's store as one object. Deterministic; every call is atomic; `now_s` is any clock that never goes back.

    `on_change(watcher)` is called when a watcher that had nothing to drain gets something.
    """

    def __init__(
        self,
        *,
        max_operations: int = MAX_OPERATIONS,
        min_lease_ttl_s: float = MIN_LEASE_TTL_S,
        log_length: int = LOG_LENGTH,
        on_change: Callable[[int], None] | None = None,
    ) -> None:
        self.revision = 1
        self.floor = 0
        """The oldest revision that can still be read or watched from."""
        self.max_operations = max_operations
        self._min_lease_ttl_s = min_lease_ttl_s
        self._log_length = log_length
        self._data: dict[str, Kv] = {}
        self._keys = OrderedKeys()
        self._log: deque[Written] = deque()
        self._leases: dict[int, _Lease] = {}
        self._last_lease = 0
        self._feeds = Feeds(on_change)

    # --- requests ------------------------------------------------------------------------------------------------

    def apply(self, request: EtcdRequest, now_s: float) -> Response:
        """Carry out one request. Never raises: what etcd would refuse is answered with `Refused`."""
        match request:
            case Txn():
                return self._txn(request)
            case Get():
                return self._get(request)
            case Grant(ttl_s):
                return self._grant(ttl_s, now_s)
            case Revoke(lease):
                self._revoke(lease)
                return Revoked()

    def _get(self, get: Get) -> Found | Refused:
        at = get.revision
        if at > self.revision:
            return Refused(Reason.INVALID, "required revision is a future revision")
        if at and at < self.floor:
            return Refused(Reason.COMPACTED, "required revision has been compacted")
        if at and at < self.revision:
            return self._get_past(get, at)
        if get.end is None:
            kv = self._data.get(get.key)
            kvs, count = ((kv,), 1) if kv is not None else ((), 0)
            return _answer(get, kvs, count, self.revision)
        keys, count = self._keys.first(get.key, get.end, 1 if get.count_only else get.limit)
        return _answer(get, [self._data[key] for key in keys], count, self.revision)

    def _get_past(self, get: Get, at: int) -> Found:
        """The range as it stood at revision `at`: the present, with everything since then undone."""
        keys = [get.key] if get.end is None else self._keys.first(get.key, get.end, 0)[0]
        past: dict[str, Kv | None] = {key: self._data.get(key) for key in keys}
        for written in reversed(self._log):
            if written.revision <= at:
                break
            if written.key == get.key or (get.end is not None and get.key <= written.key < get.end):
                past[written.key] = written.before
        kvs = [kv for _, kv in sorted(past.items()) if kv is not None]
        return _answer(get, kvs[: get.limit or None], len(kvs), self.revision)

    def _txn(self, txn: Txn) -> TxnDone | Refused:
        refused = self._check(txn)
        if refused:
            return refused
        succeeded = self._holds(txn.compares)
        branch = txn.then if succeeded else txn.orelse
        refused = self._check_branch(branch)
        if refused:
            return refused
        found: list[Found] = []
        revision = self.revision + 1
        changed = False
        for op in branch:
            kind = type(op)
            if kind is Put:
                self._put(op, revision)  # type: ignore[arg-type]
                changed = True
            elif kind is Delete:
                changed = self._delete(op.key, revision) or changed
            else:
                self.revision += changed  # reads see what the transaction wrote before them
                found.append(self._get(op))  # type: ignore[arg-type]
                self.revision = revision - 1
        if changed:
            self._commit(revision)
        return TxnDone(succeeded, self.revision, tuple(found))

    def _check(self, txn: Txn) -> Refused | None:
        """What etcd refuses before it looks at any compare."""
        if max(len(txn.compares), len(txn.then), len(txn.orelse)) > self.max_operations:
            return Refused(Reason.TOO_MANY_OPERATIONS, "too many operations in txn request")
        written = [op.key for op in txn.then if type(op) is not Get]
        if len(set(written)) != len(written):
            puts = [op.key for op in txn.then if type(op) is Put]
            deletes = {op.key for op in txn.then if type(op) is Delete}
            if len(set(puts)) != len(puts) or not deletes.isdisjoint(puts):
                return Refused(Reason.INVALID, "duplicate key given in txn request")
        return None

    def _check_branch(self, branch: Iterable[Put | Delete | Get]) -> Refused | None:
        """What etcd refuses in the branch that it is about to run."""
        for op in branch:
            kind = type(op)
            if kind is Put:
                if op.lease and op.lease not in self._leases:  # type: ignore[union-attr]
                    return Refused(Reason.LEASE_NOT_FOUND, "requested lease not found")
            elif kind is Get and op.revision:  # type: ignore[union-attr]
                answer = self._get(op)  # type: ignore[arg-type]
                if type(answer) is Refused:
                    return answer
        return None

    def _holds(self, compares: Iterable[Compare]) -> bool:
        data = self._data
        for compare in compares:
            kv = data.get(compare.key)
            field = compare.field
            if kv is None:
                actual = 0
            elif field is CompareField.MOD_REVISION:
                actual = kv.mod_revision
            elif field is CompareField.CREATE_REVISION:
                actual = kv.create_revision
            else:
                actual = kv.version
            if not (actual == compare.value if compare.op is CompareOp.EQUAL else actual > compare.value):
                return False
        return True

    # --- writes --------------------------------------------------------------------------------------------------

    def _put(self, put: Put, revision: int) -> None:
        key = put.key
        before = self._data.get(key)
        if before is None:
            after = Kv(key, put.value, revision, revision, 1, put.lease)
            self._keys.add(key)
        else:
            after = Kv(key, put.value, revision, before.create_revision, before.version + 1, put.lease)
            if before.lease:
                self._leases[before.lease].keys.discard(key)
        if put.lease:
            self._leases[put.lease].keys.add(key)
        self._data[key] = after
        self._log.append(Written(revision, key, after, before))
        feeds = self._feeds.puts_of(key)
        if feeds:
            self._feeds.deliver(feeds, Change(key, put.value, revision, False, after.version))  # noqa: FBT003

    def _delete(self, key: str, revision: int) -> bool:
        before = self._data.pop(key, None)
        if before is None:
            return False
        self._keys.remove(key)
        if before.lease:
            self._leases[before.lease].keys.discard(key)
        self._log.append(Written(revision, key, None, before))
        feeds = self._feeds.deletes_of(key)
        if feeds:
            self._feeds.deliver(feeds, Change(key, None, revision, deleted=True))
        return True

    def _commit(self, revision: int) -> None:
        self.revision = revision
        log = self._log
        while len(log) > self._log_length and log[0].revision < revision:
            self.compact(log[0].revision + 1)

    def compact(self, revision: int) -> None:
        """Forget what lies before `revision`: it can no longer be read, nor watched from."""
        self.floor = max(self.floor, min(revision, self.revision))
        while self._log and self._log[0].revision < self.floor:
            self._log.popleft()

    # --- leases --------------------------------------------------------------------------------------------------

    def _grant(self, ttl_s: float, now_s: float) -> Granted:
        granted_s = float(math.ceil(max(ttl_s, self._min_lease_ttl_s)))
        self._last_lease += 1
        self._leases[self._last_lease] = _Lease(granted_s, now_s + granted_s)
        return Granted(self._last_lease, granted_s)

    def _revoke(self, lease: int) -> None:
        held = self._leases.get(lease)
        if held is None:
            return
        revision = self.revision + 1
        keys = sorted(held.keys)
        for key in keys:
            self._delete(key, revision)
        if keys:
            self._commit(revision)
        del self._leases[lease]

    def keep_alive(self, lease: int, now_s: float) -> float:
        """Renew a lease; its TTL in seconds, or 0 where it is gone or past its end."""
        held = self._leases.get(lease)
        if held is None or held.expires_s <= now_s:
            return 0.0
        held.expires_s = now_s + held.ttl_s
        return held.ttl_s

    def expire(self, now_s: float) -> tuple[int, ...]:
        """End every lease whose time is over, oldest first, deleting its keys; the leases ended."""
        over = sorted((held.expires_s, lease) for lease, held in self._leases.items() if held.expires_s <= now_s)
        for _, lease in over:
            self._revoke(lease)
        return tuple(lease for _, lease in over)

    def extend_leases(self, now_s: float) -> None:
        """Restart the time of every lease, as a new etcd leader does."""
        for held in self._leases.values():
            held.expires_s = now_s + held.ttl_s

    def next_expiry(self) -> float | None:
        """When the next lease ends if nobody renews it."""
        return min((held.expires_s for held in self._leases.values()), default=None)

    # --- watches -------------------------------------------------------------------------------------------------

    def watch(self, key: str, end: str, revision: int, *, puts: bool = True, deletes: bool = True) -> int | Refused:
        """Watch [key, end) from `revision` on (0: from now on); the id of the watcher.

        Refused as COMPACTED where that revision is gone, as INVALID where the range is empty.
        """
        if key >= end:
            return Refused(Reason.INVALID, "watch of an empty range")
        if revision and revision < self.floor:
            return Refused(Reason.COMPACTED, f"revision {revision} is below {self.floor}")
        missed: list[Change] = []
        for written in reversed(self._log) if revision else ():
            if written.revision < revision:
                break
            if key <= written.key < end and (deletes if written.after is None else puts):
                missed.append(_change(written))
        missed.reverse()
        return self._feeds.open(Range(key, end), revision, missed, puts=puts, deletes=deletes)

    def unwatch(self, watcher: int) -> None:
        """Close a watcher. Closing one that is closed does nothing."""
        self._feeds.close(watcher)

    def drain(self, watcher: int) -> tuple[tuple[Change, ...], int]:
        """Everything the watcher has not been given yet, in revision order, and the store's revision."""
        return self._feeds.drain(watcher), self.revision

    # --- for tests -----------------------------------------------------------------------------------------------

    def validate(self) -> None:
        """Check the invariants; raises AssertionError."""
        assert sorted(self._keys) == sorted(self._data), "the index holds other keys than the data"
        for key, kv in self._data.items():
            assert kv.key == key
            assert kv.version >= 1
            assert kv.create_revision <= kv.mod_revision <= self.revision, "a key from the future"
            assert (kv.version == 1) == (kv.create_revision == kv.mod_revision), "version disagrees with the revisions"
        leased = {(kv.lease, key) for key, kv in self._data.items() if kv.lease}
        assert leased == {(lease, key) for lease, held in self._leases.items() for key in held.keys}
        revisions = [written.revision for written in self._log]
        assert revisions == sorted(revisions), "the log is out of order"
        assert not revisions or self.floor <= revisions[0], "the log reaches below its floor"


def _answer(get: Get, kvs: Iterable[Kv], count: int, revision: int) -> Found:
    if get.count_only:
        return Found((), revision, more=False, count=count)
    if get.keys_only:
        kvs = [msgspec.structs.replace(kv, value=None) for kv in kvs]
    return Found(tuple(kvs), revision, bool(get.limit) and count > get.limit and get.end is not None, count)


def _change(written: Written) -> Change:
    if written.after is None:
        return Change(written.key, None, written.revision, deleted=True)
    return Change(written.key, written.after.value, written.revision, version=written.after.version)
