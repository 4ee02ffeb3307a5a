"""Batches that are sent in pieces: whole first, in halves where etcd says it is too much.

etcd refuses a transaction that writes one key twice, so items about the same task never share a piece.
"""

from collections import Counter
from collections.abc import Hashable, Sequence

from core.kv.requests import Reason, Refused


class Pieces:
    """A stack of lists of indices into `ids` still to be sent; `ids` are those of the items' tasks."""

    def __init__(self, ids: Sequence[Hashable]) -> None:
        if len(ids) == 1 or len(set(ids)) == len(ids):
            self._stack = [list(range(len(ids)))] if ids else []
        else:
            self._stack = _layers(ids)[::-1]

    def next(self) -> list[int]:
        """The next piece, empty at the end."""
        return self._stack.pop() if self._stack else []

    def again(self, piece: Sequence[int]) -> None:
        """Send this piece (or what is left of it) again."""
        if piece:
            self._stack.append(list(piece))

    def split(self, piece: Sequence[int], refused: Refused) -> bool:
        """Halve a piece that was too much; False where that is not why, or one item alone is too much."""
        if refused.reason not in (Reason.TOO_LARGE, Reason.TOO_MANY_OPERATIONS) or len(piece) <= 1:
            return False
        half = len(piece) // 2
        self._stack.append(list(piece[half:]))
        self._stack.append(list(piece[:half]))
        return True


def _layers(ids: Sequence[Hashable]) -> list[list[int]]:
    """First what comes for the first time, then what comes for the second time, and so on."""
    layers: list[list[int]] = []
    seen: Counter[Hashable] = Counter()
    for index, task_id in enumerate(ids):
        if seen[task_id] == len(layers):
            layers.append([])
        layers[seen[task_id]].append(index)
        seen[task_id] += 1
    return layers
