"""The two drivers carry out the commands of one event in the same order.

The order is felt: a worker that sends its results before it starts the next tasks starts those later, and together, so
that they end together and their results share a transaction.
"""

import queue
from collections.abc import Callable, Sequence

import pytest

from core.kv.requests import Delete, EtcdRequest, Response, Txn, TxnDone
from core.machine.messages import Complete, CompleteDone, Execute, Message, Now, Started, Stop, Unwatch, Watch
from core.procedure import table
from core.procedure.base import Procedure
from core.runtime import driver as real
from core.settings import WorkerSettings
from sim import driver as modelled
from sim.config import SimConfig
from sim.host import Host
from sim.kernel import Kernel
from sim.process import Process
from sim.run import simulate
from sim.steps import Costs, Watchers
from tests.sim.model import free, load, moments

SEND, IN_VAIN, LATER = 1, 2, 3
"""Batches: one that asks etcd, one that ends without asking, one that the answer to another brings."""


class Scripted:
    """A machine that commands all this at the start, more when the call in vain returns, and stops after `answers`."""

    def __init__(self, answers: int) -> None:
        self._left = answers

    def handle(self, event: Message, now: Now) -> Sequence[Message]:  # noqa: ARG002 - the interface of a machine
        if isinstance(event, Started):
            return [
                Unwatch("before"),
                Complete(SEND, "w", ()),
                Execute(()),
                Complete(IN_VAIN, "w", ()),
                Watch("after", "a", "b", 0),
                Complete(SEND, "w", ()),
                Execute(()),
            ]
        self._left -= 1
        inner: list[Message] = []
        if isinstance(event, CompleteDone) and event.batch == IN_VAIN:
            inner = [Execute(()), Complete(LATER, "w", ())]
        return inner if self._left else [Stop(0)]

    def next_deadline(self) -> float | None:
        return None

    def validate(self) -> None:
        """Nothing can be wrong."""


class Wire:
    """A link whose server answers at once; it writes down what passes."""

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def send(self, request: EtcdRequest, reply: Callable[[Response], None]) -> None:
        assert isinstance(request, Txn)
        self._log.append(f"send {request.then[0].key}")
        reply(TxnDone(succeeded=True, revision=1))

    def watch(self, command: Watch) -> None:
        self._log.append(f"watch {command.name}")

    def unwatch(self, name: str) -> None:
        self._log.append(f"unwatch {name}")

    def keep_alive(self, lease: int, ttl_s: float) -> None:
        self._log.append(f"keep {lease} {ttl_s}")

    def let_go(self, lease: int) -> None:
        self._log.append(f"let go {lease}")


def procedure(command: Message) -> Procedure:
    assert isinstance(command, Complete)
    if command.batch != IN_VAIN:
        yield Txn((), (Delete(str(command.batch)),))
    return CompleteDone(command.batch, (), ())


def on_the_real_driver() -> list[str]:
    log: list[str] = []
    driver = real.Driver(Scripted(4), queue.SimpleQueue(), {Execute: lambda _: log.append("execute")})
    assert driver.run(Wire(log)) == 0
    return log


def on_the_model() -> list[str]:
    log: list[str] = []
    kernel = Kernel()
    values = free(cores=1, send_s=0.002)
    driver = modelled.Driver(
        kernel,
        Scripted(4),
        Process(Host(kernel, 1), "one", values),
        values,
        Costs(0.001, 0.0),
        {Execute: lambda _: log.append("execute")},
        Watchers(),
        0.0,
        lambda _: log.append("ended"),
    )
    driver.start(Wire(log))  # type: ignore[arg-type]
    kernel.run(until=1.0)
    assert log.pop() == "ended"
    return log


def test_commands_are_carried_out_in_order_and_calls_are_sent_in_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "start", procedure)
    expected = ["unwatch before", "send 1", "execute", "execute", "send 3", "watch after", "send 1", "execute"]
    assert on_the_real_driver() == expected
    assert on_the_model() == expected


def test_results_that_come_before_the_driver_has_its_turn_are_one_event() -> None:
    """As the real one drains its inbox when its thread has the GIL: ten tasks without duration, one transaction."""
    values = free(cores=2, slot_pickup_s=0.001, slot_wrap_s=0.001, slot_hop_s=0.0005, etcd_fsync_s=0.01)
    worker = WorkerSettings(slots=10)
    result = simulate(SimConfig(load([0.0] * 10), workers=1, worker=worker, values=values))
    ended = moments(result, "committed")
    assert len(ended) == 10
    assert len(set(ended.values())) == 1
