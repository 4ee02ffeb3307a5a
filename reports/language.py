"""The language of a report: every text a reader sees goes through the functions below.

English is written in the code and the templates; `locale/<language>/LC_MESSAGES/reports.po` has the other editions.
A text is a whole sentence or a whole cell: word order differs, so nothing is glued together from pieces.

    gettext("{count} tasks", count="1,000")         code: named fields as in str.format, after the lookup
    ngettext("{n} run", "{n} runs", 3, n=3)         where English has a plural
    mark("queue depth")                             a constant, looked up where it is shown: gettext(NAME)
    {% trans n=number(x) %}{{ n }} s{% endtrans %}  templates: plain names inside, expressions in the tag

`with speaking("zh"):` sets the language of what runs inside; English otherwise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jinja2
from babel.messages.pofile import read_po

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
NATIVE_NAMES: dict[Language, str] = {"en": "English", "zh": "中文"}
TAGS: dict[Language, str] = {"en": "en", "zh": "zh-Hans"}
"""BCP 47 tags, for `lang` in the files."""
LOCALE = Path(__file__).parent / "locale"
_CONTEXT_END = "\x04"
_current: ContextVar[Language] = ContextVar("language", default="en")


def catalogue_path(language: Language) -> Path:
    """Where the texts of a language are."""
    return LOCALE / language / "LC_MESSAGES" / "reports.po"


@cache
def _texts(language: Language) -> dict[str, str]:
    """Translation by message, or by context and message; what is missing or fuzzy is left out."""
    if language == "en":
        return {}
    with catalogue_path(language).open("rb") as file:
        messages = list(read_po(file, locale=language))
    found = {}
    for one in messages:
        key, text = first_form(one.id), first_form(one.string)
        if key and text and not one.fuzzy:
            found[f"{one.context}{_CONTEXT_END}{key}" if one.context else key] = text
    return found


def first_form(message: Any) -> str:
    """The message, or the first of its plural forms; Chinese has one only."""
    return str(message if isinstance(message, str) else (message or [""])[0])


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Set the language inside the block."""
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Language:
    """The language set by `speaking`."""
    return _current.get()


def _look_up(message: str, context: str | None = None) -> str:
    return _texts(current()).get(f"{context}{_CONTEXT_END}{message}" if context else message, message)


def _plural(singular: str, plural: str, count: float) -> str:
    """The form for a count: in English one of two, in Chinese always the same."""
    found = _look_up(singular)
    if found != singular:
        return found
    return singular if count == 1 else plural


def mark(message: str) -> str:
    """The message itself, marked for the catalogue."""
    return message


def gettext(message: str, /, **values: Any) -> str:
    """The text in the current language, with its `{named}` fields filled in."""
    text = _look_up(message)
    return text.format(**values) if values else text


def pgettext(context: str, message: str, /, **values: Any) -> str:
    """As gettext, for a word whose translation depends on where it stands."""
    text = _look_up(message, context)
    return text.format(**values) if values else text


def ngettext(singular: str, plural: str, count: float, /, **values: Any) -> str:
    """As gettext, for a text with a count."""
    text = _plural(singular, plural, count)
    return text.format(**values) if values else text


def install(environment: jinja2.Environment, escape: Callable[[Any], Any], finished: Callable[[str], Any]) -> None:
    """Give an environment `{% trans %}`: values go through `escape`, the whole is `finished` text, printed as it is."""

    def fill(text: str, values: dict[str, Any]) -> Any:
        return finished(text % {name: escape(value) for name, value in values.items()})

    def one_text(message: str, /, **values: Any) -> Any:
        return fill(_look_up(message), values)

    def counted(singular: str, plural: str, count: float, /, **values: Any) -> Any:
        return fill(_plural(singular, plural, count), values)

    def in_context(context: str, message: str, /, **values: Any) -> Any:
        return fill(_look_up(message, context), values)

    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.newstyle_gettext = True  # type: ignore[attr-defined]  # the extension adds it
    environment.globals |= {"gettext": one_text, "_": one_text, "ngettext": counted, "pgettext": in_context}
