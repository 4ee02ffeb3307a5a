"""etcd is killed, hangs, or was never there: what the store, the watches and the keepalive make of it."""

import queue
import threading
from collections.abc import Iterator

import pytest
from etcd3.etcdrpc import rpc_pb2, rpc_pb2_grpc
from msgspec import Raw

from core.etcd.binary import Server
from core.etcd.channel import CONNECT_TIMEOUT_MS
from core.etcd.embedded import EmbeddedEtcd
from core.etcd.errors import EtcdUnreachable
from core.etcd.host import free_ports
from core.etcd.store import EtcdStore, ServerInfo
from core.etcd.watch import Watcher
from core.kv.requests import (
    Found,
    Get,
    Grant,
    Put,
    Reason,
    Refused,
    Response,
    Revoke,
    Revoked,
    Txn,
    TxnDone,
    Unknown,
)
from core.machine.messages import Changes, Failed, Message, Watch, WatchLost
from core.model import Marker, TaskSpec
from tests.contract.worlds import record

TIMEOUT_S = 20.0


def put(store: EtcdStore, key: str, number: int = 1) -> int:
    """Write until acknowledged."""
    while True:
        match store.call(Txn((), (Put(key, record(number)),)), 2.0):
            case TxnDone(revision=revision):
                return revision
            case Unknown():
                continue
            case other:
                raise AssertionError(other)


def changes_until(events: "queue.SimpleQueue[Message]", revision: int) -> list[int]:
    """The revisions of the changes that arrive, up to `revision`."""
    seen: list[int] = []
    while not seen or seen[-1] < revision:
        event = events.get(timeout=TIMEOUT_S)
        assert isinstance(event, Changes), event
        assert event.revision >= event.changes[-1].mod_revision
        seen += [change.mod_revision for change in event.changes]
    return seen


def test_a_watch_goes_on_after_a_crash_without_gap_or_duplicate(own_etcd: EmbeddedEtcd, store: EtcdStore) -> None:
    events: queue.SimpleQueue[Message] = queue.SimpleQueue()
    watcher = Watcher(store, events.put)
    first = put(store, "w/0")
    watcher.watch(Watch("w", "w/", "w0", first))
    assert changes_until(events, first) == [first]
    last = first
    for round_ in range(2):
        while_up = [put(store, f"w/{round_}-{number}") for number in range(5)]
        own_etcd.kill()
        own_etcd.restart()
        last = put(store, f"w/{round_}-after")
        assert changes_until(events, last) == list(range(while_up[0], last + 1))
    watcher.close()
    put(store, "w/late")
    assert events.empty()


def test_a_watch_notices_a_server_that_lost_its_data(durable_server: Server, namespace: str) -> None:
    events: queue.SimpleQueue[Message] = queue.SimpleQueue()
    with EmbeddedEtcd(server=durable_server) as first:
        store = EtcdStore(",".join(first.endpoints), namespace)
        watcher = Watcher(store, events.put)
        revision = [put(store, "w/0", number) for number in range(1, 10)][-1]
        watcher.watch(Watch("w", "w/", "w0", revision))
        changes_until(events, revision)
        first.kill()
        (data,) = (path for path in first.directory.iterdir() if path.is_dir())
        data.rename(data.with_name("gone"))
        first.restart()
        event = events.get(timeout=TIMEOUT_S)
        assert isinstance(event, Failed), event
        assert "lost data" in event.detail
        watcher.close()
        store.close()


def test_a_write_in_flight_at_a_hanging_server_is_unknown(own_etcd: EmbeddedEtcd, store: EtcdStore) -> None:
    revision = put(store, "k")
    own_etcd.stop()
    answers: queue.SimpleQueue[Response] = queue.SimpleQueue()
    for number in range(3):
        store.send(Txn((), (Put("k", record(number)),)), answers.put, 0.5)
    assert all(isinstance(answers.get(timeout=TIMEOUT_S), Unknown) for _ in range(3))
    own_etcd.resume()
    # The server had them in its socket: it may carry out none, some or all of them, and nothing else.
    after = put(store, "other")
    found = store.call(Get("k"))
    assert isinstance(found, Found)
    assert revision <= found.kvs[0].mod_revision <= revision + 3
    assert after <= revision + 4


