"""The run markers that a worker holds, by key and token.

A later token under a key that is held is the task's next attempt: the commit of the last one was applied, and the task
came back, before we were told. A listing may be older than what has left us while it came; that is remembered.
"""

from collections.abc import Sequence

from core.kv.requests import Change, Kv


class Held:
    def __init__(self) -> None:
        self._tokens: dict[str, int] = {}  # key -> newest token
        self._listings = 0  # under way
        self._settled: dict[str, int] = {}  # key -> token of what left us meanwhile

    @property
    def listing(self) -> bool:
        """Whether a listing is under way."""
        return self._listings > 0

    def __len__(self) -> int:
        return len(self._tokens)

    def token(self, key: str) -> int:
        """0 where it is not held."""
        return self._tokens.get(key, 0)

    def is_new(self, kv: Kv | Change) -> bool:
        """Whether this is not a marker that is held already."""
        return self._tokens.get(kv.key, 0) < kv.mod_revision

    def take(self, kv: Kv | Change) -> None:
        self._tokens[kv.key] = kv.mod_revision

    def drop(self, key: str) -> None:
        """It was never begun."""
        del self._tokens[key]

    def let_go(self, key: str, token: int) -> None:
        """It has left run/, unless its next attempt is here already."""
        if self._tokens.get(key) == token:
            del self._tokens[key]
        if self._listings:
            self._settled[key] = token

    def listing_asked(self) -> None:
        self._listings += 1

    def listed(self, kvs: Sequence[Kv]) -> list[Kv]:
        """A listing, but for what has left us since it was asked for."""
        self._listings -= 1
        settled = self._settled
        if not self._listings:
            self._settled = {}
        return [kv for kv in kvs if settled.get(kv.key) != kv.mod_revision]
