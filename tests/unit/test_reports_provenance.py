"""Every number of the report knows where it comes from, and one that does not is found."""

import html
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from reports import language, numbers, prose, provenance, render
from reports.composing import compose
from reports.drawing import FIGURES
from reports.estimate import Estimate
from reports.markdown import escape
from reports.provenance import Known, Ledger, Source, keeping, sourced, strip, unsourced
from reports.runs import Runs, load_runs
from tests.unit.reports_synthetic import WHOLE, write_runs

A, B = Source("one/metrics.json", "real.throughput_per_s"), Source("two/metrics.json", "sim.throughput_per_s")
SKIPPED = {"code", "math", "nav", "style", "script", "svg", "title"}


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with keeping(Ledger(lambda file: f"commit of {file}")) as kept:
        yield kept


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return load_runs(write_runs(tmp_path_factory.mktemp("runs"), WHOLE, repetitions=2))


def test_arithmetic_joins_the_sources() -> None:
    one, two = Known(10.0, A), Known(4.0, B)
    for found, value in ((one / two, 2.5), (one - two, 6.0), (2 * one, 20.0), (1 / two, 0.25), (abs(two - one), 6.0)):
        assert isinstance(found, Known)
        assert found == value
    assert (one / two).sources == (A, B)
    assert (one * one).sources == (A,)
    assert (1000 - two).sources == (B,)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (lambda: numbers.number(Known(29.666, A)), "29.7"),
        (lambda: numbers.integer(Known(10_000, A)), "10,000"),
        (lambda: numbers.plain(Known(0.05, A)), "0.05"),
        (lambda: numbers.percent(Known(0.987, A)), "98.7\xa0%"),
        (lambda: numbers.signed_percent(Known(-0.021, A)), "\N{MINUS SIGN}2.1\xa0%"),
        (lambda: numbers.duration(Known(0.0032, A)), "3.20\xa0ms"),
        (lambda: numbers.interval(Estimate(Known(2.0, A), Known(1.0, A), Known(3.0, A), 5)), "2.00\xa0[1.00,\xa03.00]"),
        (lambda: numbers.count_of(Estimate(Known(2.0, A), n=5)), "5"),
        (lambda: numbers.milliseconds(Estimate(Known(1e-7, A), n=1)), "<\xa00.0100"),
    ],
)
def test_what_is_printed_of_a_known_number_is_listed(shown: object, text: str, ledger: Ledger) -> None:
    assert callable(shown)
    marked = shown()
    assert strip(marked) == text
    assert marked != text
    source = {"file": A.file, "key": A.key, "commit": "commit of one/metrics.json"}
    assert ledger.rows() == [{"text": text, "sources": [source]}]
    assert unsourced(marked, ()) == []


def test_outside_a_report_text_is_plain() -> None:
    assert numbers.number(Known(29.666, A)) == "29.7"
    assert sourced("n = 3", A) == "n = 3"


@pytest.mark.usefixtures("ledger")
def test_a_number_without_a_source_is_found() -> None:
    text = (
        f"All {numbers.number(3.14159)} of {numbers.number(Known(2.5, A))} at p99, THR-1, 95 % of `scaling-10`, `42`."
    )
    found = unsourced(text, prose.ALLOWED)
    assert "All 3.14 of" in found[0]
    assert "`42`" in found[1]
    assert len(found) == 2


def test_marks_become_spans_that_tell_the_source(ledger: Ledger) -> None:
    text = (
        f"{escape(numbers.interval(Estimate(Known(2.0, A), Known(1.0, A), Known(3.0, A), 5)))} `{sourced('abc1', B)}`"
    )
    spans = ledger.spans(text)
    assert f'[2.00\xa0\\[1.00,\xa03.00\\]]{{.sourced title="{A}"}}' in spans
    assert f'[`abc1`]{{.sourced title="{B}"}}' in spans
    assert strip(spans) == spans


