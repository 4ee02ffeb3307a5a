"""The write-ahead log: group commit.

raft's loop takes all proposals that wait as one batch, writes it and waits for the disk; what comes meanwhile is the
next batch. A gated batch server, in the words of queueing theory, with T = a + b n for n operations: processor time
`etcd_batch_s` for the round of the loop, then the disk (`sim.etcd.disk`). With N callers that each have one request
open, and nothing else in the way, they fall into two groups that take turns: N requests in every 2 a + b N seconds (one
caller alone: 1 in a + b).

With several members the batch also goes to the followers (`sim.etcd.members`), and counts when a majority has it.
"""

from collections import deque
from collections.abc import Callable, Sequence

from sim.etcd.cores import Cores
from sim.etcd.disk import Disk
from sim.etcd.entry import Batch, Entry
from sim.etcd.members import Followers
from sim.kernel import Kernel
from sim.parameters import Values
from sim.streams import Stream


class Log:
    """`committed` is given each batch that is durable."""

    def __init__(
        self,
        kernel: Kernel,
        cores: Cores,
        values: Values,
        residuals: Stream,
        followers: Followers | None,
        committed: Callable[[Sequence[Entry]], None],
    ) -> None:
        self.disk = Disk(kernel, cores, values, residuals)
        self._cores = cores
        self._batch_s = values.etcd_batch_s
        self._followers = followers
        self._committed = committed
        self._pending: deque[Entry] = deque()
        self._writing: list[Entry] = []
        self._missing = 0
        self._life = 0

    def propose(self, entry: Entry) -> None:
        self._pending.append(entry)
        if not self._writing:
            self._begin()

    def _begin(self) -> None:
        self._writing = list(self._pending)
        self._pending.clear()
        if self._batch_s:
            self._cores.use(self._batch_s, self._write)
        else:
            self._write()

    def _write(self) -> None:
        batch = Batch(self._writing)
        self._missing = 1
        self.disk.sync(batch, self._stored, self._life)
        if self._followers is not None:
            self._missing += 1
            self._followers.append(batch, self._stored, self._life)

    def _stored(self, life: int) -> None:
        """The batch is on this member's disk, or on those of enough others."""
        if life != self._life:
            return
        self._missing -= 1
        if self._missing:
            return
        batch, self._writing = self._writing, []
        if self._pending:
            self._begin()
        self._committed(batch)

    def kill(self, survivors: Callable[[int], int]) -> list[Entry]:
        """What of the batch under way has reached the disk: its first `survivors(length)` entries."""
        self._life += 1
        batch, self._writing = self._writing, []
        self._pending.clear()
        return batch[: survivors(len(batch) + 1)]
