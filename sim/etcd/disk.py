"""The disk of a member, one batch at a time: a wait that ends on a core.

Measured: an fsync takes 0.4 ms where one follows another and 0.5 to 0.8 ms after rests; where two schedulers and their
workers keep the cores busy it takes 1.4 ms. The disk is the same. What comes on top is the kernel's: its journal is a
thread of its own, and so is the caller that waits for it. Each must be woken and needs a core; Linux lets who has slept
run next, but interrupts nobody within its slice. (Tried: a loop of writes and fsyncs uses 0.08 to 0.18 ms of CPU time
for each; beside processes that work 1 ms and rest 1 ms its median stays, its mean doubles and its 9th decile is 1.4
ms.) So a batch of n operations takes a wait, `etcd_fsync_s` - `etcd_sync_s` + `etcd_fsync_item_s` n (and
`etcd_fsync_byte_s` for each byte of payload), times a residual drawn from measured quantiles, and `etcd_flush_delay_s`
where a scenario slows the disk; then half of `etcd_sync_s` on a core for the journal, and half for the caller, each at
the head of the queue.
"""

from collections.abc import Callable
from typing import Any

from sim.etcd.cores import Cores
from sim.etcd.entry import Batch
from sim.kernel import Kernel, call_in
from sim.parameters import Values
from sim.streams import Stream


class Disk:
    """`fsyncs` have begun; those that are over took `fsync_s` together."""

    def __init__(self, kernel: Kernel, cores: Cores, values: Values, residuals: Stream) -> None:
        self._kernel = kernel
        self._cores = cores
        self._values = values
        self._residuals = residuals
        self._wait_s = max(0.0, values.etcd_fsync_s - values.etcd_sync_s)
        self._half_s = values.etcd_sync_s / 2
        self.fsyncs = 0
        self.fsync_s = 0.0

    def sync(self, batch: Batch, done: Callable[..., object], *arguments: Any) -> None:
        """`done(*arguments)` when the batch is durable."""
        self.fsyncs += 1
        values = self._values
        wait_s = self._wait_s + values.etcd_fsync_item_s * batch.items + values.etcd_fsync_byte_s * batch.size_bytes
        if values.etcd_fsync_residuals:
            wait_s *= self._residuals.quantile(values.etcd_fsync_residuals)
        wait_s += values.etcd_flush_delay_s
        after = self._journal if self._half_s else self._durable
        call_in(self._kernel, wait_s, after, self._kernel.now, done, arguments)

    def _journal(self, since: float, done: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        cores = self._cores
        cores.use_first(self._half_s, cores.use_first, self._half_s, self._durable, since, done, arguments)

    def _durable(self, since: float, done: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.fsync_s += self._kernel.now - since
        done(*arguments)
