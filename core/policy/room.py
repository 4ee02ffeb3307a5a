"""How many ready tasks a scheduler holds of each queue."""

FULL_WINDOWS = 4
"""So many queues have a full window each; more share the room of these, so that memory does not grow with queues."""
LEAST_WINDOW = 32
"""A thousand queues of this many are still few; with less, each task of a long queue would cost a read."""


def queue_window(window: int, queues: int) -> int:
    """Size of one queue's window, where `window` is that of a queue without company.

    It changes only when the number of queues passes a power of two.
    """
    rounded = 1 << max(0, queues - 1).bit_length()
    return max(min(window, LEAST_WINDOW), min(window, FULL_WINDOWS * window // rounded))
