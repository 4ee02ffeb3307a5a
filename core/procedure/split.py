"""Batches that are sent in pieces: whole first, in halves where etcd says it is too much."""

from collections.abc import Iterable, Sequence

from core.kv.requests import Reason, Refused


class Pieces:
    """A stack of index lists still to be sent."""

    def __init__(self, indices: Iterable[int]) -> None:
        whole = list(indices)
        self._stack: list[list[int]] = [whole] if whole else []

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
