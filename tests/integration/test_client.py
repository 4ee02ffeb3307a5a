"""The Python client against a real scheduler and worker, from many threads and in all the ways it can go wrong."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from msgspec import Raw

from core.client import Client, Handle, SubmitError, TaskFailedError, TaskNotFoundError
from core.etcd.binary import Server
from core.etcd.embedded import EmbeddedEtcd
from core.etcd.errors import EtcdUnreachable
from core.model import INLINE_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES, TaskSpec
from core.settings import ClientSettings
from core.specs import make_spec
from core.states import TaskState
from tests.cluster import Cluster, Ledger, until

PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def cluster(etcd: EmbeddedEtcd) -> Iterator[Cluster]:
    """One scheduler and one worker for all tests here; task ids keep them apart."""
    with Cluster(",".join(etcd.endpoints), "test-client", slots=8) as cluster:
        cluster.start("scheduler-1", "worker-1")
        yield cluster
        cluster.drain()


def in_thread(function: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run it, and keep what it returned or raised."""
    answers: list[object] = []

    def run() -> None:
        try:
            answers.append(function())
        except Exception as error:
            answers.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, answers


def test_submit_and_result(client: Client) -> None:
    handle = client.submit("echo", {"hello": "世界"})
    assert handle.result(PATIENCE_S) == {"hello": "世界"}
    status = handle.status()
    assert (status.state, status.attempt, status.losses) == (TaskState.DONE, 1, 0)
    assert client.pending == 0


def test_failure_is_an_exception_with_the_last_error(client: Client) -> None:
    handle = client.submit("fail", {"message": "no luck"}, max_attempts=1)
    with pytest.raises(TaskFailedError, match="RuntimeError: no luck"):
        handle.result(PATIENCE_S)
    assert handle.status().state == TaskState.DEAD


def test_timeout_loses_nothing(client: Client) -> None:
    handle = client.submit("echo", {"duration_s": 1.0})
    with pytest.raises(TimeoutError, match="did not end"):
        handle.result(0.01)
    assert handle.result(PATIENCE_S) == {"duration_s": 1.0}


def test_handles_for_old_ids(client: Client, cluster: Cluster) -> None:
    """By another client, after the end, and for an id that never was."""
    old = client.submit("echo", 1)
    assert old.result(PATIENCE_S) == 1
    assert client.handle(old.id).result(PATIENCE_S) == 1
    with Client(cluster.endpoints, namespace=cluster.namespace) as other:
        assert other.handle(old.id).result(PATIENCE_S) == 1
        never = other.handle("0" * 32)
        with pytest.raises(TaskNotFoundError):
            never.result(PATIENCE_S)
        with pytest.raises(TaskNotFoundError):
            never.status()
        assert other.pending == 0


def test_many_handles_of_one_task(client: Client) -> None:
    """Each of them is told, not only the one that asked last."""
    first = client.submit("echo", {"duration_s": 0.5})
    handles = [first, *(Handle(client, first.id, None) for _ in range(5)), client.handle(first.id)]
    with ThreadPoolExecutor(len(handles)) as pool:
        assert list(pool.map(lambda handle: handle.result(PATIENCE_S), handles)) == [{"duration_s": 0.5}] * 7


def test_two_clients_and_a_hundred_threads(client: Client, cluster: Cluster) -> None:
    with Client(cluster.endpoints, namespace=cluster.namespace) as other, Ledger(cluster.store) as ledger:

        def work(number: int) -> list[Handle]:
            chosen = (client, other)[number % 2]
            return [chosen.submit("echo", [number, count]) for count in range(10)]

        with ThreadPoolExecutor(100) as pool:
            rows = list(pool.map(work, range(100)))
        for number, handles in enumerate(rows):
            assert [handle.result(PATIENCE_S) for handle in handles] == [[number, count] for count in range(10)]
        ids = [handle.id for handles in rows for handle in handles]
        assert len(set(ids)) == 1000
        ledger.wait(1000)
        assert set(ledger.outcomes) >= set(ids)


def test_the_same_task_again_is_harmless(client: Client, cluster: Cluster) -> None:
    """In one call, at the same time, after the end, and by another client: one task, one execution, all are told."""
    spec = make_spec("echo", "once")
    with Ledger(cluster.store) as ledger:
        handles = client.submit_specs([spec, spec])
        with ThreadPoolExecutor(8) as pool:
            handles += [handle for row in pool.map(lambda _: client.submit_specs([spec]), range(8)) for handle in row]
        for handle in handles:
            assert handle.result(PATIENCE_S) == "once"
        late = client.submit_specs([msgspec.structs.replace(spec, submitted_at=1.0)])
        assert late[0].result(PATIENCE_S) == "once"
        with Client(cluster.endpoints, namespace=cluster.namespace) as other:
            assert other.submit_specs([spec])[0].result(PATIENCE_S) == "once"
        assert client.submit("echo", 2).result(PATIENCE_S) == 2  # the client is none the worse for it
        ledger.wait(2)
        assert ledger.outcomes[spec.id].attempt == 1
        assert not ledger.problems


def test_same_id_with_another_specification(idle: Client) -> None:
    spec = make_spec("echo", 1)
    first = idle.submit_specs([spec])[0]
    first.acknowledged(PATIENCE_S)
    other = idle.submit_specs([msgspec.structs.replace(spec, payload=Raw(b"2"))])[0]
    with pytest.raises(SubmitError, match="is another"):
        other.acknowledged(PATIENCE_S)
    assert bytes(idle.status(spec.id).spec.payload) == b"1"
    assert idle.pending == 1, "the first handle still waits for its own task"
    at_once = make_spec("echo", 3)
    good, bad = idle.submit_specs([at_once, msgspec.structs.replace(at_once, priority=1)])
    good.acknowledged(PATIENCE_S)
    with pytest.raises(SubmitError, match="is another"):
        bad.acknowledged(PATIENCE_S)
    idle.submit("echo", "the client is none the worse for it")