def test_a_write_in_flight_at_a_killed_server_is_unknown(own_etcd: EmbeddedEtcd, store: EtcdStore) -> None:
    put(store, "k")
    own_etcd.stop()
    answers: queue.SimpleQueue[Response] = queue.SimpleQueue()
    store.send(Txn((), (Put("k", record()),)), answers.put)
    own_etcd.kill()
    assert isinstance(answers.get(timeout=TIMEOUT_S), Unknown)


def test_a_server_that_is_slow_to_say_hello_is_waited_for(own_etcd: EmbeddedEtcd, namespace: str) -> None:
    store = EtcdStore(",".join(own_etcd.endpoints), namespace, timeout_s=TIMEOUT_S)
    own_etcd.stop()
    found: queue.SimpleQueue[ServerInfo] = queue.SimpleQueue()
    asking = threading.Thread(target=lambda: found.put(store.check()))
    asking.start()
    asking.join(CONNECT_TIMEOUT_MS / 1000 + 0.5)
    assert asking.is_alive(), "the first attempt to connect has failed by now"
    own_etcd.resume()
    assert found.get(timeout=TIMEOUT_S).version == own_etcd.server.version_text
    asking.join()
    store.close()


def test_nobody_there(namespace: str) -> None:
    store = EtcdStore(f"127.0.0.1:{free_ports(1)[0]}", namespace, timeout_s=1.0)
    for request in (Get("k"), Txn((), (Put("k", record()),)), Grant(2.0), Revoke(1)):
        assert isinstance(store.call(request), Unknown)
    with pytest.raises(EtcdUnreachable, match="--etcd-endpoints"):
        store.check()
    with pytest.raises(EtcdUnreachable):
        store.learn_max_operations()
    store.close()
    assert isinstance(store.call(Get("k")), Unknown)


# --- what only a real server does --------------------------------------------------------------------------------


def big(size: int) -> Marker:
    return Marker(TaskSpec("0" * 32, "echo", payload=Raw(b'"' + b"x" * size + b'"')))


@pytest.fixture
def shared(etcd: EmbeddedEtcd, namespace: str) -> Iterator[EtcdStore]:
    opened = EtcdStore(",".join(etcd.endpoints), namespace)
    yield opened
    opened.close()


def test_the_server_introduces_itself(etcd: EmbeddedEtcd, shared: EtcdStore) -> None:
    info = shared.check()
    assert info.version.startswith(("3.4", "3.5", "3.6"))
    assert info.cluster_id
    assert info.members == ("etcd-1",)
    assert info.revision >= 1
    assert info.database_bytes > 0
    assert info.alarms == ()
    assert shared.learn_max_operations() == etcd.max_txn_ops


@pytest.mark.parametrize("size", [1_600_000, 3_000_000], ids=["etcd's limit", "grpc's limit"])
def test_too_large_a_request_is_refused(shared: EtcdStore, size: int) -> None:
    refused = shared.call(Txn((), (Put("k", big(size)),)))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.TOO_LARGE
    assert shared.call(Get("k", count_only=True)) != refused


def test_a_large_history_arrives_whole(shared: EtcdStore) -> None:
    """Etcd cuts a response over 2 MiB into fragments, which must come out as one delivery."""
    done = [shared.call(Txn((), (Put(f"w/{number}", big(1_200_000)),))) for number in range(6)]
    assert all(isinstance(each, TxnDone) for each in done)
    events: queue.SimpleQueue[Message] = queue.SimpleQueue()
    watcher = Watcher(shared, events.put)
    first, last = done[0], done[-1]
    assert isinstance(first, TxnDone)
    assert isinstance(last, TxnDone)
    watcher.watch(Watch("w", "w/", "w0", first.revision))
    event = events.get(timeout=TIMEOUT_S)
    assert isinstance(event, Changes)
    assert [change.key for change in event.changes] == [f"w/{number}" for number in range(6)]
    assert event.revision == last.revision
    watcher.close()