def _composed(runs: Runs) -> tuple[str, Ledger]:
    with keeping(Ledger()) as kept:
        return compose(runs, set(FIGURES)), kept


def test_every_number_of_the_text_has_a_source_or_a_reason(runs: Runs) -> None:
    text, kept = _composed(runs)
    assert len(kept.rows()) > 500
    assert unsourced(text, prose.ALLOWED) == []
    assert len(unsourced(text.replace("Methods", "Methods 42", 1), prose.ALLOWED)) == 1


@pytest.mark.parametrize("lang", [lang for lang in language.LANGUAGES if lang != "en"])
def test_a_translation_has_no_number_that_its_text_has_not(lang: language.Language) -> None:
    """So that what is found in the English text holds for the other editions."""
    with language.catalogue_path(lang).open("rb") as file:
        messages = [one for one in read_po(file) if one.id and one.string and not _of_claims(one)]
    wrong = []
    for one in messages:
        texts = [one.id] if isinstance(one.id, str) else list(one.id)
        string = one.string if isinstance(one.string, str) else (one.string or [""])[0]
        if not any(_figures(string) <= _figures(text) for text in texts):
            wrong.append((texts[0], string))
    assert len(messages) > 100
    assert wrong == []


def _of_claims(message: Message) -> bool:
    """The claims' statements are read from claims.json and marked as a whole."""
    return all("claims" in file for file, _ in message.locations)


def _figures(text: str) -> set[str]:
    """The numbers of a message outside code, formulas and fields."""
    rest = re.sub(r"`[^`]*`|\$[^$]*\$|\{\w*\}|%\(\w+\)s|@\w+:[\w-]+", " ", text)
    return set(re.findall(r"(?<![A-Za-z\d])\d[\d.,]*\d|(?<![A-Za-z\d])\d", rest))


def test_every_reason_is_needed(runs: Runs) -> None:
    """What the report prints no longer must not stay allowed."""
    text, _ = _composed(runs)
    built_later = "cross references"
    unused = [reason for pattern, reason in prose.ALLOWED if not pattern.search(text) and built_later not in reason]
    assert unused == []


class _Text(HTMLParser):
    """The text of a page outside code, formulas, navigation and numbers with a source."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._stack: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"img", "br", "hr", "meta", "link", "col", "input"}:
            return
        classes = (dict(attrs).get("class") or "").split()
        self._stack.append(tag in SKIPPED or "sourced" in classes or (bool(self._stack) and self._stack[-1]))

    def handle_endtag(self, tag: str) -> None:
        if self._stack and tag not in {"img", "br", "hr", "meta", "link", "col", "input"}:
            self._stack.pop()

    def handle_data(self, data: str) -> None:
        self.found.append(" " if self._stack and self._stack[-1] else data)


def test_every_number_of_the_page_has_a_source_or_a_reason(runs: Runs, tmp_path: Path) -> None:
    with keeping(Ledger()) as kept:
        source = compose(runs, set())
    page = render.to_html(render.Pages(kept.spans(source), render.Title("Title", "", "undated"), tmp_path, "figures"))
    parser = _Text()
    parser.feed(re.sub(r"<h(\d)([^>]*)>\d[\d.]* ", r"<h\1\2>", page))  # the numbers of the headings
    text = html.unescape("".join(parser.found))
    assert "agreement" in text
    assert unsourced(text, prose.ALLOWED) == []
    assert page.count('class="sourced"') > 500
    assert not re.search("[\ue000-\ue019]", page)


def test_the_sources_are_keys_of_the_files(runs: Runs) -> None:
    _, kept = _composed(runs)
    for row in kept.rows():
        for source in row["sources"]:
            assert list(runs.root.glob(source["file"])), source


def test_a_derived_number_has_the_sources_of_what_it_was_computed_from() -> None:
    found = provenance.derived(3.0, Known(1.0, A), 2.0, Known(2.0, B))
    assert (found, found.sources) == (3.0, (A, B))
