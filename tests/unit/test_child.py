"""Processes that speak JSON: what they say, and what becomes of those that say nothing."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from experiments.child import Child
from experiments.world import ExperimentError

ECHO = "import sys\nfor line in sys.stdin:\n    print(line, end='', flush=True)\n"
SILENT = "import sys, time\nsys.stdin.read()\ntime.sleep(60)\n"
FAILS = "import sys\nsys.exit(3)\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes a module of a source; its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(source: str) -> str:
        (tmp_path / "tandem_test_child.py").write_text(source)
        return "tandem_test_child"

    return make


def test_it_says_back_what_it_is_told_and_ends_with_its_input(module: Callable[[str], str]) -> None:
    with Child("the echo", module(ECHO)) as child:
        child.say({"number": 1})
        assert child.hear(30.0) == {"number": 1}
        child.say({"error": "no more"})
        with pytest.raises(ExperimentError, match=r"^the echo: no more$"):
            child.hear(30.0)
    assert not psutil.pid_exists(child.pid)


def test_one_that_does_not_end_with_its_input_is_killed(module: Callable[[str], str]) -> None:
    answer = pytest.raises(ExperimentError, match=r"^the mute does not answer$")
    with Child("the mute", module(SILENT), patience_s=0.0) as child, answer:
        child.hear(0.01)
    assert not psutil.pid_exists(child.pid)


def test_one_that_ends_says_with_what_status(module: Callable[[str], str]) -> None:
    with Child("the failure", module(FAILS)) as child, pytest.raises(ExperimentError, match="ended with status 3"):
        child.hear(30.0)
    assert not psutil.pid_exists(child.pid)


def test_speaking_to_one_that_has_ended_is_an_error_of_ours(module: Callable[[str], str]) -> None:
    with Child("the failure", module(FAILS)) as child:
        child.wait(30.0)
        with pytest.raises(ExperimentError, match=r"^the failure has ended$"):
            child.say({})
