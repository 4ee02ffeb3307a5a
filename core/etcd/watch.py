"""Watches that survive: one stream to etcd, many named watches, each resumed where it stopped.

Theory. Every watch remembers the next revision it needs. A response with events moves it behind the last of them (a
response holds whole revisions, so none is cut in two); an empty response, which etcd sends now and then to a watch
that is up to date, moves it behind the response's own revision. When the stream breaks, a new one is opened and every
watch is created again from the revision it needs: no gap, no duplicate. Large responses come in fragments, which are
put together before anything is delivered.

A server that came back without its data would leave watches waiting for revisions that are far away. So before a
stream is opened again, the store is asked for its revision; if that went back, the watches fail, loudly.

Locks: `_lock` guards everything and is held while events are handed to the sink, so that nothing arrives from a watch
after `unwatch` has returned. The sink must not block; it may call back into the watcher.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from etcd3.etcdrpc import rpc_pb2, rpc_pb2_grpc
from google.protobuf.unknown_fields import UnknownFieldSet

from core.etcd.errors import classify
from core.etcd.store import EtcdStore
from core.etcd.wire import varint_field
from core.kv.requests import Found, Get, Reason, Refused
from core.machine.messages import Changes, Failed, Message, Watch, WatchLost

REOPEN_FIRST_S = 0.05
REOPEN_MAX_S = 0.5

# Fields of etcd 3.4 that the generated stubs, made for 3.3, do not know.
_CREATE_WATCH_ID = 7
_CREATE_FRAGMENT = b"\x40\x01"  # field 8
_RESPONSE_FRAGMENT = 7

Sink = Callable[[Message], None]


class _Watch:
    __slots__ = ("command", "events", "id", "next_revision")

    def __init__(self, command: Watch) -> None:
        self.command = command
        self.next_revision = command.revision
        self.id = 0
        self.events: list[Any] = []  # fragments of a response that is not complete yet


class Watcher:
    """All watches of one process. Gives `Changes`, `WatchLost` and `Failed` to `sink`, on its own thread."""

    def __init__(self, store: EtcdStore, sink: Sink) -> None:
        self._store = store
        self._sink = sink
        self._lock = threading.RLock()
        self._watches: dict[str, _Watch] = {}
        self._by_id: dict[int, _Watch] = {}
        self._creating: deque[int] = deque()
        self._last_id = 0
        self._seen_revision = 0
        self._requests: queue.SimpleQueue[Any] | None = None
        self._stream: Any = None
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    # --- for the driver ------------------------------------------------------------------------------------------

    def watch(self, command: Watch) -> None:
        """Start a watch; one of the same name is replaced."""
        with self._lock:
            self.unwatch(command.name)
            watch = self._watches[command.name] = _Watch(command)
            if self._requests is not None:
                self._create(watch, self._requests)
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name="tandem-watch", daemon=True)
                self._thread.start()

    def unwatch(self, name: str) -> None:
        """Stop a watch; nothing comes from it once this returns. Stopping one that is not there does nothing."""
        with self._lock:
            watch = self._watches.pop(name, None)
            if watch is None or watch.id not in self._by_id:
                return
            del self._by_id[watch.id]
            if self._requests is not None:
                cancel = rpc_pb2.WatchCancelRequest(watch_id=watch.id)
                self._requests.put(rpc_pb2.WatchRequest(cancel_request=cancel))

    def close(self) -> None:
        """Stop all watches and the thread."""
        self._closed.set()
        with self._lock:
            self._watches.clear()
            self._by_id.clear()
            stream, thread = self._stream, self._thread
        if stream is not None:
            stream.cancel()
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._store.timeout_s)

    # --- the stream ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause_s = REOPEN_FIRST_S
        while not self._closed.is_set():
            if self._came_back() and self._read_stream():
                pause_s = REOPEN_FIRST_S
            self._closed.wait(pause_s)
            pause_s = min(pause_s * 2, REOPEN_MAX_S)

    def _came_back(self) -> bool:
        """Whether the store answers, with its data; at first use there is nothing to compare with."""
        if not self._seen_revision:
            return True
        answer = self._store.call(Get("", count_only=True))
        if isinstance(answer, Found) and answer.revision < self._seen_revision:
            self._fail(
                f"etcd is at revision {answer.revision} but was at {self._seen_revision} before: it lost data, or is "
                "another cluster"
            )
            return False
        return isinstance(answer, Found) or (isinstance(answer, Refused) and answer.reason is Reason.DENIED)

    def _read_stream(self) -> bool:
        """One stream from open to loss; whether anything came over it."""
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        answered = False
        try:
            # "hasleader": a member without a leader must end the stream instead of letting it wait.
            stream = rpc_pb2_grpc.WatchStub(self._store.channel).Watch(
                _until_none(requests), metadata=(("hasleader", "true"),)
            )
            with self._lock:
                self._stream, self._requests = stream, requests
                self._by_id.clear()
                self._creating.clear()
                for watch in self._watches.values():
                    self._create(watch, requests)
                if self._closed.is_set():
                    stream.cancel()
            for response in stream:
                answered = True
                with self._lock:
                    self._take(response)
        except grpc.RpcError as error:
            meaning = classify(error, writes=False)
            if isinstance(meaning, Refused):
                self._fail(meaning.detail)
        except ValueError:  # the channel is closed, and the store with it
            self._closed.set()
        finally:
            with self._lock:
                self._stream = self._requests = None
            requests.put(None)
        return answered

    def _create(self, watch: _Watch, requests: "queue.SimpleQueue[Any]") -> None:
        self._last_id += 1
        watch.id = self._last_id
        watch.events = []
        self._by_id[watch.id] = watch
        self._creating.append(watch.id)
        requests.put(rpc_pb2.WatchRequest(create_request=_create_request(self._store, watch)))

    def _fail(self, detail: str) -> None:
        with self._lock:
            names = tuple(self._watches)
            self._watches.clear()
            self._by_id.clear()
            for name in names:
                self._sink(Failed(f"watch {name}", detail))

    # --- responses -----------------------------------------------------------------------------------------------

    def _take(self, response: Any) -> None:
        watch_id = response.watch_id
        if response.created and self._creating:
            watch_id = self._creating.popleft()  # in order of creation; etcd puts -1 where it refused
        watch = self._by_id.get(watch_id)
        if watch is None:
            return  # unwatched in the meantime
        if response.canceled:
            self._cancelled(watch, response)
        elif response.created:
            watch.next_revision = watch.next_revision or response.header.revision + 1
        elif response.events:
            watch.events += response.events
            if not _is_fragment(response):
                self._deliver(watch)
        elif not watch.events:
            self._advance(watch, response.header.revision)

    def _cancelled(self, watch: _Watch, response: Any) -> None:
        name = watch.command.name
        del self._watches[name], self._by_id[watch.id]
        if response.created and not response.compact_revision:
            self._sink(Failed(f"watch {name}", response.cancel_reason or "refused by etcd"))
        else:
            self._sink(WatchLost(name))

    def _deliver(self, watch: _Watch) -> None:
        events, watch.events = watch.events, []
        changes = self._store.wire.changes(events)
        # Not the header's revision: while a watch catches up, that is ahead of what the response holds.
        revision = changes[-1].mod_revision
        self._advance(watch, revision)
        self._sink(Changes(watch.command.name, changes, revision))

    def _advance(self, watch: _Watch, revision: int) -> None:
        watch.next_revision = max(watch.next_revision, revision + 1)
        self._seen_revision = max(self._seen_revision, revision)


def _create_request(store: EtcdStore, watch: _Watch) -> Any:
    command, wire = watch.command, store.wire
    filters = [
        *(() if command.puts else (rpc_pb2.WatchCreateRequest.NOPUT,)),
        *(() if command.deletes else (rpc_pb2.WatchCreateRequest.NODELETE,)),
    ]
    request = rpc_pb2.WatchCreateRequest(
        key=wire.key(command.key),
        range_end=wire.key(command.end),
        start_revision=watch.next_revision,
        progress_notify=True,
        filters=filters,
    )
    request.MergeFromString(varint_field(_CREATE_WATCH_ID, watch.id) + _CREATE_FRAGMENT)
    return request


def _is_fragment(response: Any) -> bool:
    return any(field.field_number == _RESPONSE_FRAGMENT and field.data for field in UnknownFieldSet(response))


def _until_none(requests: "queue.SimpleQueue[Any]") -> Iterator[Any]:
    while (request := requests.get()) is not None:
        yield request