def test_large_payloads(client: Client) -> None:
    """Inline, by reference, and many that no single request could hold."""
    for size in (INLINE_PAYLOAD_BYTES - 2, INLINE_PAYLOAD_BYTES - 1, 100 * 1024, MAX_PAYLOAD_BYTES - 2):
        text = "x" * size
        assert client.submit("echo", text).result(PATIENCE_S) == text
    payloads = [chr(97 + number) * (5_000 + number * 25_000) for number in range(11)] * 2
    handles = client.submit_many("echo", payloads)
    assert [handle.result(PATIENCE_S) for handle in handles] == payloads


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (TaskSpec("a" * 32, "echo", queue="a/b"), "queue 'a/b' is not a valid name"),
        (TaskSpec("a" * 32, ""), "task type '' is not a valid name"),
        (TaskSpec("short", "echo"), "task id 'short' is not 32"),
        (TaskSpec("a" * 32, "echo", priority=10), "priority 10 is not one of 0"),
        (TaskSpec("a" * 32, "echo", max_attempts=0), "max_attempts must be at least 1"),
    ],
)
def test_specifications_nobody_could_run_are_refused(idle: Client, spec: TaskSpec, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        idle.submit_specs([spec])


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (object(), "is not JSON"),
        (Raw(b"{"), "is not JSON"),
        ("x" * MAX_PAYLOAD_BYTES, f"is {MAX_PAYLOAD_BYTES + 2} bytes of JSON, {MAX_PAYLOAD_BYTES} are allowed"),
    ],
)
def test_payloads_that_are_refused(idle: Client, payload: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        idle.submit("echo", payload)
    assert idle.pending == 0


def test_what_is_not_followed_is_not_kept_and_can_be_asked_for_later(client: Client) -> None:
    specs = [make_spec("echo", number) for number in range(3)]
    handles = client.submit_specs(specs, follow=False)
    for handle in handles:
        handle.acknowledged(PATIENCE_S)
    assert client.pending == 0
    assert [handle.result(PATIENCE_S) for handle in handles] == [0, 1, 2]
    assert client.pending == 0


def test_close_wakes_who_waits(idle: Client) -> None:
    """A result that will not come is an error, not a missing task; the task itself is safe."""
    handle = idle.submit("echo")
    known = idle.submit("echo")
    thread, answers = in_thread(lambda: handle.result(PATIENCE_S))
    until(lambda: handle._done is not None, "the thread to wait")
    idle.close()
    thread.join(PATIENCE_S)
    assert [type(answer) for answer in answers] == [RuntimeError]
    assert "closed" in str(answers[0])
    known.acknowledged(1)  # that much is known for ever
    for later in (lambda: handle.result(1), lambda: idle.submit("echo"), lambda: idle.handle(handle.id).result(1)):
        with pytest.raises(RuntimeError, match="closed"):
            later()


def test_results_outlive_the_client(cluster: Cluster) -> None:
    with Client(cluster.endpoints, namespace=cluster.namespace) as client:
        handle = client.submit("echo", 5)
        assert handle.result(PATIENCE_S) == 5
    assert handle.result(0) == 5


def test_close_sends_what_was_submitted(cluster: Cluster) -> None:
    with Client(cluster.endpoints, namespace=cluster.namespace, settings=ClientSettings(max_batch=10)) as client:
        handles = client.submit_many("echo", range(500), wait=False)
    for handle in handles:
        handle.acknowledged(0)
    with Client(cluster.endpoints, namespace=cluster.namespace) as other:
        assert [other.handle(handle.id).result(PATIENCE_S) for handle in handles] == list(range(500))


def test_close_goes_on_while_etcd_acknowledges_and_takes_nothing_new(cluster: Cluster) -> None:
    """With a patience that is far too short for all of it at once."""
    slow = ClientSettings(max_batch=20, max_in_flight=1)
    client = Client(cluster.endpoints, namespace=cluster.namespace, settings=slow)
    handles = client.submit_many("echo", [None] * 12_000, wait=False)
    thread, _ = in_thread(lambda: client.close(timeout_s=0.4))
    until(lambda: client._closing, "the close to begin")
    with pytest.raises(RuntimeError, match="closed"):
        client.submit("echo", wait=False)
    thread.join(PATIENCE_S)
    for handle in handles:
        handle.acknowledged(0)


def test_unacknowledged_submit_is_never_called_durable(
    durable_server: Server, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server dies before it answers: waiting for the acknowledgement ends in an error, by the close at last."""
    with EmbeddedEtcd(server=durable_server) as etcd:
        client = Client(",".join(etcd.endpoints), namespace=f"/{namespace}/")
        client.submit("echo")
        etcd.kill()
        handle = client.submit("echo", wait=False)
        with pytest.raises(TimeoutError, match="may still be submitted"):
            handle.acknowledged(0.3)
        thread, answers = in_thread(lambda: handle.acknowledged(PATIENCE_S))
        client.close(timeout_s=0.5)
        assert "1 tasks were not acknowledged before the client was closed" in caplog.text
        thread.join(PATIENCE_S)
        assert [type(answer) for answer in answers] == [RuntimeError], "woken by the close, not by its own timeout"


def test_no_etcd(namespace: str) -> None:
    with pytest.raises(EtcdUnreachable, match=r"no etcd answers at 127\.0\.0\.1:1 "):
        Client("127.0.0.1:1", namespace=f"/{namespace}/")
