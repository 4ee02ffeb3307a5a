"""Real processes are killed, stopped and drained with tasks in flight: nothing is lost, nothing is committed twice."""

import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from core.client import Client
from core.etcd.binary import Server
from core.etcd.embedded import EmbeddedEtcd
from core.kv import keys
from core.model import Verdict
from core.settings import SchedulerSettings, WorkerSettings
from tests.cluster import Cluster, Ledger, alive, held_by, until

TASKS = 300
LONG_S = 0.6
HANGS = "too late"


@pytest.fixture(scope="module")
def server(durable_server: Server) -> Iterator[EmbeddedEtcd]:
    """Not the session's: one that may be killed, and that keeps what it acknowledged."""
    with EmbeddedEtcd(server=durable_server) as etcd:
        yield etcd


class World:
    """One namespace with its processes, its ledger and a client."""

    def __init__(self, stack: ExitStack, cluster: Cluster) -> None:
        self.cluster = stack.enter_context(cluster)
        self.ledger = stack.enter_context(Ledger(cluster.store))
        self.client = stack.enter_context(Client(cluster.endpoints, namespace=cluster.namespace))
        self.submitted: list[str] = []

    def load(self, *, long: int = 16) -> None:
        """Many short tasks and some long ones, shuffled."""
        draw = random.Random(1)
        durations = [draw.uniform(0.02, 0.05) for _ in range(TASKS - long)] + [LONG_S] * long
        draw.shuffle(durations)
        handles = self.client.submit_many("echo", [{"duration_s": duration} for duration in durations])
        self.submitted += [handle.id for handle in handles]

    def in_flight(self, worker: str, enough: int = 3) -> str:
        """Wait until tasks have ended and the worker holds others: its id."""
        self.ledger.wait(30)
        (name,) = self.cluster.ids(worker)
        until(lambda: len(held_by(self.cluster.store, name)) >= enough, f"tasks of {worker} in flight")
        return name

    def finish(self) -> None:
        """Everything ends once and well, and every process can be ended."""
        self.ledger.settle(self.submitted)
        assert {outcome.verdict for outcome in self.ledger.outcomes.values()} == {Verdict.SUCCEEDED}
        self.cluster.drain()

    def losses(self) -> int:
        return sum(outcome.losses for outcome in self.ledger.outcomes.values())


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def build(stack: ExitStack, server: EmbeddedEtcd, namespace: str, *names: str, ttl_s: float = 2.0) -> World:
    cluster = Cluster(",".join(server.endpoints), namespace, ttl_s=ttl_s)
    world = World(stack, cluster)
    cluster.start(*names)
    world.load()
    return world


def test_killed_worker_with_its_nanny_alive(server: EmbeddedEtcd, namespace: str, stack: ExitStack) -> None:
    """The nanny revokes the lease: with a TTL of 60 s, renewed each third, it cannot have expired within 40 s."""
    world = build(stack, server, namespace, "scheduler-1", "worker-1", "worker-2", ttl_s=60.0)
    victim = world.in_flight("worker-1")
    world.cluster.worker_process("worker-1").kill()
    until(lambda: victim not in world.cluster.ids("worker-1"), "the lease to be revoked", 20.0)
    until(lambda: not held_by(world.cluster.store, victim), "its tasks to be requeued", 15.0)
    world.ledger.conserved(world.submitted)
    until(lambda: bool(world.cluster.ids("worker-1")), "the nanny to start another worker")
    world.finish()
    assert world.losses() >= 1, "nothing was in flight: the kill tested nothing"
    assert "SIGKILL" in world.cluster.log("worker-1")


def test_lost_host(server: EmbeddedEtcd, namespace: str, stack: ExitStack) -> None:
    """Worker and nanny go together: the lease runs out, then the tasks are requeued."""
    world = build(stack, server, namespace, "scheduler-1", "worker-1", "worker-2")
    victim = world.in_flight("worker-2")
    world.cluster.kill_host("worker-2")
    assert held_by(world.cluster.store, victim)
    world.finish()
    assert world.losses() >= 1
    assert not held_by(world.cluster.store, victim)


