"""The first ready markers of every queue, where there may be a million keys and a thousand queues.

etcd visits every key of the range that a read names, whatever the limit, and has no way to ask for the next queue. So
behind a queue that was cut we look a little further, then further again: first among the names that differ from it in
the last letter, then in the last but one, and so on. What is held shrinks with the number of queues as they are found.
"""

from collections.abc import Generator

from core.kv import keys
from core.kv.requests import Found, Get, Kv, Request, Response
from core.machine.messages import QueuePage
from core.policy.room import queue_window
from core.procedure.base import read

_FEW = 20_000
"""Keys that etcd visits in some 2 ms: looking at all that is left is then better than several small steps."""
_LEAST_PAGE = 256
_STEPS = (1, 8)
"""In letters. Ten digits are two steps, the alphabet a few."""
_END = keys.prefix_end(keys.READY)


def list_queues(found: Found, revision: int, window: int) -> Generator[Request, Response, tuple[QueuePage, ...]]:
    """`found` is a read of all of ready/ at `revision` with the limit `window`."""
    left = found.count
    pages: list[QueuePage] = []
    share, end = window, _END
    ends: list[str] = []
    while True:
        _split(found, share, pages)
        left -= len(found.kvs)
        fair = queue_window(window, len(pages))
        if fair < share:
            share = fair
            pages = [_trimmed(page, share) for page in pages]
        if found.more:
            last = pages[-1].queue
            start = keys.prefix_end(keys.ready_queue(last))
            ends = _ends(last) if left > _FEW else [_END]
        elif end < _END:
            start = end
        else:
            return tuple(pages)
        end = ends.pop(0)
        found = yield from read(Get(start, end, min(window, max(share, _LEAST_PAGE)), revision))


def _ends(queue: str) -> list[str]:
    """Ever further ends of ranges behind a queue."""
    if not keys.is_name(queue):
        return [_END]
    ends: list[str] = []
    for at in range(len(queue) - 1, -1, -1):
        ends += [f"{keys.READY}{queue[:at]}{chr(ord(queue[at]) + step)}" for step in _STEPS]
    return [*ends, _END]


def _split(ready: Found, share: int, pages: list[QueuePage]) -> None:
    """Sort a page of ready/ into its queues; the limit may have cut the last one."""
    queues: dict[str, list[Kv]] = {}
    for kv in ready.kvs:
        queues.setdefault(kv.key.split("/", 2)[1], []).append(kv)
    new = [QueuePage(queue, tuple(kvs), more=False) for queue, kvs in queues.items()]
    if ready.more:
        new[-1] = new[-1]._replace(more=True)
    pages += [_trimmed(page, share) for page in new]


def _trimmed(page: QueuePage, share: int) -> QueuePage:
    return page if len(page.kvs) <= share else QueuePage(page.queue, page.kvs[:share], more=True)
