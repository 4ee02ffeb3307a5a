"""How much goes into one transaction."""

from collections import deque
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


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
