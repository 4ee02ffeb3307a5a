"""Where every printed number comes from: a number knows its sources, and text made from it carries them along.

    Known         a float with the files and keys it was read from; arithmetic joins the sources of its operands
    sourced       text that stands for known numbers, between marks that no reader ever sees
    Ledger        the list of all of them, written as numbers.json beside the report
    unsourced     the numbers of a text that stand outside any mark and are no constant of the prose

Marks exist only while a ledger is kept (`keeping`): elsewhere, as in figures and notebooks, text is plain.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self

OPEN, MIDDLE, CLOSE = "\ue000", "\ue001", "\ue002"
"""Characters of a private-use area: `OPEN number MIDDLE text CLOSE`, the number in digits of its own."""
_OWN_DIGITS = str.maketrans("0123456789", "".join(chr(0xE010 + digit) for digit in range(10)))
_PLAIN_DIGITS = {ord(own): str(digit) for digit, own in enumerate("".join(chr(0xE010 + digit) for digit in range(10)))}
_MARK = re.compile(f"{OPEN}([\ue010-\ue019]*){MIDDLE}|{CLOSE}")
_MARKED = re.compile(f"{OPEN}([\ue010-\ue019]*){MIDDLE}([^{OPEN}{CLOSE}]*){CLOSE}")
_ESCAPED = re.compile(r"\\(.)")
_CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
SHOWN_SOURCES = 3
"""More sources than these are counted in the HTML's tooltip; numbers.json has all."""


@dataclass(frozen=True, slots=True)
class Source:
    """A key in a file; the path is relative to the folder of runs."""

    file: str
    key: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}"


class Known(float):
    """A number that knows where it comes from. What is computed from known numbers has the sources of all of them."""

    __slots__ = ("sources",)
    sources: tuple[Source, ...]

    def __new__(cls, value: float, *sources: Source) -> Self:
        self = super().__new__(cls, value)
        self.sources = sources
        return self

    def __add__(self, other: float, /) -> "Known":
        return derived(float(self) + float(other), self, other)

    def __sub__(self, other: float, /) -> "Known":
        return derived(float(self) - float(other), self, other)

    def __mul__(self, other: float, /) -> "Known":
        return derived(float(self) * float(other), self, other)

    def __truediv__(self, other: float, /) -> "Known":
        return derived(float(self) / float(other), self, other)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: float, /) -> "Known":
        return derived(float(other) - float(self), other, self)

    def __rtruediv__(self, other: float, /) -> "Known":
        return derived(float(other) / float(self), other, self)

    def __abs__(self) -> "Known":
        return Known(abs(float(self)), *self.sources)


def sources_of(*values: Any) -> tuple[Source, ...]:
    """The sources of all the known numbers among `values`, each once."""
    found = (source for value in values if isinstance(value, Known) for source in value.sources)
    return tuple(dict.fromkeys(found))


def derived(value: float, *inputs: Any) -> Known:
    """A number computed from `inputs` by other means than arithmetic on them."""
    return Known(value, *sources_of(*inputs))


class Ledger:
    """What was printed, and from where. `commit_of` tells the commit that the runs in a file were made from."""

    def __init__(self, commit_of: Callable[[str], str | None] = lambda _: None) -> None:
        self._commit_of = commit_of
        self._numbers: dict[tuple[str, tuple[Source, ...]], int] = {}

    def mark(self, text: str, sources: tuple[Source, ...]) -> str:
        """`text` between marks that lead to its sources."""
        number = self._numbers.setdefault((text, sources), len(self._numbers))
        return f"{OPEN}{str(number).translate(_OWN_DIGITS)}{MIDDLE}{text}{CLOSE}"

    def rows(self) -> list[dict[str, Any]]:
        """The list as numbers.json has it."""
        return [
            {
                "text": _ESCAPED.sub(r"\1", text),
                "sources": [{"file": one.file, "key": one.key, "commit": self._commit_of(one.file)} for one in sources],
            }
            for text, sources in self._numbers
        ]

    def spans(self, markdown: str) -> str:
        """Marks as spans with a tooltip, for the HTML; code cannot hold a span."""
        known = [(sources, number) for (_, sources), number in self._numbers.items()]
        tips = {number: _tip(sources) for sources, number in known}

        def span(found: re.Match[str]) -> str:
            number = int(found.group(1).translate(_PLAIN_DIGITS))
            return f'[{found.group(2)}]{{.sourced title="{tips[number]}"}}' if found.group(2) else ""

        return _MARKED.sub(span, _CODE.sub(_span_around, markdown))


def _tip(sources: tuple[Source, ...]) -> str:
    shown = "; ".join(str(source).replace('"', "'") for source in sources[:SHOWN_SOURCES])
    return shown + (f"; +{len(sources) - SHOWN_SOURCES}" if len(sources) > SHOWN_SOURCES else "")


def _span_around(found: re.Match[str]) -> str:
    """A mark inside a piece of code, put around the code."""
    inner = _MARKED.fullmatch(found.group(2))
    if inner is None:
        return strip(found.group(0))
    fence = found.group(1)
    return f"{OPEN}{inner.group(1)}{MIDDLE}{fence}{inner.group(2)}{fence}{CLOSE}"


_kept: ContextVar[Ledger | None] = ContextVar("ledger", default=None)


@contextmanager
def keeping(ledger: Ledger) -> Iterator[Ledger]:
    """List in `ledger` what is printed inside the block."""
    token = _kept.set(ledger)
    try:
        yield ledger
    finally:
        _kept.reset(token)


def sourced(text: str, *origins: Known | Source | float | None) -> str:
    """`text`, marked with its sources while a ledger is kept; unmarked where no origin knows any."""
    ledger = _kept.get()
    direct = tuple(one for one in origins if isinstance(one, Source))
    sources = tuple(dict.fromkeys((*direct, *sources_of(*origins))))
    return ledger.mark(text, sources) if ledger and sources else text


def strip(text: str) -> str:
    """The text without marks."""
    return _MARK.sub("", text)


def unsourced(text: str, allowed: tuple[tuple[re.Pattern[str], str], ...]) -> list[str]:
    """The numbers that stand outside marks, each with what surrounds it.

    `allowed`: patterns of what may stand there, with the reason why. A digit that follows a letter is part of a name.
    """
    rest = _MARKED.sub("", text)
    for pattern, _ in allowed:
        rest = pattern.sub(" ", rest)
    return [
        rest[max(found.start() - 40, 0) : found.end() + 20].replace("\n", " ")
        for found in re.finditer(r"(?<![A-Za-z\d])\d[\d.,]*", rest)
    ]
