"""The time between two leaders of a cluster.

raft: a follower that has heard nothing for T to 2 T (`--election-timeout`, drawn anew by each) asks for the votes; the
first one wins. With n followers left that is after T (1 + 1 / (n + 1)) on average. Split votes, which take another
round, are left out: two followers would have to choose the same few milliseconds.

What clients ask meanwhile is held. Reads are answered by the new leader. Writes go to the dead one and are lost, but
for what a follower had in its log before; clients find that out by barriers that they write (`core.etcd.lost`). Those
whose connection ended at the dead member know at once that they do not know.
"""

from collections.abc import Callable

from core.kv.requests import EtcdRequest, Response, Unknown
from sim.kernel import Kernel, call_in
from sim.parameters import Values
from sim.streams import Stream

Reply = Callable[[Response], None]
MEMBER_START_S = 0.12
"""A member that starts on a small log answers the others."""
PATIENCE_S = 0.5
CHECK_INTERVAL_S = 0.1
"""As the real store (`core.etcd.lost`)."""


def election_s(values: Values, followers: int, stream: Stream) -> float:
    """From the death of the leader to the next one, with so many followers left.

    Timers tick ten times in T, and the last message came up to a tick before: half a tick less on average.
    """
    return values.etcd_election_timeout_s * (0.95 + min(stream.random() for _ in range(followers)))


def majority_s(values: Values, stream: Stream) -> float:
    """From the restart of the member that makes a majority again to the next leader.

    Those that were left have asked for votes all the time, once in a timeout or so, and get this one as soon as it is
    up. (Ten times two of three members were killed and one restarted: 0.17 to 1.19 s, 0.59 s on average.)
    """
    return MEMBER_START_S + values.etcd_election_timeout_s * stream.random()


class Interregnum:
    """What was asked while there was no leader."""

    def __init__(self, kernel: Kernel, stream: Stream) -> None:
        self._kernel = kernel
        self._stream = stream
        self._writes: dict[int, tuple[Reply, float]] = {}
        self._reads: list[tuple[EtcdRequest, Reply, object]] = []

    def hold_write(self, number: int, reply: Reply) -> None:
        self._writes[number] = (reply, self._kernel.now)

    def hold_read(self, request: EtcdRequest, reply: Reply, connection: object) -> None:
        self._reads.append((request, reply, connection))

    def survived(self, number: int, answer: Response) -> None:
        """This write was in the log of the new leader."""
        held = self._writes.pop(number, None)
        if held is not None:
            held[0](answer)

    def end(self, read: Callable[[EtcdRequest, Reply, object], None]) -> None:
        """There is a leader: `read` what waits; writes that are left are lost, as their senders find out by and by."""
        for waiting in self._reads:
            read(*waiting)
        now = self._kernel.now
        for reply, sent in self._writes.values():
            barrier_s = max(now, sent + PATIENCE_S) + CHECK_INTERVAL_S * self._stream.random()
            call_in(self._kernel, barrier_s + CHECK_INTERVAL_S - now, reply, Unknown("etcd has lost the request"))
        self._writes.clear()
        self._reads.clear()

    def give_up(self) -> None:
        """No leader is going to come."""
        for reply, _ in self._writes.values():
            reply(Unknown("etcd was killed"))
        for _, reply, _ in self._reads:
            reply(Unknown("etcd was killed"))
        self._writes.clear()
        self._reads.clear()