def test_one_of_two_schedulers_killed(server: EmbeddedEtcd, namespace: str, stack: ExitStack) -> None:
    world = build(stack, server, namespace, "scheduler-1", "scheduler-2", "worker-1", "worker-2")
    world.in_flight("worker-1")
    world.cluster.processes["scheduler-1"].kill()
    world.cluster.processes["scheduler-1"].wait(10)
    world.finish()
    assert world.losses() == 0, "no worker was lost"


def test_only_scheduler_killed_and_another_started(server: EmbeddedEtcd, namespace: str, stack: ExitStack) -> None:
    world = build(stack, server, namespace, "scheduler-1", "worker-1", "worker-2")
    world.in_flight("worker-1")
    world.cluster.processes["scheduler-1"].kill()
    world.cluster.processes["scheduler-1"].wait(10)
    assert keys.READY in world.ledger.conserved(world.submitted).values(), "no task needs the new scheduler"
    world.cluster.start("scheduler-2")
    world.finish()


def test_etcd_killed_and_restarted(server: EmbeddedEtcd, namespace: str, stack: ExitStack) -> None:
    """Acknowledged writes survive; processes reconnect and go on; a submit that is under way is acknowledged later."""
    world = build(stack, server, namespace, "scheduler-1", "worker-1", "worker-2")
    world.in_flight("worker-1")
    server.kill()
    waiting = world.client.submit("echo", "submitted while etcd was away", wait=False)
    server.restart()
    waiting.acknowledged(30)
    world.submitted.append(waiting.id)
    world.finish()
    assert waiting.result(10) == "submitted while etcd was away"


def test_stopped_worker_comes_back_too_late(server: EmbeddedEtcd, namespace: str, stack: ExitStack) -> None:
    """SIGSTOP beyond the TTL: the tasks run elsewhere; after SIGCONT the late results are fenced off."""
    world = build(stack, server, namespace, "scheduler-1", "worker-1", "worker-2")
    victim = world.in_flight("worker-1")
    process = world.cluster.worker_process("worker-1")
    process.suspend()
    held = held_by(world.cluster.store, victim)
    assert held
    until(lambda: not held_by(world.cluster.store, victim), "its tasks to be requeued")
    world.ledger.wait(TASKS)
    process.resume()
    until(lambda: HANGS in world.cluster.log("worker-1"), "the late results to be fenced off")
    until(lambda: bool(world.cluster.ids("worker-1")), "the worker to register again")
    assert world.cluster.ids("worker-1") != [victim]
    world.finish()
    # What it had sent just before the signal may have arrived after we looked: that counts, and nothing of it is late.
    outcomes = [world.ledger.outcomes[task_id] for task_id in held]
    assert {outcome.worker == victim for outcome in outcomes} >= {False}
    assert all((outcome.losses == 0) == (outcome.worker == victim) for outcome in outcomes)


def test_drain_hands_back_what_waits(server: EmbeddedEtcd, namespace: str, stack: ExitStack) -> None:
    """SIGTERM: running tasks finish, waiting ones go back to ready/ with no attempt charged."""
    world = build(stack, server, namespace, "scheduler-1", "worker-1")
    victim = world.in_flight("worker-1", enough=8)  # four slots: four of them wait
    assert world.cluster.stop("worker-1") == 0
    assert not held_by(world.cluster.store, victim)
    states = world.ledger.conserved(world.submitted)
    assert set(states.values()) == {keys.READY, keys.DONE}
    world.cluster.start("worker-2")
    world.finish()
    assert {(o.attempt, o.losses) for o in world.ledger.outcomes.values()} == {(1, 0)}


def test_drain_in_full_flow_charges_nobody(server: EmbeddedEtcd, namespace: str, stack: ExitStack) -> None:
    """Assignments that are on their way when a worker begins to drain don't reach it, or are handed back."""
    world = World(stack, Cluster(",".join(server.endpoints), namespace))
    world.cluster.start("scheduler-1", "worker-1", "worker-2")
    world.submitted += [handle.id for handle in world.client.submit_many("echo", [None] * 15_000)]
    world.ledger.wait(500)
    assert world.cluster.stop("worker-1") == 0
    assert world.cluster.stop("worker-2") == 0
    world.ledger.conserved(world.submitted)
    world.cluster.start("worker-3")
    world.finish()
    assert {(o.attempt, o.losses) for o in world.ledger.outcomes.values()} == {(1, 0)}


