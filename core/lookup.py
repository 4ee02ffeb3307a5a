"""Objects that users name as `module:name`: their handlers, their placement function."""

import importlib
import os
import sys


def find_object(path: str, option: str) -> object:
    """The object at `module:name`, looked up from the current folder as well; None where the module has no such name.

    `option` is what the user typed it for. Raises ValueError with a sentence for the user.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise ValueError(f"{option} {path!r} is not of the form module:name")
    if os.getcwd() not in sys.path:  # noqa: PTH109
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        return getattr(importlib.import_module(module_name), name, None)
    except Exception as error:  # whatever the user's module does when it is imported
        raise ValueError(f"{option} {path!r}: {type(error).__name__}: {error}") from error
