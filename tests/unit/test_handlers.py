"""The registry of handlers, and loading a user's."""

from pathlib import Path
from typing import Any

import pytest

from core.handlers import Handlers, Task, load_app

TASK = Task("1", "x", "default", 1, 7)


def test_a_handler_takes_the_payload_and_the_task_if_it_wants() -> None:
    handlers = Handlers()

    @handlers.handler("one")
    def one(payload: Any) -> Any:
        return payload

    @handlers.handler("two")
    def two(payload: Any, task: Task | None = None) -> Any:
        return (payload, task)

    @handlers.handler("scaled")
    def scaled(payload: Any, scale: int = 2) -> Any:
        return payload * scale

    def call(name: str) -> Any:
        function = handlers.get(name)
        assert function is not None
        return function(21, TASK)

    assert (call("one"), call("two"), call("scaled")) == (21, (21, TASK), 42)
    assert handlers.types == ("one", "scaled", "two")
    assert handlers.get("three") is None
    assert one(1) == 1  # the decorator gives the function back


async def coroutine(payload: Any) -> None: ...
def nothing() -> None: ...
def three(payload: Any, task: Task, more: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "sentence"), [(coroutine, "coroutine"), (nothing, "must take"), (three, "must take")]
)
def test_what_cannot_be_called_is_refused_when_it_is_registered(function: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Handlers().handler("x")(function)


def test_names_are_valid_and_unique() -> None:
    handlers, other = Handlers(), Handlers()
    handlers.handler("x")(lambda payload: payload)
    other.handler("x")(lambda payload: payload)
    with pytest.raises(ValueError, match="two handlers"):
        handlers.handler("x")(lambda payload: payload)
    with pytest.raises(ValueError, match="two handlers"):
        handlers.include(other)
    with pytest.raises(ValueError, match="not a valid name"):
        handlers.handler("a/b")


@pytest.mark.parametrize(
    ("source", "path", "sentence"),
    [
        ("", "nocolon", "not of the form module:name"),
        ("", "no_such_module_at_all:app", "no_such_module_at_all"),
        ("app = 1", "MODULE:app", "no Handlers object"),
        ("", "MODULE:app", "no Handlers object"),
        ("1 +", "MODULE:app", "SyntaxError"),
        ("raise RuntimeError('oh')", "MODULE:app", "RuntimeError: oh"),
    ],
)
def test_a_wrong_app_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, path: str, sentence: str
) -> None:
    module = f"module_{abs(hash((source, path)))}"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match=sentence):
        load_app(path.replace("MODULE", module))


def test_an_app_is_found_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "from core.handlers import Handlers\napp = Handlers()\napp.handler('mine')(lambda payload: payload)\n"
    (tmp_path / "module_of_mine.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [entry for entry in __import__("sys").path if entry])
    assert load_app("module_of_mine:app").types == ("mine",)
