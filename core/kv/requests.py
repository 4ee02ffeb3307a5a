"""What a procedure may ask of etcd, and what it may be told.

Keys are text without the namespace and values are records: the namespace is added, and values are encoded, at the
edge where bytes are needed (`core.etcd.store`). A model of etcd keeps the objects as they are.

`Refused` and `Unknown` are answers like any other. `Refused`: etcd definitely did not apply the request. `Unknown`:
it may have been applied; running the same guarded transaction again is always right. Never collapse the two.
"""

import enum

import msgspec

from core.model import AnyRecord


class _Item(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Small, frozen and untracked by the garbage collector: one is made for every key touched."""


class Kv(_Item, frozen=True):
    """A key with its value. `value` is None in keys-only answers."""

    key: str
    value: AnyRecord | None
    mod_revision: int
    create_revision: int = 0
    version: int = 0
    lease: int = 0


# --- operations and requests -------------------------------------------------------------------------------------


class Get(_Item, frozen=True):
    """One key, or with `end` the keys in [key, end), in key order.

    `revision` 0 reads the newest; `limit` 0 means all. `keys_only` leaves values out; `count_only` leaves all out.
    """

    key: str
    end: str | None = None
    limit: int = 0
    revision: int = 0
    keys_only: bool = False
    count_only: bool = False


class Put(_Item, frozen=True):
    """`lease` 0: the key stays until it is deleted."""

    key: str
    value: AnyRecord
    lease: int = 0


class Delete(_Item, frozen=True):
    key: str


class CompareField(enum.StrEnum):
    MOD_REVISION = "mod_revision"
    CREATE_REVISION = "create_revision"  # 0 where the key is absent
    VERSION = "version"  # 0 where the key is absent


class CompareOp(enum.StrEnum):
    EQUAL = "="
    GREATER = ">"


class Compare(_Item, frozen=True):
    """`key.field op value`."""

    key: str
    field: CompareField
    op: CompareOp
    value: int


# A member of an enumeration is slow to find, and this is for every task, twice.
_MOD_REVISION, _CREATE_REVISION, _VERSION = (
    CompareField.MOD_REVISION,
    CompareField.CREATE_REVISION,
    CompareField.VERSION,
)
_EQUAL, _GREATER = CompareOp.EQUAL, CompareOp.GREATER


def unchanged(key: str, mod_revision: int) -> Compare:
    """The key still stands as it was written at `mod_revision`."""
    return Compare(key, _MOD_REVISION, _EQUAL, mod_revision)


def absent(key: str) -> Compare:
    """The key does not exist."""
    return Compare(key, _CREATE_REVISION, _EQUAL, 0)


def present(key: str) -> Compare:
    """The key exists."""
    return Compare(key, _CREATE_REVISION, _GREATER, 0)


def unrevised(key: str) -> Compare:
    """The key exists as it was first written."""
    return Compare(key, _VERSION, _EQUAL, 1)


class Txn(_Item, frozen=True):
    """If every compare holds, `then`, else `orelse`; atomic. A key may be written once only."""

    compares: tuple[Compare, ...]
    then: tuple[Put | Delete | Get, ...]
    orelse: tuple[Get, ...] = ()


class Grant(_Item, frozen=True):
    """A new lease with a time to live (etcd: at least 2 s at its default election timeout)."""

    ttl_s: float


class Revoke(_Item, frozen=True):
    """Ends a lease and deletes its keys. Revoking a lease that is gone is answered with `Revoked` too."""

    lease: int


class Pause(_Item, frozen=True):
    """Asks nothing of etcd: the driver answers `Resumed` after `seconds`. Retries wait with it."""

    seconds: float


EtcdRequest = Get | Txn | Grant | Revoke
Request = EtcdRequest | Pause


# --- answers -----------------------------------------------------------------------------------------------------


class Found(_Item, frozen=True):
    """Answer to `Get`. `count` is the number of keys in the range regardless of `limit`; `more`: the limit cut it."""

    kvs: tuple[Kv, ...]
    revision: int
    more: bool = False
    count: int = 0


class TxnDone(_Item, frozen=True):
    """`found` holds one `Found` for each `Get` of the branch that ran, in order.

    `revision` is the mod_revision of every key that the transaction wrote.
    """

    succeeded: bool
    revision: int
    found: tuple[Found, ...] = ()


class Granted(_Item, frozen=True):
    lease: int
    ttl_s: float


class Revoked(_Item, frozen=True):
    pass


class Resumed(_Item, frozen=True):
    pass


class Reason(enum.StrEnum):
    """Why etcd refused."""

    TOO_MANY_OPERATIONS = "too_many_operations"  # over --max-txn-ops: send less
    TOO_LARGE = "too_large"  # over --max-request-bytes: send less
    NO_SPACE = "no_space"  # the quota alarm is on
    LEASE_NOT_FOUND = "lease_not_found"
    COMPACTED = "compacted"
    DENIED = "denied"  # authentication or permission
    INVALID = "invalid"  # a mistake of ours


class Refused(_Item, frozen=True):
    reason: Reason
    detail: str = ""


class Unknown(_Item, frozen=True):
    detail: str = ""


Response = Found | TxnDone | Granted | Revoked | Resumed | Refused | Unknown


# --- watches -----------------------------------------------------------------------------------------------------


class Change(_Item, frozen=True):
    """One event of a watch; `value` is None for a deletion. `version` is 1 for the put that created the key."""

    key: str
    value: AnyRecord | None
    mod_revision: int
    deleted: bool = False
    version: int = 0
