"""How many tasks a worker may hold: its slots, and a buffer where the tasks are short.

A worker without a buffer idles for one dispatch round trip (its result is committed, the scheduler sees it, assigns,
the worker sees that) after every task: efficiency is service / (service + round trip). Where this costs more than
`NEGLIGIBLE` the worker may hold a full set of slots more, because slots that started together end together; and
where tasks are shorter than the round trip, the bandwidth-delay product: throughput x round trip. Longer tasks get
no buffer, so none waits behind a long one while another worker is free.
"""

NEGLIGIBLE = 0.02
GAIN = 3.0
"""One dispatch round trip is about three of the scheduler's own transactions: commit, assign, and the two watches."""


def buffer_size(slots: int, service_s: float, txn_s: float, max_buffer: int) -> int:
    """Tasks that a worker may hold beyond its slots.

    `service_s`: mean time a slot needs for a task (0 where unknown: no buffer yet). `txn_s`: the scheduler's own
    transaction time.
    """
    if service_s <= 0.0:
        return 0
    ratio = GAIN * txn_s / service_s
    if ratio < NEGLIGIBLE:
        return 0
    return min(max_buffer, max(slots, round(slots * ratio)))


class ServiceEstimate:
    """Mean service time of one worker's slots, by the utilisation law: busy slot-seconds per completion.

    Needs no message from the worker. `busy` is min(tasks held, slots). An exponentially weighted mean over the last
    `MEMORY` completions or so.
    """

    MEMORY = 50.0

    __slots__ = ("_area", "mono", "service_s")

    def __init__(self, mono: float) -> None:
        self.mono = mono
        self._area = 0.0
        self.service_s = 0.0

    def advance(self, mono: float, busy: int) -> None:
        """`busy` slots were busy since the last call."""
        self._area += busy * (mono - self.mono)
        self.mono = mono

    def completed(self, count: int) -> None:
        """`count` (>= 1) tasks left the worker now; call `advance` first."""
        sample = self._area / count
        self._area = 0.0
        weight = 1.0 if self.service_s == 0.0 else min(1.0, count / self.MEMORY)
        self.service_s += weight * (sample - self.service_s)
