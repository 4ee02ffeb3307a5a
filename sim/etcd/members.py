"""The other members of a cluster: each batch of the log goes to them, and counts when a majority has it on disk.

A message from one member to another costs the sender as much as an answer to a client (`etcd_answer_s`). A follower
takes the leader's message after half a round trip, uses processor time for it (`etcd_batch_s` and the decoding of n
operations), waits for its own disk, and answers; then it applies the batch too. All members run on one host, so that
two followers take about twice the leader's processor time beside it.
"""

from collections.abc import Callable

from sim.etcd.cores import Cores
from sim.etcd.disk import Disk
from sim.etcd.entry import Batch
from sim.host import Host
from sim.kernel import Kernel, call_in
from sim.parameters import Values
from sim.streams import Stream


class Followers:
    """All followers of one leader. They write in step with it: a batch is sent when the last one has been answered."""

    def __init__(self, kernel: Kernel, host: Host, leader: Cores, values: Values, residuals: Stream) -> None:
        self._kernel = kernel
        self._leader = leader
        self._values = values
        self._needed = values.etcd_members // 2
        self._members = [Cores(kernel, host, values) for _ in range(values.etcd_members - 1)]
        self._up = self._members
        self._disks = {member: Disk(kernel, member, values, residuals) for member in self._members}

    @property
    def cpu_s(self) -> list[float]:
        """CPU seconds of each."""
        return [member.cpu_s for member in self._members]

    def up(self, count: int) -> None:
        """Only so many of them are there from now on; enough for a majority, or nobody appends."""
        self._up = self._members[:count]

    def append(self, batch: Batch, stored: Callable[[int], None], life: int) -> None:
        """`stored(life)` when as many followers have the batch as make a majority with the leader."""
        round_ = _Round(self._needed, stored, life)
        for member in self._up:
            self._leader.use(self._values.etcd_answer_s, self._send, member, round_, batch)

    def _send(self, member: Cores, round_: "_Round", batch: Batch) -> None:
        call_in(self._kernel, self._values.etcd_member_delay_s / 2, self._received, member, round_, batch)

    def _received(self, member: Cores, round_: "_Round", batch: Batch) -> None:
        values = self._values
        work_s = values.etcd_batch_s + values.etcd_request_item_s * batch.items
        work_s += values.etcd_byte_s / 2 * batch.size_bytes
        member.use(work_s, self._disks[member].sync, batch, self._written, member, round_, batch)

    def _written(self, member: Cores, round_: "_Round", batch: Batch) -> None:
        values = self._values
        member.use(values.etcd_answer_s, self._answer, round_)
        apply_s = values.etcd_apply_s * batch.count + values.etcd_apply_item_s * batch.items
        apply_s += values.etcd_compare_s * batch.compares + values.etcd_byte_s / 2 * batch.size_bytes
        member.use(apply_s, _nothing)

    def _answer(self, round_: "_Round") -> None:
        call_in(self._kernel, self._values.etcd_member_delay_s / 2, round_.answered)


class _Round:
    __slots__ = ("_life", "_missing", "_stored")

    def __init__(self, needed: int, stored: Callable[[int], None], life: int) -> None:
        self._missing = needed
        self._stored = stored
        self._life = life

    def answered(self) -> None:
        self._missing -= 1
        if self._missing == 0:
            self._stored(self._life)


def _nothing() -> None:
    """Applying on a follower has no effect that shows."""
