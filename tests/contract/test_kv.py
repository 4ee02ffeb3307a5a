"""What Tandem relies on in etcd, run against the model in memory, the simulated server and a real one."""

import pytest

from core.kv.requests import (
    Compare,
    CompareField,
    CompareOp,
    Delete,
    Found,
    Get,
    Put,
    Reason,
    Refused,
    Revoke,
    Revoked,
    Txn,
    TxnDone,
    absent,
    present,
    unchanged,
)
from tests.contract.asking import ONE, TWO, keys, lease_of, write
from tests.contract.worlds import World

# --- reads and revisions -----------------------------------------------------------------------------------------


def test_a_key_carries_its_history_in_numbers(world: World) -> None:
    first = write(world, Put("a", ONE))
    second = write(world, Put("a", TWO))
    found = world.call(Get("a"))
    assert isinstance(found, Found)
    (kv,) = found.kvs
    assert (kv.key, kv.value, kv.mod_revision, kv.create_revision, kv.version) == ("a", TWO, second, first, 2)
    assert second == first + 1
    assert (found.revision, found.more, found.count) == (second, False, 1)


def test_a_deleted_key_starts_anew(world: World) -> None:
    write(world, Put("a", ONE))
    write(world, Delete("a"))
    assert world.call(Get("a")) == Found((), write(world, Put("b", ONE)) - 1, more=False, count=0)
    again = write(world, Put("a", ONE))
    found = world.call(Get("a"))
    assert isinstance(found, Found)
    assert (found.kvs[0].create_revision, found.kvs[0].version) == (again, 1)


def test_one_transaction_is_one_revision(world: World) -> None:
    before = write(world, Put("a", ONE))
    revision = write(world, Put("b", ONE), Put("c", ONE), Delete("a"))
    assert revision == before + 1
    found = world.call(Get("a", "z"))
    assert isinstance(found, Found)
    assert [(kv.key, kv.mod_revision) for kv in found.kvs] == [("b", revision), ("c", revision)]


def test_what_changes_nothing_raises_no_revision(world: World) -> None:
    before = write(world, Put("a", ONE))
    assert write(world, Delete("never")) == before
    assert world.call(Txn((absent("a"),), (Put("b", ONE),))) == TxnDone(succeeded=False, revision=before)
    assert world.call(Txn((), ())) == TxnDone(succeeded=True, revision=before)


def test_range_in_key_order_with_limit_and_count(world: World) -> None:
    revision = write(world, *(Put(f"r/{name}", ONE) for name in ("c", "a", "d", "b")), Put("r0", ONE), Put("q", ONE))
    assert keys(world, "r/", "r0") == ["r/a", "r/b", "r/c", "r/d"]
    assert keys(world, "r/b", "r/d") == ["r/b", "r/c"]
    assert keys(world, "r/b") == ["r/b"]
    assert keys(world, "r/z", "r/a") == []
    assert keys(world, "a", "z") == ["q", "r/a", "r/b", "r/c", "r/d", "r0"]
    cut = world.call(Get("r/", "r0", limit=3, keys_only=True))
    assert isinstance(cut, Found)
    assert ([kv.key for kv in cut.kvs], cut.more, cut.count) == (["r/a", "r/b", "r/c"], True, 4)
    assert [(kv.value, kv.mod_revision, kv.version) for kv in cut.kvs] == [(None, revision, 1)] * 3
    whole = world.call(Get("r/", "r0", limit=4))
    assert isinstance(whole, Found)
    assert (len(whole.kvs), whole.more, whole.count) == (4, False, 4)
    assert world.call(Get("r/", "r0", count_only=True)) == Found((), revision, more=False, count=4)


def test_more_keys_than_a_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.etcd.pages.PAGE_KEYS", 7)
    revision = write(world, *(Put(f"p/{number:03d}", ONE) for number in range(50)))
    for limit, expected in ((0, 50), (20, 20), (50, 50)):
        found = world.call(Get("p/", "p0", limit=limit))
        assert isinstance(found, Found)
        assert [kv.key for kv in found.kvs] == [f"p/{number:03d}" for number in range(expected)]
        assert (found.more, found.count, found.revision) == (limit == 20, 50, revision)


def test_reading_the_past(world: World) -> None:
    first = write(world, Put("a", ONE), Put("b", ONE))
    second = write(world, Put("a", TWO), Delete("b"), Put("c", ONE))
    past = world.call(Get("a", "z", revision=first))
    assert isinstance(past, Found)
    assert [(kv.key, kv.value, kv.mod_revision) for kv in past.kvs] == [("a", ONE, first), ("b", ONE, first)]
    assert past.revision == second
    assert world.call(Get("b", revision=first)) == Found(past.kvs[1:], second, more=False, count=1)
    future = world.call(Get("a", revision=second + 1000))
    assert isinstance(future, Refused)
    assert future.reason is Reason.INVALID


