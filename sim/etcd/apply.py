"""The apply loop and the backend: committed entries take effect one after the other.

An entry of n operations with c compares and m bytes of payload takes `etcd_apply_s` + `etcd_apply_item_s` n +
`etcd_compare_s` c + `etcd_byte_s` m / 2 of a core, and is answered (the other half of what bytes cost was due before
the log). A read waits until what was committed before it is applied, then takes a core of its own. The database file
is committed every `etcd_commit_interval_s`, or after `COMMIT_OPERATIONS` operations, where anything was written:
meanwhile (`etcd_commit_s` + `etcd_commit_byte_s` m, measured at the server) nothing is applied, because the writer
holds the lock of the transaction. That is a tail of one request in a few dozen on a quiet server, and a quarter of
the time where payloads are large.
"""

from collections import deque
from collections.abc import Callable, Sequence
from math import floor

from sim.etcd.cores import Cores
from sim.etcd.entry import Entry
from sim.kernel import Kernel, call_in
from sim.parameters import Values

COMMIT_OPERATIONS = 10_000
"""etcd's default of --backend-batch-limit."""
COMMIT_FLUSHES = 2
"""bbolt flushes its pages, then the page that says where they are (its `Tx.Commit`)."""


class ApplyLoop:
    """`effect(entry)` makes an entry take effect and answers it."""

    def __init__(self, kernel: Kernel, cores: Cores, values: Values, effect: Callable[[Entry], None]) -> None:
        self._kernel = kernel
        self._cores = cores
        self._values = values
        self._effect = effect
        self._queue: deque[Entry | Callable[[], None]] = deque()  # entries, and reads that wait for them
        self._busy = False
        self._dirty = 0  # operations since the last commit of the backend
        self._dirty_bytes = 0  # of payloads in them
        self._commit_due = False
        self._life = 0

    def committed(self, batch: Sequence[Entry]) -> None:
        """These are durable, in this order."""
        self._queue.extend(batch)
        self._next()

    def read(self, ready: Callable[[], None]) -> None:
        """`ready()` when everything committed so far is applied."""
        self._queue.append(ready)
        self._next()

    def _next(self) -> None:
        while not self._busy:
            if self._commit_due:
                self._commit()
            elif not self._queue:
                return
            else:
                head = self._queue[0]
                if isinstance(head, Entry):
                    self._busy = True
                    values = self._values
                    cost_s = values.etcd_apply_s + values.etcd_apply_item_s * head.items
                    cost_s += values.etcd_compare_s * head.compares + values.etcd_byte_s / 2 * head.size_bytes
                    self._cores.use(cost_s, self._apply)
                else:
                    self._queue.popleft()
                    head()

    def _apply(self) -> None:
        entry = self._queue.popleft()
        assert isinstance(entry, Entry)
        self._busy = False
        self._wrote(entry)
        self._effect(entry)
        self._next()

    # --- the backend ---

    def _wrote(self, entry: Entry) -> None:
        values = self._values
        if not (values.etcd_commit_s or values.etcd_commit_byte_s or values.etcd_flush_delay_s):
            return
        if not self._dirty:
            now, interval_s = self._kernel.now, values.etcd_commit_interval_s
            due = (floor(now / interval_s) + 1) * interval_s  # a ticker that does not care for us
            call_in(self._kernel, due - now, self._tick, self._life)
        self._dirty += entry.items
        self._dirty_bytes += entry.size_bytes
        if self._dirty >= COMMIT_OPERATIONS:
            self._commit_due = True

    def _tick(self, life: int) -> None:
        if life == self._life and self._dirty:
            self._commit_due = True
            self._next()

    def _commit(self) -> None:
        self._commit_due = False
        self._busy = True
        values = self._values
        wait_s = values.etcd_commit_s + values.etcd_commit_byte_s * self._dirty_bytes
        wait_s += COMMIT_FLUSHES * values.etcd_flush_delay_s
        self._dirty = self._dirty_bytes = 0
        call_in(self._kernel, wait_s, self._commit_done, self._life)

    def _commit_done(self, life: int) -> None:
        if life == self._life:
            self._busy = False
            self._next()

    # --- faults ---

    def kill(self) -> list[Entry]:
        """What was committed and not yet applied."""
        self._life += 1
        durable = [one for one in self._queue if isinstance(one, Entry)]
        self._queue.clear()
        self._busy = self._commit_due = False
        self._dirty = self._dirty_bytes = 0
        return durable
