"""A model of etcd in memory: the same answers, without a network, a disk or a clock.

It serves the simulated world, and tests. The contract suite runs every behaviour that Tandem relies on against this
model and against a real server; a property test compares the two on random transactions.

How etcd works, as far as it shows here: the store has one revision number. Every transaction that changes something
raises it by one, and all keys that the transaction touched carry that number as their `mod_revision`. A transaction
that changes nothing (a deletion of an absent key, a failed compare) raises nothing. Watches deliver changes in
revision order. Leases hold keys; the end of a lease deletes them, in one revision for each lease.

What is not asked for is not computed: keys are put in order when a range is read, a change becomes an event only where
somebody watches. Not modelled: sizes in bytes, the storage quota, permissions.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from core.kv.feeds import Feeds, Range
from core.kv.history import LENGTH, History, Written
from core.kv.leases import MIN_TTL_S, Leases
from core.kv.records import Records, Shelf
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

Operation = Put | Delete | Get

_MOD_REVISION, _CREATE_REVISION, _EQUAL = CompareField.MOD_REVISION, CompareField.CREATE_REVISION, CompareOp.EQUAL


class MemoryKv:
    """etcd's store as one object. Deterministic; every call is atomic; `now_s` is any clock that never goes back.

    `on_change(watcher)` is called when a watcher that had nothing to drain gets something.
    """

    def __init__(
        self,
        *,
        max_operations: int = MAX_OPERATIONS,
        min_lease_ttl_s: float = MIN_TTL_S,
        log_length: int = LENGTH,
        on_change: Callable[[int], None] | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self.revision = 1
        self.max_operations = max_operations
        self.history = History(log_length)
        self.records = Records(shelf)
        self._data = self.records.data
        self._shelved = self.records.shelved
        self._leases = Leases(min_lease_ttl_s)
        self._feeds = Feeds(on_change)

    @property
    def floor(self) -> int:
        """The oldest revision that can still be read or watched from."""
        return self.history.floor

    # --- requests ------------------------------------------------------------------------------------------------

    def apply(self, request: EtcdRequest, now_s: float) -> Response:
        """Carry out one request. Never raises: what etcd would refuse is answered with `Refused`."""
        match request:
            case Txn():
                return self._txn(request)
            case Get():
                return self._get(request)
            case Grant(ttl_s):
                return self._leases.grant(ttl_s, now_s)
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
            kv = self.records.find(get.key)
            kvs, count = ((kv,), 1) if kv is not None else ((), 0)
            return _answer(get, kvs, count, self.revision)
        keys, count = self.records.first(get.key, get.end, 1 if get.count_only else get.limit)
        return _answer(get, [self._data[key] for key in keys], count, self.revision)

    def _get_past(self, get: Get, at: int) -> Found:
        where = Range.of(get.key) if get.end is None else Range(get.key, get.end)
        present = {key: self._data[key] for key in self.records.first(*where, 0)[0]}
        kvs = self.history.past(at, where, present)
        return _answer(get, kvs[: get.limit or None], len(kvs), self.revision)

    # --- transactions --------------------------------------------------------------------------------------------

    def _txn(self, txn: Txn) -> TxnDone | Refused:
        compares, then = txn.compares, txn.then
        if max(len(compares), len(then), len(txn.orelse)) > self.max_operations:
            return Refused(Reason.TOO_MANY_OPERATIONS, "too many operations in txn request")
        if len({op.key for op in then}) != len(then) and _writes_twice(then):
            return Refused(Reason.INVALID, "duplicate key given in txn request")
        succeeded = self._holds(compares)
        branch = then if succeeded else txn.orelse
        refused = self._check(branch)
        if refused is not None:
            return refused
        revision = self.revision + 1
        found: list[Found] = []
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

    def _check(self, branch: Sequence[Operation]) -> Refused | None:
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
            if kv is None and compare.key.startswith(self._shelved):
                kv = self.records.find(compare.key)
            field = compare.field
            if kv is None:
                actual = 0
            elif field is _MOD_REVISION:
                actual = kv.mod_revision
            elif field is _CREATE_REVISION:
                actual = kv.create_revision
            else:
                actual = kv.version
            if not (actual == compare.value if compare.op is _EQUAL else actual > compare.value):
                return False
        return True

    # --- writes --------------------------------------------------------------------------------------------------

    def _put(self, put: Put, revision: int) -> None:
        key = put.key
        before = self._data.get(key)
        if before is None and key.startswith(self._shelved):
            before = self.records.find(key)
        if before is None:
            after = Kv(key, put.value, revision, revision, 1, put.lease)
            self.records.create(after)
        else:
            after = Kv(key, put.value, revision, before.create_revision, before.version + 1, put.lease)
            if before.lease:
                self._leases.detach(before.lease, key)
            self._data[key] = after
        if put.lease:
            self._leases.attach(put.lease, key)
        self.history.append(Written(revision, key, after, before))
        feeds = self._feeds.puts_of(key)
        if feeds:
            self._feeds.deliver(feeds, Change(key, put.value, revision, False, after.version))  # noqa: FBT003

    def _delete(self, key: str, revision: int) -> bool:
        before = self._data.get(key) or self.records.find(key)
        if before is None:
            return False
        self.records.remove(key)
        if before.lease:
            self._leases.detach(before.lease, key)
        self.history.append(Written(revision, key, None, before))
        feeds = self._feeds.deletes_of(key)
        if feeds:
            self._feeds.deliver(feeds, Change(key, None, revision, True))  # noqa: FBT003
        return True

    def _commit(self, revision: int) -> None:
        self.revision = revision
        self.history.trim(revision)

    def compact(self, revision: int) -> None:
        """Forget what lies before `revision`: it can no longer be read, nor watched from."""
        self.history.compact(min(revision, self.revision))

    # --- leases --------------------------------------------------------------------------------------------------

    def _revoke(self, lease: int) -> None:
        if lease not in self._leases:
            return
        revision = self.revision + 1
        keys = self._leases.keys_of(lease)
        for key in keys:
            self._delete(key, revision)
        if keys:
            self._commit(revision)
        self._leases.end(lease)

    def keep_alive(self, lease: int, now_s: float) -> float:
        """Renew a lease; its TTL in seconds, or 0 where it is gone or past its end."""
        return self._leases.keep_alive(lease, now_s)

    def expire(self, now_s: float) -> tuple[int, ...]:
        """End every lease whose time is over, oldest first, deleting its keys; the leases ended."""
        over = self._leases.over(now_s)
        for lease in over:
            self._revoke(lease)
        return tuple(over)

    def extend_leases(self, now_s: float) -> None:
        """Restart the time of every lease, as a new etcd leader does."""
        self._leases.extend(now_s)

    def next_expiry(self) -> float | None:
        """When the next lease ends if nobody renews it."""
        return self._leases.next_expiry()

    # --- watches -------------------------------------------------------------------------------------------------

    def watch(self, key: str, end: str, revision: int, *, puts: bool = True, deletes: bool = True) -> int | Refused:
        """Watch [key, end) from `revision` on (0: from now on); the id of the watcher.

        Refused as COMPACTED where that revision is gone, as INVALID where the range is empty.
        """
        if key >= end:
            return Refused(Reason.INVALID, "watch of an empty range")
        if revision and revision < self.floor:
            return Refused(Reason.COMPACTED, f"revision {revision} is below {self.floor}")
        where = Range(key, end)
        missed = self.history.since(revision, where, puts=puts, deletes=deletes) if revision else []
        return self._feeds.open(where, revision, missed, puts=puts, deletes=deletes)

    def unwatch(self, watcher: int) -> None:
        """Close a watcher. Closing one that is closed does nothing."""
        self._feeds.close(watcher)

    def drain(self, watcher: int) -> tuple[tuple[Change, ...], int]:
        """Everything the watcher has not been given yet, in revision order, and the store's revision."""
        return self._feeds.drain(watcher), self.revision

    def validate(self) -> None:
        """Check the invariants, for tests; raises AssertionError."""
        self.records.validate()
        for kv in self._data.values():
            assert kv.create_revision <= kv.mod_revision <= self.revision, "a key from the future"
        assert set(self._leases.held()) == {(kv.lease, key) for key, kv in self._data.items() if kv.lease}
        self.history.validate()


def _writes_twice(operations: Sequence[Operation]) -> bool:
    """Whether a key is put twice, or put and deleted."""
    puts = [op.key for op in operations if type(op) is Put]
    deletes = {op.key for op in operations if type(op) is Delete}
    return len(set(puts)) != len(puts) or not deletes.isdisjoint(puts)


def _answer(get: Get, kvs: Iterable[Kv], count: int, revision: int) -> Found:
    if get.count_only:
        return Found((), revision, more=False, count=count)
    if get.keys_only:
        kvs = [msgspec.structs.replace(kv, value=None) for kv in kvs]
    return Found(tuple(kvs), revision, bool(get.limit) and count > get.limit and get.end is not None, count)
