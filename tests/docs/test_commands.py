"""Every command that the pages show exists, with these options: read by the programs' own parsers, without running."""

import importlib
import importlib.util
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import core.cli
import experiments.cli
from experiments import scenario
from tests.docs.pages import PAGES, PROGRAMS, ROOT, code_words, name_of, shell_lines

APPS = {"tandem": core.cli.app, "tandem-bench": experiments.cli.app}
ENDS = {"|", "||", "&&", ";", "&", ">", ">>", "2>", "2>&1"}
TIMEOUT_S = 10.0
UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]  # of the Click in typer, without a public name


def words_of(command: str) -> list[str]:
    """The words of the first program in a line of shell."""
    words = shlex.split(command, comments=True)
    return words[: next((index for index, word in enumerate(words) if word in ENDS), len(words))]


def mistake_in(command: str) -> str | None:
    """What is wrong with a command; None where nothing is. An abbreviated one (`...`) may lack what is required."""
    program, *arguments = words_of(command)
    if program == "make":
        return mistake_of_make(arguments)
    if program == "python":
        return mistake_of_module(arguments[1], arguments[2:])
    return mistake_of_app(APPS[program], program, arguments)


def mistake_of_app(app: typer.Typer, name: str, arguments: list[str]) -> str | None:
    known = typer.main.get_command(app)
    try:
        context = known.make_context(name, arguments)
        if isinstance(known, TyperGroup):
            chosen, command, rest = known.resolve_command(context, [*context._protected_args, *context.args])
            assert command is not None
            command.make_context(chosen, rest, parent=context)
    except typer.Exit:  # --help
        return None
    except UsageError as error:
        return str(error.format_message())
    return None


def mistake_of_module(module: str, arguments: list[str]) -> str | None:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return f"there is no module {module}"
    if not re.search(r"^app = ", Path(spec.origin).read_text(), re.MULTILINE):
        return None  # importing takes seconds, and would tell nothing
    return mistake_of_app(importlib.import_module(module).app, module, arguments)


def mistake_of_make(arguments: list[str]) -> str | None:
    makefile = (ROOT / "Makefile").read_text()
    for variable in [word.partition("=")[0] for word in arguments if "=" in word]:
        if not re.search(rf"\$\(({variable}\)|if \$\({variable}\))|\$\${variable}\b", makefile):
            return f"the Makefile does not use {variable}"
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.stderr.strip() if done.returncode else None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_blocks_can_be_typed(page: Path) -> None:
    wrong = [
        f"line {line}: {command}: {mistake}"
        for command, line in shell_lines(page)
        if (mistake := mistake_in(command)) is not None
    ]
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_the_text_exist(page: Path) -> None:
    """They may be cut short: what is required may be missing, and `...` stands for anything."""
    wrong = []
    for command, line in code_words(page):
        if not PROGRAMS.match(command):
            continue
        mistake = mistake_in(command.replace("...", "")) or ""
        if mistake and not mistake.startswith(("Missing ", "Option '--", "Option '-")):
            wrong.append(f"line {line}: {command}: {mistake}")
    assert not wrong


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("tandem sumbit --type echo", "No such command 'sumbit'"),
        ("tandem submit --typ echo", "No such option"),
        ("tandem submit --priority 10", "is not in the range"),
        ("tandem-bench run burst", "Missing option '--out'"),
        ("make reprot", "reprot"),
        ("make bench BACKLOGS=5", "BACKLOGS"),
        ("python -m experiments.reprot", "no module"),
        ("python -m experiments.benchmarks --uot DIR", "No such option"),
    ],
)
def test_a_mistake_is_found(command: str, words: str) -> None:
    assert words in (mistake_in(command) or "")


def epilogs(app: typer.Typer) -> list[str]:
    """What the help of a program and of its commands ends with, as it is written."""
    texts = [app.info.epilog, *(command.epilog for command in app.registered_commands)]
    return [text for text in texts if isinstance(text, str)]


@pytest.mark.parametrize("program", sorted(APPS))
def test_commands_in_the_help_can_be_typed(program: str) -> None:
    commands = [found for text in epilogs(APPS[program]) for found in re.findall(r"`([^`]+)`", text)]
    assert len(commands) > 5
    wrong = [f"{command}: {mistake}" for command in commands if (mistake := mistake_in(command)) is not None]
    assert not wrong
    for words in map(words_of, commands):
        if words[1] == "run" and "--quick" in words and "--all" not in words:
            scenario.load(words[2], quick=True)  # or raises ScenarioError: it has no short form
