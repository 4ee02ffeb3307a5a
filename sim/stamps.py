"""The moments that components write down, in arrays.

A row says: at these seconds (columns as in `TRACE_COLUMNS`) this component saw this attempt of this task. As tuples in
tuples, the six rows of a task would take more than a kilobyte; here they take 120 bytes.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from core.machine.messages import TRACE_COLUMNS

Row = tuple[str, int, tuple[float, ...]]
"""(id, attempt, seconds)."""

_PENDING = 2048
"""Rows are put into the arrays this many batches at a time, which costs less for each."""


class _Kind:
    """All rows of one kind, in the order in which they came."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.pending: list[tuple[int, Sequence[Row]]] = []
        self.numbers = array("I")
        self.attempts = array("H")
        self.components = array("H")
        self.seconds = array("d")

    def settle(self, numbers: Mapping[str, int]) -> None:
        pending = self.pending
        rows = [row for _, batch in pending for row in batch]
        self.components.extend([component for component, batch in pending for _ in batch])
        self.numbers.extend([numbers[row[0]] for row in rows])
        self.attempts.extend([row[1] for row in rows])
        self.seconds.extend([at for row in rows for at in row[2]])
        pending.clear()


class Stamps:
    """Iterates over (component, kind, rows), kind by kind; rows of one kind are in the order in which they came.

    `numbers`: position of each task by its id, in order.
    """

    def __init__(self, numbers: Mapping[str, int]) -> None:
        self._numbers = numbers
        self._kinds = {kind: _Kind(len(columns)) for kind, columns in TRACE_COLUMNS.items()}
        self._components: dict[str, int] = {}

    def add(self, component: str, kind: str, rows: Sequence[Row]) -> None:
        place = self._components.setdefault(component, len(self._components))
        pending = self._kinds[kind].pending
        pending.append((place, rows))
        if len(pending) == _PENDING:
            self._kinds[kind].settle(self._numbers)

    def __iter__(self) -> Iterator[tuple[str, str, list[Row]]]:
        names = list(self._components)
        ids = list(self._numbers)
        for kind, kept in self._kinds.items():
            kept.settle(self._numbers)
            numbers, attempts, seconds, width = kept.numbers, kept.attempts, kept.seconds, kept.width
            for place, group in groupby(range(len(numbers)), kept.components.__getitem__):
                rows: list[Row] = [
                    (ids[numbers[at]], attempts[at], tuple(seconds[at * width : (at + 1) * width])) for at in group
                ]
                yield names[place], kind, rows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stamps) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]
