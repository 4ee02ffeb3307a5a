"""Random conversations: the model in memory gives the answers that etcd gives."""

from itertools import count

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.etcd.embedded import EmbeddedEtcd
from core.kv.memory import MemoryKv
from core.kv.requests import (
    Compare,
    CompareField,
    CompareOp,
    Delete,
    Found,
    Get,
    Grant,
    Granted,
    Put,
    Refused,
    Revoke,
    Txn,
    TxnDone,
)
from tests.contract.worlds import EtcdWorld, record

ALL_KEYS = ["a", "d/a", "d/b", "d/e/a", "d/e/b", "f/a"]
KEYS = st.sampled_from(ALL_KEYS)
ENDS = st.none() | st.sampled_from(["b", "d0", "d/b", "d/e0", "z"])
# Revisions are relative to the start of the conversation; 0 means: now.
PAST = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 12])
GETS = st.builds(Get, KEYS, ENDS, st.integers(0, 3), PAST, st.booleans(), st.booleans())
WRITES = st.builds(Put, KEYS, st.integers(1, 5).map(record)) | st.builds(Delete, KEYS)
COMPARES = st.builds(
    Compare, KEYS, st.sampled_from(CompareField), st.sampled_from(CompareOp), st.sampled_from([0, 0, 1, 2, 3])
)
UNIQUE = st.lists(WRITES, min_size=1, max_size=4, unique_by=lambda op: op.key)
TXNS = st.builds(
    Txn,
    st.one_of(st.just(()), st.lists(COMPARES, max_size=2).map(tuple)),
    st.one_of(UNIQUE, UNIQUE, UNIQUE, st.lists(WRITES | GETS, max_size=5)).map(tuple),
    st.lists(GETS, max_size=1).map(tuple),
)
CONVERSATIONS = st.lists(TXNS | TXNS | GETS, min_size=5, max_size=12)
WATCHES = st.tuples(
    st.sampled_from([("a", "z"), ("a", "z"), ("d/", "d0"), ("d/e/", "d/e0"), ("d/a", "d/a\0"), ("a", "d/b")]),
    st.integers(1, 3),
    st.sampled_from([True, True, False]),
    st.booleans(),
)


def at(get: Get, base: int) -> Get:
    revision = base + get.revision if get.revision > 0 else 0
    return Get(get.key, get.end, get.limit, revision, get.keys_only, get.count_only)


def placed(request: Txn | Get, base: int) -> Txn | Get:
    """The request with its relative revisions made absolute."""
    if isinstance(request, Get):
        return at(request, base)
    compares = tuple(
        Compare(c.key, c.field, c.op, max(c.value, 0) + (base if c.value > 0 and c.field != "version" else 0))
        for c in request.compares
    )
    then = tuple(at(op, base) if isinstance(op, Get) else op for op in request.then)
    return Txn(compares, then, tuple(at(get, base) for get in request.orelse))


def test_memory_answers_as_etcd_does(etcd: EmbeddedEtcd, namespace: str) -> None:
    numbers = count()
    seen = {"done": 0, "failed": 0, "refused": 0, "past": 0, "watched": 0}
    world = EtcdWorld(",".join(etcd.endpoints), namespace)

    @settings(
        derandomize=True,
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        phases=[Phase.generate],  # against a real server shrinking takes minutes
    )
    @given(CONVERSATIONS, WATCHES)
    def converse(conversation: list[Txn | Get], watch: tuple[tuple[str, str], int, bool, bool]) -> None:
        start = world.call(Txn((), tuple(map(Delete, ALL_KEYS))))
        assert isinstance(start, TxnDone)
        memory = MemoryKv(max_operations=world.max_operations)
        memory.revision = start.revision
        for relative in conversation:
            request = placed(relative, start.revision)
            expected, answer = world.call(request), memory.apply(request, 0.0)
            if isinstance(expected, Refused) and isinstance(answer, Refused):
                assert answer.reason is expected.reason, request
                seen["refused"] += 1
            else:
                assert answer == expected, request
            memory.validate()
            if isinstance(expected, TxnDone):
                seen["done" if expected.succeeded else "failed"] += 1
            seen["past"] += isinstance(request, Get) and isinstance(expected, Found) and request.revision > 0
        seen["watched"] += check_watch(world, memory, start.revision, watch, next(numbers))

    try:
        converse()
    finally:
        world.close()
    assert min(seen.values()) >= 10, f"the conversations are one-sided: {seen}"


