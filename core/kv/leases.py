"""The leases of the fake etcd: which there are, how long they last, which keys each of them holds."""

import math
from collections.abc import Iterator

from core.kv.requests import Granted

MIN_TTL_S = 2.0
"""What etcd makes of shorter wishes at its default election timeout of 1 s."""


class _Lease:
    __slots__ = ("expires_s", "keys", "ttl_s")

    def __init__(self, ttl_s: float, expires_s: float) -> None:
        self.ttl_s = ttl_s
        self.expires_s = expires_s
        self.keys: set[str] = set()


class Leases:
    """By number. `min_ttl_s` is what shorter wishes become."""

    __slots__ = ("_last", "_leases", "_min_ttl_s")

    def __init__(self, min_ttl_s: float) -> None:
        self._min_ttl_s = min_ttl_s
        self._leases: dict[int, _Lease] = {}
        self._last = 0

    def __contains__(self, lease: int) -> bool:
        return lease in self._leases

    def grant(self, ttl_s: float, now_s: float) -> Granted:
        granted_s = float(math.ceil(max(ttl_s, self._min_ttl_s)))
        self._last += 1
        self._leases[self._last] = _Lease(granted_s, now_s + granted_s)
        return Granted(self._last, granted_s)

    def attach(self, lease: int, key: str) -> None:
        self._leases[lease].keys.add(key)

    def detach(self, lease: int, key: str) -> None:
        self._leases[lease].keys.discard(key)

    def keys_of(self, lease: int) -> list[str]:
        """In key order."""
        return sorted(self._leases[lease].keys)

    def end(self, lease: int) -> None:
        del self._leases[lease]

    def keep_alive(self, lease: int, now_s: float) -> float:
        """Renew a lease; its TTL in seconds, or 0 where it is gone or past its end."""
        held = self._leases.get(lease)
        if held is None or held.expires_s <= now_s:
            return 0.0
        held.expires_s = now_s + held.ttl_s
        return held.ttl_s

    def over(self, now_s: float) -> list[int]:
        """Leases whose time is over, oldest first."""
        times = sorted((held.expires_s, lease) for lease, held in self._leases.items() if held.expires_s <= now_s)
        return [lease for _, lease in times]

    def extend(self, now_s: float) -> None:
        """Restart the time of every lease."""
        for held in self._leases.values():
            held.expires_s = now_s + held.ttl_s

    def next_expiry(self) -> float | None:
        """When the next lease ends if nobody renews it."""
        return min((held.expires_s for held in self._leases.values()), default=None)

    def held(self) -> Iterator[tuple[int, str]]:
        """(lease, key) of all keys held."""
        return ((lease, key) for lease, held in self._leases.items() for key in held.keys)
