"""Faults come when they are due, one that needs a leader waits for it, and nothing else waits with it."""

import queue
import time
from typing import Any

from experiments.faults import Saboteur
from experiments.schema import Fault

TIMEOUT_S = 10.0


class Components:
    def __init__(self) -> None:
        self.told: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()

    def keep(self) -> None:
        pass

    def signal(self, name: str, number: int) -> None:
        self.told.put((name, int(number)))


class Etcd:
    """Three members; `leaders`: what is answered to the question who leads, the last answer for ever."""

    members = 3

    def __init__(self, told: "queue.SimpleQueue[tuple[Any, ...]]", *leaders: int | None) -> None:
        self.told = told
        self.leaders = list(leaders)
        self.dead: set[int] = set()
        self.moments: list[float] = []
        """Of each kill and restart."""

    def leader(self) -> int | None:
        return self.leaders.pop(0) if len(self.leaders) > 1 else self.leaders[0]

    def kill(self, member: int) -> None:
        self.moments.append(time.monotonic())
        self.dead.add(member)
        self.told.put(("kill", member))

    def running(self, member: int) -> bool:
        return member not in self.dead

    def restart(self, member: int, *, wait: bool) -> None:
        assert not wait
        self.moments.append(time.monotonic())
        self.dead.discard(member)
        self.told.put(("restart", member))


def sabotaged(leaders: tuple[int | None, ...], *faults: Fault, count: int) -> tuple[list[Any], Saboteur, Etcd]:
    """The first `count` things that were done."""
    components: Any = Components()
    etcd = Etcd(components.told, *leaders)
    saboteur = Saboteur(faults, components, etcd)  # type: ignore[arg-type]
    saboteur.start(time.monotonic())
    told = [components.told.get(timeout=TIMEOUT_S) for _ in range(count)]
    saboteur.finish()
    return told, saboteur, etcd


def kill(target: str, at_s: float, duration_s: float) -> Fault:
    return Fault(kind="etcd_kill", at_s=at_s, target=target, duration_s=duration_s)


def test_faults_come_in_their_order_and_are_mended() -> None:
    stop = Fault(kind="scheduler_stop", at_s=0.05, target="scheduler-1", duration_s=0.3)
    told, saboteur, _ = sabotaged((1,), stop, kill("etcd-2", 0.1, 0.1), count=4)
    assert told == [("scheduler-1", 19), ("kill", 2), ("restart", 2), ("scheduler-1", 18)]
    assert [one["target"] for one in saboteur.made] == ["scheduler-1", "etcd-2"]


def test_one_that_needs_a_leader_waits_for_it_and_nothing_else_waits_with_it() -> None:
    stop = Fault(kind="scheduler_stop", at_s=0.06, target="scheduler-1")
    told, saboteur, etcd = sabotaged((None, None, None, 3), kill("etcd-leader", 0.0, 0.1), stop, count=3)
    assert told == [("scheduler-1", 19), ("kill", 3), ("restart", 3)]
    (_, late) = saboteur.made
    assert late["target"] == "etcd-3"
    assert float(late["at_s"]) >= 0.15
    killed, restarted = etcd.moments
    assert restarted - killed >= 0.09, "it lasts as long as it should, from when it was made"


def test_a_follower_is_one_that_runs_and_does_not_lead() -> None:
    told, *_ = sabotaged((1,), kill("etcd-follower", 0.0, 5.0), kill("etcd-follower", 0.1, 5.0), count=2)
    assert told == [("kill", 2), ("kill", 3)]


def test_a_leader_that_is_alone_has_no_follower_to_kill() -> None:
    """It believes in itself for a while: the fault waits until another member runs again."""
    lone = [kill("etcd-2", 0.0, 0.3), kill("etcd-3", 0.0, 5.0), kill("etcd-follower", 0.05, 5.0)]
    told, *_ = sabotaged((1,), *lone, count=4)
    assert told == [("kill", 2), ("kill", 3), ("restart", 2), ("kill", 2)]
