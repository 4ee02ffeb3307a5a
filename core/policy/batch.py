"""How much goes into one transaction, and when it goes."""

from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")

MAX_BATCH_BYTES = 1024 * 1024
"""etcd refuses requests over 1.5 MiB; the rest is room for keys and compares."""


class Limits(Protocol):
    """What the settings of every component say about its transactions."""

    @property
    def max_batch(self) -> int: ...
    @property
    def max_in_flight(self) -> int: ...
    @property
    def min_fill(self) -> int: ...


def worth_sending(waiting: int, in_flight: int, limits: Limits) -> bool:
    """Whether a transaction should start: the first one at once, another beside it only if it is well filled.

    etcd flushes one group of proposals after the other, so a small transaction sent while one is under way is not
    done much earlier than one sent when that is answered; but it costs a flush, a round of events, and CPU time.
    """
    if waiting == 0 or in_flight >= limits.max_in_flight:
        return False
    return in_flight == 0 or waiting >= min(limits.min_fill, limits.max_batch)


def cut(items: deque[T], max_items: int, max_bytes: int, size: Callable[[T], int]) -> list[T]:
    """Remove and return the first items: at most `max_items`, at most `max_bytes` by `size`, but at least one."""
    batch: list[T] = []
    total = 0
    while items and len(batch) < max_items:
        total += size(items[0])
        if batch and total > max_bytes:
            break
        batch.append(items.popleft())
    return batch