def test_compaction_ends_the_past(world: World) -> None:
    first = write(world, Put("a", ONE))
    second = write(world, Put("a", TWO))
    write(world, Put("b", ONE))
    world.compact(second)
    gone = world.call(Get("a", revision=first))
    assert isinstance(gone, Refused)
    assert gone.reason is Reason.COMPACTED
    kept = world.call(Get("a", revision=second))
    assert isinstance(kept, Found)
    assert kept.kvs[0].value == TWO
    world.watch("late", "a", "b", first)
    assert world.collect("late", 1) is None


# --- compares ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", list(CompareOp))
@pytest.mark.parametrize("field", list(CompareField))
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_compares(world: World, field: CompareField, op: CompareOp, offset: int) -> None:
    created = write(world, Put("a", ONE))
    modified = write(world, Put("a", ONE))
    actual = {CompareField.CREATE_REVISION: created, CompareField.MOD_REVISION: modified, CompareField.VERSION: 2}
    value = actual[field] + offset
    expected = offset == 0 if op is CompareOp.EQUAL else offset < 0
    done = world.call(Txn((Compare("a", field, op, value),), (Get("a"),)))
    assert isinstance(done, TxnDone)
    assert done.succeeded is expected


@pytest.mark.parametrize("field", list(CompareField))
def test_an_absent_key_compares_as_zero(world: World, field: CompareField) -> None:
    for op, expected in ((CompareOp.EQUAL, True), (CompareOp.GREATER, False)):
        done = world.call(Txn((Compare("no", field, op, 0),), ()))
        assert isinstance(done, TxnDone)
        assert done.succeeded is expected


def test_every_compare_must_hold(world: World) -> None:
    revision = write(world, Put("a", ONE), Put("b", ONE))
    holds = (present("a"), absent("c"), unchanged("b", revision))
    assert world.call(Txn(holds, (Put("c", ONE),))) == TxnDone(succeeded=True, revision=revision + 1)
    done = world.call(Txn(holds, (Put("d", ONE),), (Get("c", keys_only=True), Get("d"), Get("a", "c", limit=1))))
    assert isinstance(done, TxnDone)
    assert not done.succeeded
    assert [[kv.key for kv in found.kvs] for found in done.found] == [["c"], [], ["a"]]
    assert done.found[2].more
    assert keys(world, "d") == []


def test_reads_in_a_transaction_see_the_writes_before_them(world: World) -> None:
    before = write(world, Put("a", ONE))
    done = world.call(Txn((), (Get("a"), Put("a", TWO), Get("a"), Delete("b"), Get("b"))))
    assert isinstance(done, TxnDone)
    old, new, none = done.found
    assert (old.kvs[0].value, old.revision) == (ONE, before)
    assert (new.kvs[0].value, new.kvs[0].mod_revision, new.revision) == (TWO, before + 1, before + 1)
    assert none.kvs == ()
    assert done.revision == before + 1


# --- what etcd refuses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ops",
    [(Put("a", ONE), Put("a", TWO)), (Put("a", ONE), Delete("a")), (Delete("a"), Put("a", ONE))],
    ids=["put-put", "put-delete", "delete-put"],
)
def test_a_key_written_twice_is_refused(world: World, ops: tuple[Put | Delete, ...]) -> None:
    for compares in ((), (present("never"),)):
        refused = world.call(Txn(compares, ops))
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.INVALID
    assert keys(world, "a") == []


def test_a_key_may_be_deleted_twice(world: World) -> None:
    before = write(world, Put("a", ONE))
    assert write(world, Delete("a"), Delete("a")) == before + 1


def test_the_limit_holds_for_each_part_of_a_transaction(world: World) -> None:
    most = world.max_operations
    reads = tuple(Get(f"k{number}") for number in range(most))
    compares = tuple(absent(f"k{number}") for number in range(most))
    assert isinstance(world.call(Txn(compares, reads, reads)), TxnDone)
    one = (Get("k"),)
    for txn in (Txn((*compares, absent("k")), reads), Txn((), reads + one), Txn((), (), reads + one)):
        refused = world.call(txn)
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.TOO_MANY_OPERATIONS


def test_a_dead_lease_refuses_the_branch_that_needs_it(world: World) -> None:
    lease = lease_of(world)
    assert world.call(Revoke(lease)) == Revoked()
    refused = world.call(Txn((), (Put("a", ONE), Put("b", ONE, lease))))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.LEASE_NOT_FOUND
    assert keys(world, "a", "c") == []
    done = world.call(Txn((present("no"),), (Put("b", ONE, lease),)))
    assert isinstance(done, TxnDone)
    assert not done.succeeded