def test_an_answer_too_large_for_one_message_comes_in_smaller_pages(
    shared: EtcdStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.etcd.channel.RECEIVE_LIMIT_BYTES", 1_000_000)
    small = EtcdStore(shared.endpoints, shared.namespace)
    for number in range(5):
        assert isinstance(small.call(Txn((), (Put(f"r/{number}", big(400_000)),))), TxnDone)
    found = small.call(Get("r/", "r0"))
    assert isinstance(found, Found)
    assert [kv.key for kv in found.kvs] == [f"r/{number}" for number in range(5)]
    assert found.count == 5
    # A write whose answer does not fit was carried out: nobody may call it refused.
    answer = small.call(Txn((), (Put("done", record()), Get("r/", "r0"))))
    assert isinstance(answer, Unknown)
    written = small.call(Get("done", count_only=True))
    assert isinstance(written, Found)
    assert written.count == 1
    small.close()


def test_a_watch_that_is_refused_fails_and_leaves_the_others_alone(shared: EtcdStore) -> None:
    events: queue.SimpleQueue[Message] = queue.SimpleQueue()
    watcher = Watcher(shared, events.put)
    watcher.watch(Watch("good", "a", "b", 0))
    watcher.watch(Watch("empty", "b", "a", 0))
    refused = events.get(timeout=TIMEOUT_S)
    assert isinstance(refused, Failed), refused
    assert refused.call == "watch empty"
    revision = put(shared, "a")
    assert changes_until(events, revision) == [revision]
    watcher.close()


def test_a_compacted_watch_is_lost_and_a_replaced_one_is_silent(shared: EtcdStore) -> None:
    first, second = put(shared, "w/0"), put(shared, "w/0")
    compaction = rpc_pb2.CompactionRequest(revision=second, physical=True)
    rpc_pb2_grpc.KVStub(shared.channel).Compact(compaction, timeout=TIMEOUT_S)
    events: queue.SimpleQueue[Message] = queue.SimpleQueue()
    watcher = Watcher(shared, events.put)
    watcher.watch(Watch("w", "w/", "w0", first))
    assert events.get(timeout=TIMEOUT_S) == WatchLost("w")
    watcher.watch(Watch("w", "x/", "x0", second))
    watcher.watch(Watch("w", "w/", "w0", second + 1))
    put(shared, "x/0")
    last = put(shared, "w/1")
    assert changes_until(events, last) == [last]
    watcher.close()


def test_closing_answers_what_is_in_flight(own_etcd: EmbeddedEtcd, store: EtcdStore) -> None:
    put(store, "k")
    own_etcd.stop()
    answers: queue.SimpleQueue[Response] = queue.SimpleQueue()
    store.send(Get("k"), answers.put)
    store.close()
    assert isinstance(answers.get(timeout=TIMEOUT_S), Unknown)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("tandem-")]


def test_garbage_under_the_namespace_is_named_and_left_alone(shared: EtcdStore) -> None:
    foreign = shared.wire.key("task/") + b"\xff\xfe"
    rpc_pb2_grpc.KVStub(shared.channel).Put(rpc_pb2.PutRequest(key=foreign, value=b"\x00\xff"), timeout=TIMEOUT_S)
    found = shared.call(Get("task/", "task0"))
    assert isinstance(found, Found)
    (kv,) = found.kvs
    assert type(kv.value).__name__ == "Garbage"
    assert shared.call(Get(kv.key)) == found
    assert shared.call(Revoke(12345)) == Revoked()
