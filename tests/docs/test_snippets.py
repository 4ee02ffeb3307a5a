"""The examples in the pages do what the pages show: Python, commands and scenario files, in the order of the page.

A page's Python runs in one namespace, against a running `tandem up`; a block that begins with `# name.py` is a file in
its folder, and an `app` in it gives the workers their handlers. What a line prints stands behind it as a comment.
Of the commands, `tandem submit`, `status` and `task` are run, and what is printed under them is compared; ids of tasks
are those of the run, and numbers may differ. `<!-- skip: next -->` leaves a block alone.
"""

import contextlib
import io
import re
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sybil import Document, Example
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser
from typer.testing import CliRunner

import core.cli
from core.settings import Config
from experiments import scenario
from experiments.overrides import of_model
from experiments.schema import Fault
from tests.docs.pages import ROOT
from tests.docs.test_commands import words_of
from tests.up import Up

PAGES = ["README.md", "docs/tutorial.md", "docs/scenarios.md", "docs/troubleshooting.md", "docs/architecture.md"]
RUN = {"submit", "status", "task"}
COLUMNS = "100"
TASK_ID = re.compile(r"\b[0-9a-f]{32}\b")
FILE = re.compile(r"# (\w+\.py)\n")
SHOWN = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
_python = PythonEvaluator()


def run_python(example: Example) -> str | None:
    """What it prints must be what the comments behind its `print` lines say; `...` stands for anything."""
    source = str(example.parsed)
    if FILE.match(source):
        return None  # it was written before the page began
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        _python(example)
    shown = SHOWN.findall(source)
    lines = printed.getvalue().splitlines()
    for expected, line in zip(shown, lines, strict=False):
        if not re.fullmatch(re.escape(expected).replace(r"\.\.\.", ".*"), line):
            return f"{expected!r} was promised, {line!r} printed"
    return None if len(shown) == len(lines) else f"{len(shown)} lines were promised, printed was: {lines}"


def run_console(example: Example) -> str | None:
    """Run those of the block's commands that may be run, and compare what they print."""
    ids: dict[str, str] = example.namespace.setdefault("_ids", {})
    for part in re.split(r"^\$ ", str(example.parsed), flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        words = words_of(command)
        if words[0] != "tandem" or words[1] not in RUN:
            continue
        arguments = [TASK_ID.sub(lambda match: ids.get(match[0], match[0]), word) for word in words[1:]]
        result = CliRunner().invoke(core.cli.app, arguments, env={"COLUMNS": COLUMNS}, catch_exceptions=False)
        ids.update(zip(TASK_ID.findall(shown), TASK_ID.findall(result.output), strict=False))
        if not matches(shown, result.output):
            return f"$ {command}\nis shown with\n{shown}\nbut prints\n{result.output}"
    return None


def matches(shown: str, printed: str) -> bool:
    """Lines may come in another order (a terminal mixes two streams), and a line `...` stands for any others."""
    promised, found = Counter(shape(shown)), Counter(shape(printed))
    return promised <= found if promised.pop("...", 0) else promised == found


def shape(printed: str) -> list[str]:
    """What is printed, without what differs from run to run: numbers, ids, this machine's name, widths of tables."""
    text = re.sub(r"\b[0-9a-f]{12,}\b", "ID", printed.replace(socket.gethostname(), "laptop"))
    text = re.sub(r"[\u2500-\u257f]+", " ", text)  # the lines of tables
    text = re.sub(r"\d[\d.,:-]*", "N", text)
    return [line for line in (" ".join(line.split()) for line in text.splitlines()) if line]


def read_toml(example: Example) -> str | None:
    """A scenario or a settings file must be accepted, and so must the tables of one."""
    source = str(example.parsed)
    if re.search(r"^name = ", source, re.MULTILINE):
        file = Path(f"example-{example.line}.toml")
        file.write_text(source)
        scenario.load(file)
    elif re.search(r"^\[(scheduler|worker|client)\]", source, re.MULTILINE):
        msgspec.toml.decode(source, type=Config)
    else:
        tables = msgspec.toml.decode(source)
        msgspec.convert(tables.pop("faults", []), list[Fault])
        of_model(tables.pop("model", {}))
        assert set(tables) <= {"quick"}, f"nobody checks {[*tables]}"
    return None


def parse(page: str) -> Document:
    parsers: list[Any] = [
        SkipParser(),
        CodeBlockParser("python", run_python),
        CodeBlockParser("console", run_console),
        CodeBlockParser("toml", read_toml),
    ]
    return Document.parse(str(ROOT / page), *parsers)


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """A `tandem up` in a folder of its own, with the handlers of the files that the pages show."""
    with tempfile.TemporaryDirectory(prefix="tandem-test-") as name:
        apps = []
        for source in (str(example.parsed) for page in PAGES for example in parse(page)):
            if match := FILE.match(source):
                file = Path(name) / match[1]
                assert not file.exists(), f"two pages show {file.name}"
                file.write_text(source)
                apps += [f"{file.stem}:app"] if re.search(r"^app = ", source, re.MULTILINE) else []
        (app,) = apps
        running = Up(Path(name), "--workers", "2", "--slots", "25", "--app", app)
        try:
            running.wait(workers=2)
            yield running
        finally:
            running.close()


@pytest.mark.parametrize("page", PAGES)
def test_examples(page: str, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(up.folder))  # where a running `tandem up` is looked for
    monkeypatch.chdir(up.folder)
    for variable in ("TANDEM_ETCD_ENDPOINTS", "TANDEM_NAMESPACE"):
        monkeypatch.delenv(variable, raising=False)
    for example in parse(page):
        example.evaluate()