@pytest.mark.slow_faults
def test_drain_limit_hands_back_what_runs(server: EmbeddedEtcd, namespace: str, stack: ExitStack) -> None:
    """A task that outlasts the limit is handed back, too; its result does not count, and the next worker's does."""
    settings = WorkerSettings(lease_ttl_s=2.0, slots=2, drain_limit_s=0.2)
    world = World(stack, Cluster(",".join(server.endpoints), namespace, worker=settings))
    world.cluster.start("scheduler-1", "worker-1")
    world.submitted += [h.id for h in world.client.submit_many("sleep", [{"duration_s": 3}] * 2)]
    (victim,) = world.cluster.ids("worker-1")
    until(lambda: len(held_by(world.cluster.store, victim)) == 2, "both to run")
    assert world.cluster.stop("worker-1") == 0
    assert set(world.ledger.conserved(world.submitted).values()) == {keys.READY}
    world.cluster.start("worker-2")
    world.finish()
    assert {(o.attempt, o.losses) for o in world.ledger.outcomes.values()} == {(1, 0)}


@pytest.mark.slow_faults
def test_drain_without_etcd_ends(durable_server: Server, namespace: str, stack: ExitStack) -> None:
    """A worker that cannot hand back, because etcd is gone, ends all the same: its lease will run out."""
    etcd = stack.enter_context(EmbeddedEtcd(server=durable_server))
    settings = WorkerSettings(lease_ttl_s=2.0, slots=1, drain_limit_s=0.5)
    world = World(stack, Cluster(",".join(etcd.endpoints), namespace, worker=settings))
    world.cluster.start("scheduler-1", "worker-1")
    world.client.submit_many("sleep", [{"duration_s": 60}] * 3)
    (victim,) = world.cluster.ids("worker-1")
    until(lambda: bool(held_by(world.cluster.store, victim)), "a task to run")
    process = world.cluster.worker_process("worker-1")
    etcd.kill()
    world.cluster.processes["worker-1"].send_signal(signal.SIGTERM)
    world.cluster.processes["worker-1"].wait(20)
    assert not alive(process)
    world.cluster.processes["scheduler-1"].terminate()
    assert world.cluster.processes["scheduler-1"].wait(20) == 0


@pytest.mark.slow_faults
def test_worker_whose_nanny_dies_drains(server: EmbeddedEtcd, namespace: str, stack: ExitStack) -> None:
    """Nobody would look after it: it ends by itself, and nothing is lost."""
    world = build(stack, server, namespace, "scheduler-1", "worker-1", "worker-2")
    world.in_flight("worker-1")
    process: psutil.Process = world.cluster.worker_process("worker-1")
    world.cluster.processes["worker-1"].kill()
    world.cluster.processes["worker-1"].wait(10)
    until(lambda: not alive(process), "the worker to end")
    world.finish()
    assert world.losses() == 0


@pytest.mark.slow_faults
def test_poison_task_is_buried(server: EmbeddedEtcd, namespace: str, stack: ExitStack) -> None:
    """A task that kills its worker each time ends up dead, and the tasks beside it succeed."""
    cluster = Cluster(
        ",".join(server.endpoints),
        namespace,
        worker=WorkerSettings(lease_ttl_s=60.0, slots=1),
        scheduler=SchedulerSettings(lease_ttl_s=60.0, max_buffer=0),
    )
    world = World(stack, cluster)
    (cluster.folder / "poison.py").write_text(
        "import os\nfrom core.handlers import Handlers\napp = Handlers()\n"
        "@app.handler('poison')\ndef poison(payload):\n    os.kill(os.getpid(), 9)\n"
    )
    cluster.start("scheduler-1")
    cluster.start("worker-1", more=("--app", "poison:app"))
    poison = world.client.submit("poison")
    good = world.client.submit_many("echo", range(5))
    world.submitted += [poison.id, *(handle.id for handle in good)]
    world.ledger.settle(world.submitted)
    assert world.ledger.outcomes[poison.id].verdict == Verdict.FAILED
    assert world.ledger.outcomes[poison.id].losses == 3
    assert cluster.look().dead == {"default": 1}
    assert [handle.result(5) for handle in good] == list(range(5))
    cluster.drain()
