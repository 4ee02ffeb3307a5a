"""A `Get` of many keys, asked page by page at the revision of the first page."""

import time
from collections.abc import Callable
from typing import Protocol

from core.kv.requests import Found, Get, Kv, Reason, Refused, Response

PAGE_KEYS = 10_000
"""Keys asked for in one message. Markers are some 300 bytes, so a page stays far below the receive limit."""


class Ask(Protocol):
    """Sends one `Get` as it is; the answer comes once, on any thread."""

    def __call__(self, request: Get, reply: Callable[[Response], None], timeout_s: float) -> None: ...


class Pages:
    """One `Get` and what was found of it so far."""

    def __init__(self, send: Ask, get: Get, reply: Callable[[Response], None], timeout_s: float) -> None:
        self._send = send
        self._get = get
        self._reply = reply
        self._deadline = time.monotonic() + timeout_s
        self._page = PAGE_KEYS
        self._revision = get.revision
        self._from = get.key
        self._kvs: list[Kv] = []
        self._first: Found | None = None

    def ask(self) -> None:
        """Ask for the next page."""
        get = self._get
        left = get.limit - len(self._kvs) if get.limit else self._page
        rest = Get(self._from, get.end, min(left, self._page), self._revision, get.keys_only, get.count_only)
        self._send(rest, self._take, max(self._deadline - time.monotonic(), 0.001))

    def _take(self, answer: Response) -> None:
        if isinstance(answer, Refused) and answer.reason is Reason.TOO_LARGE and self._page > 1:
            self._page //= 8
            self.ask()
            return
        if not isinstance(answer, Found):
            self._reply(answer)
            return
        first = self._first = self._first or answer
        self._kvs += answer.kvs
        if answer.more and answer.kvs and len(self._kvs) != self._get.limit:
            self._revision = self._revision or answer.revision
            self._from = answer.kvs[-1].key + "\0"
            self.ask()
            return
        self._reply(Found(tuple(self._kvs), first.revision, answer.more, first.count))
