"""What Tandem relies on in etcd's leases and watches, run as in test_kv."""

import pytest

from core.kv.requests import (
    Change,
    Delete,
    Found,
    Get,
    Grant,
    Granted,
    Put,
    Revoke,
    Revoked,
)
from tests.contract.asking import ONE, TWO, keys, lease_of, write
from tests.contract.worlds import EtcdWorld, World

# --- leases ------------------------------------------------------------------------------------------------------


def test_a_lease_takes_its_keys_along_in_one_revision(world: World) -> None:
    lease = lease_of(world)
    before = write(world, Put("b", ONE, lease), Put("a", ONE, lease), Put("c", ONE))
    found = world.call(Get("a"))
    assert isinstance(found, Found)
    assert found.kvs[0].lease == lease
    world.watch("all", "a", "d", before + 1)
    assert world.call(Revoke(lease)) == Revoked()
    assert world.call(Revoke(lease)) == Revoked()
    assert keys(world, "a", "d") == ["c"]
    assert world.collect("all", 2) == [
        Change("a", None, before + 1, deleted=True),
        Change("b", None, before + 1, deleted=True),
    ]
    assert write(world, Put("d", ONE)) == before + 2


def test_a_lease_without_keys_ends_without_a_revision(world: World) -> None:
    before = write(world, Put("a", ONE))
    world.call(Revoke(lease_of(world)))
    assert write(world, Put("a", ONE)) == before + 1


def test_a_key_belongs_to_the_lease_of_its_last_put(world: World) -> None:
    first, second = lease_of(world), lease_of(world)
    write(world, *(Put(key, ONE, first) for key in "abc"))
    write(world, Put("a", ONE), Put("b", ONE, second), Delete("c"))
    write(world, Put("c", ONE))
    world.call(Revoke(first))
    assert keys(world, "a", "d") == ["a", "b", "c"]
    world.call(Revoke(second))
    assert keys(world, "a", "d") == ["a", "c"]


def test_short_leases_are_made_longer_and_leases_are_different(world: World) -> None:
    short, again, long = world.call(Grant(0.5)), world.call(Grant(0.5)), world.call(Grant(7.2))
    assert isinstance(short, Granted)
    assert isinstance(again, Granted)
    assert isinstance(long, Granted)
    assert (short.ttl_s, long.ttl_s) == (2.0, 8.0)
    assert len({short.lease, again.lease, long.lease}) == 3


def test_keep_alive_says_whether_the_lease_lives(world: World) -> None:
    granted = world.call(Grant(2.0))
    assert isinstance(granted, Granted)
    assert world.keep_alive(granted.lease) == 2.0
    world.call(Revoke(granted.lease))
    assert world.keep_alive(granted.lease) == 0.0


def test_an_expired_lease_deletes_its_keys(world: World) -> None:
    granted = world.call(Grant(2.0))
    assert isinstance(granted, Granted)
    revision = write(world, Put("a", ONE, granted.lease))
    world.watch("expiry", "a", "b", revision + 1)
    world.pass_lease_time(granted.lease, granted.ttl_s)
    assert world.collect("expiry", 1) == [Change("a", None, revision + 1, deleted=True)]
    assert world.keep_alive(granted.lease) == 0.0
    assert keys(world, "a") == []


# --- watches -----------------------------------------------------------------------------------------------------


def test_a_watch_tells_every_change_in_order(world: World) -> None:
    start = write(world, Put("w/a", ONE), Put("v", ONE))
    world.watch("w", "w/", "w0", start)
    write(world, Put("w/b", ONE), Put("x", ONE), Delete("w/a"))
    write(world, Put("w/b", TWO))
    world.watch("again", "w/", "w0", start)
    expected = [
        Change("w/a", ONE, start, version=1),
        Change("w/b", ONE, start + 1, version=1),
        Change("w/a", None, start + 1, deleted=True),
        Change("w/b", TWO, start + 2, version=2),
    ]
    assert world.collect("w", 4) == expected
    assert world.collect("again", 4) == expected


@pytest.mark.parametrize(("puts", "deletes"), [(True, False), (False, True)])
def test_a_watch_leaves_out_what_nobody_asked_for(world: World, puts: bool, deletes: bool) -> None:
    start = write(world, Put("w/a", ONE), Put("w/b", ONE)) + 1
    world.watch("w", "w/", "w0", start, puts=puts, deletes=deletes)
    write(world, Put("w/c", ONE))
    write(world, Delete("w/a"))
    world.watch("late", "w/", "w0", start, puts=puts, deletes=deletes)
    write(world, Put("w/d", ONE))
    write(world, Delete("w/b"))
    expected = ["w/c", "w/d"] if puts else ["w/a", "w/b"]
    for name in ("w", "late"):
        changes = world.collect(name, 2)
        assert changes is not None
        assert [change.key for change in changes] == expected


def test_a_watch_may_start_in_the_future_and_at_one_key(world: World) -> None:
    start = write(world, Put("w", ONE)) + 2
    world.watch("w", "w", "w\0", start)
    write(world, Put("w", ONE))
    write(world, Put("w", TWO), Put("w/a", ONE))
    write(world, Delete("w"))
    assert world.collect("w", 2) == [
        Change("w", TWO, start, version=3),
        Change("w", None, start + 1, deleted=True),
    ]


def test_a_watch_that_was_stopped_is_silent(world: World) -> None:
    start = write(world, Put("w/a", ONE))
    world.watch("gone", "w/", "w0", start)
    world.watch("here", "w/", "w0", start)
    assert len(world.collect("gone", 1) or ()) == 1
    world.unwatch("gone")
    write(world, Put("w/b", ONE))
    assert len(world.collect("here", 2) or ()) == 2
    if isinstance(world, EtcdWorld):
        assert len(world.collect("gone", 0) or ()) == 1
