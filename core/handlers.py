"""Handlers: what runs when a task of some type is executed.

    app = Handlers()

    @app.handler("resize")
    def resize(payload, task):
        return {"width": payload["width"] // 2}

Start a worker with `--app module:app`. A handler takes the payload (decoded JSON) and, if it wants, the task; what it
returns must be JSON. It runs at least once for each task, in one of the worker's slot threads. Side effects outside
need `task.fencing_token`: it grows with every assignment, so the far side can refuse an older one.
"""

import contextlib
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from core.kv.keys import check_name
from core.lookup import find_object

Function = TypeVar("Function", bound=Callable[..., Any])


class Task(NamedTuple):
    """What a handler may know of the task it runs."""

    id: str
    type: str
    queue: str
    attempt: int
    fencing_token: int


class Handlers:
    """A registry of handlers by type. `include` takes over those of another registry."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[[Any, Task], Any]] = {}

    def handler(self, name: str) -> Callable[[Function], Function]:
        """Decorator: register a function `f(payload)` or `f(payload, task)` for tasks of type `name`.

        Raises ValueError if the name is invalid or taken, or the function cannot be called so.
        """
        check_name("task type", name)

        def register(function: Function) -> Function:
            if name in self._functions:
                raise ValueError(f"task type {name!r} has two handlers")
            takes_task = _takes_task(name, function)
            self._functions[name] = function if takes_task else lambda payload, _task: function(payload)
            return function

        return register

    def include(self, other: "Handlers") -> None:
        """Raises ValueError if a type has a handler in both."""
        for name, function in other._functions.items():  # noqa: SLF001
            if name in self._functions:
                raise ValueError(f"task type {name!r} has two handlers")
            self._functions[name] = function

    def get(self, name: str) -> Callable[[Any, Task], Any] | None:
        return self._functions.get(name)

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(sorted(self._functions))


def _takes_task(name: str, function: Callable[..., Any]) -> bool:
    if inspect.iscoroutinefunction(function):
        raise ValueError(f"the handler of {name!r} is a coroutine function; handlers are plain functions")
    signature = inspect.signature(function)
    ways: list[tuple[None, ...]] = [(None,), (None, None)]
    if [*signature.parameters][1:2] == ["task"]:
        ways.reverse()  # also where it has a default
    for arguments in ways:
        with contextlib.suppress(TypeError):
            signature.bind(*arguments)
            return len(arguments) > 1
    raise ValueError(f"the handler of {name!r} must take (payload) or (payload, task), not {signature}")


def load_app(path: str) -> Handlers:
    """The `Handlers` object at `module:name`, looked up from the current folder as well.

    Raises ValueError with a sentence for the user.
    """
    found = find_object(path, "--app")
    if not isinstance(found, Handlers):
        module, _, name = path.partition(":")
        raise ValueError(f"--app {path!r}: {name} is no Handlers object in {module}")  # noqa: TRY004
    return found