def check_watch(
    world: EtcdWorld, memory: MemoryKv, base: int, watch: tuple[tuple[str, str], int, bool, bool], number: int
) -> int:
    """A watch from some revision in the past tells the same story in both; how long it was."""
    (key, end), offset, puts, deletes = watch
    start = min(base + offset, memory.revision + 1)
    watcher = memory.watch(key, end, start, puts=puts, deletes=deletes)
    assert isinstance(watcher, int)
    world.watch(f"w{number}", key, end, start, puts=puts, deletes=deletes)
    expected, _ = memory.drain(watcher)
    changes = world.collect(f"w{number}", len(expected))
    assert changes is not None
    # A change to a key outside every range shows that nothing else is on its way.
    last = world.call(Txn((), (Put("zz", record()),)))
    assert isinstance(last, TxnDone)
    world.watch(f"end{number}", "zz", "zz\0", last.revision)
    world.collect(f"end{number}", 1)
    assert world.collect(f"w{number}", 0) == list(expected)
    world.unwatch(f"w{number}")
    world.unwatch(f"end{number}")
    return len(expected)


LEASED = st.one_of(
    st.tuples(st.just("put"), KEYS, st.integers(0, 3)),
    st.tuples(st.just("delete"), KEYS, st.just(0)),
    st.tuples(st.just("revoke"), KEYS, st.integers(1, 3)),
    st.tuples(st.just("pass"), KEYS, st.integers(1, 2)),
    st.tuples(st.just("renew"), KEYS, st.integers(1, 3)),
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.lists(LEASED, max_size=40), st.integers(2, 20))
def test_watches_and_leases_agree_with_the_data(steps: list[tuple[str, str, int]], log_length: int) -> None:
    """Whoever follows a watch from the start holds the same keys as the store, whatever leases do."""
    woken: list[int] = []
    memory = MemoryKv(log_length=log_length, on_change=woken.append)
    whole, folder = memory.watch("", "\x7f", 0), memory.watch("d/", "d0", 0)
    assert isinstance(whole, int)
    assert isinstance(folder, int)
    for _ in range(3):
        assert isinstance(memory.apply(Grant(2.0), 0.0), Granted)
    now_s = 0.0
    mirror: dict[str, int] = {}
    told: list[str] = []
    for kind, key, number in steps:
        match kind:
            case "put":
                memory.apply(Txn((), (Put(key, record(), number),)), now_s)
            case "delete":
                memory.apply(Txn((), (Delete(key),)), now_s)
            case "revoke":
                memory.apply(Revoke(number), now_s)
            case "renew":
                memory.keep_alive(number, now_s)
            case _:
                now_s += number
                memory.expire(now_s)
                expiry = memory.next_expiry()
                assert expiry is None or expiry > now_s
        memory.validate()
        changes, revision = memory.drain(whole)
        assert (whole in woken) == bool(changes)
        woken.clear()
        for change in changes:
            assert change.mod_revision <= revision
            told += [change.key] if change.key.startswith("d/") else []
            if change.deleted:
                del mirror[change.key]
            else:
                mirror[change.key] = change.mod_revision
    found = memory.apply(Get("", "\x7f"), now_s)
    assert isinstance(found, Found)
    assert [(kv.key, kv.mod_revision) for kv in found.kvs] == sorted(mirror.items())
    assert [change.key for change in memory.drain(folder)[0]] == told
    for revision in range(max(memory.floor, 1), memory.revision + 1):
        past = memory.apply(Get("", "\x7f", revision=revision), now_s)
        assert isinstance(past, Found)
        assert all(kv.mod_revision <= revision for kv in past.kvs)
    if memory.floor > 1:
        assert isinstance(memory.apply(Get("a", revision=memory.floor - 1), now_s), Refused)
        assert isinstance(memory.watch("a", "b", memory.floor - 1), Refused)
