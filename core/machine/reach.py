"""How far ahead a page of ready/ may look.

etcd visits every key of the range that a read names, also where the limit cuts the answer: a page of 4096 out of a
million costs it a million steps. So a page names an end that is likely to lie some 4096 keys ahead. Ids are ordered by
time and come at some rate, hence the guess: as far as the page before had to go for as many keys. A page that brings
less than it may makes the next one look further, one that was cut by the limit makes it look less far.

Nothing depends on the guess being good. It says how far to look; what lies there is read in any case, and who has
read up to the end of a page goes on from there.
"""

from collections.abc import Sequence

from core.kv import keys
from core.kv.requests import Kv

_ID_DIGITS = 32
_IDS = 1 << 4 * _ID_DIGITS  # how many there are in one priority
WIDEN_MOST = 8
"""A page without any key makes the next one look this much further. A dozen of them cross from the last id of a burst
into the next priority, and behind a gap in time at most this many times the length of the gap is visited. With 2 there
are many pages in a row without a key, with 16 twice as many visits where tasks come in bursts."""


class Reach:
    """For the ready keys of one queue, in pages of at most `limit` keys."""

    def __init__(self, queue: str, limit: int) -> None:
        self._prefix = keys.ready_queue(queue)
        self.limit = limit
        self._distance: int | None = None  # on the line of `_place`; None: nothing is known, so look at everything

    def until(self, after: str) -> str:
        """The last key that the page after `after` should look at; "" for the end of the queue."""
        place = self._place(after)
        if place is None or self._distance is None:
            return ""
        priority, number = divmod(place + self._distance, _IDS)
        if priority > 9:  # a priority is one digit
            return ""
        until = f"{self._prefix}{priority}/{number:0{_ID_DIGITS}x}"
        return until if until > after else ""  # keys that are not ours may stand anywhere

    def read(self, kvs: Sequence[Kv], until: str, *, cut: bool) -> None:
        """A page up to `until` brought these; `cut`: there were more than its limit."""
        if cut and kvs:
            self._distance = self._spread(kvs)
        elif until and self._distance is not None:
            self._distance *= min(WIDEN_MOST, max(1, self.limit // len(kvs))) if kvs else WIDEN_MOST

    def _spread(self, kvs: Sequence[Kv]) -> int | None:
        """The distance over which as many keys as the limit lie, if all lie as close as these."""
        first, last = self._place(kvs[0].key), self._place(kvs[-1].key)
        if first is None or last is None or last <= first:
            return None
        return (last - first) * self.limit // (len(kvs) - 1)

    def _place(self, key: str) -> int | None:
        """Where a key stands on the line of all priorities and ids; None where it is not ours."""
        priority, _, number = key[len(self._prefix) :].partition("/")
        try:
            return int(priority or "0") * _IDS + int(number.ljust(_ID_DIGITS, "0")[:_ID_DIGITS], 16)
        except ValueError:
            return None
