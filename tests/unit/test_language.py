"""The two languages of the report: lookups, the completeness of the catalogue, and fonts for every character."""

# ruff: noqa: RUF001 - Chinese punctuation

import ast

import jinja2
import pytest

from reports import catalogue, fonts, language
from reports.language import gettext, mark, ngettext, speaking
from reports.markdown import Md, code, escape


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small catalogue in place of the real one."""
    known = {
        "{count} tasks": "{count} 个任务", "one run": "运行 {n} 次", "real": "实测",
        "%(share)s of **slots**, 10 %%": "**槽位**的 %(share)s，10 %%",
    }  # fmt: skip
    monkeypatch.setattr(language, "_texts", lambda wanted: known if wanted == "zh" else {})


def environment() -> jinja2.Environment:
    made = jinja2.Environment(finalize=escape, undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
    language.install(made, escape, Md)
    return made


@pytest.mark.usefixtures("texts")
def test_a_text_is_english_unless_another_language_is_spoken() -> None:
    assert gettext("{count} tasks", count="1,000") == "1,000 tasks"
    with speaking("zh"):
        assert gettext("{count} tasks", count="1,000") == "1,000 个任务"
        assert gettext("not in the catalogue") == "not in the catalogue"
    assert gettext(mark("real")) == "real"


@pytest.mark.usefixtures("texts")
@pytest.mark.parametrize(("n", "english"), [(1, "one run"), (2, "2 runs")])
def test_chinese_has_one_form_for_any_number(n: int, english: str) -> None:
    assert ngettext("one run", "{n} runs", n, n=n) == english
    with speaking("zh"):
        assert ngettext("one run", "{n} runs", n, n=n) == f"运行 {n} 次"


@pytest.mark.usefixtures("texts")
def test_templates_keep_markdown_of_the_text_and_escape_what_is_filled_in() -> None:
    template = environment().from_string(
        "{% trans share=given %}{{ share }} of **slots**,\n  10 %{% endtrans %} / {{ gettext('a *b*') }}"
    )
    assert template.render(given="*all* <b>") == r"\*all\* \<b\> of **slots**, 10 % / a *b*"
    assert template.render(given=code("x")).startswith("`x` of")
    with speaking("zh"):
        assert template.render(given="99 %").startswith("**槽位**的 99 %，10 % / ")


def test_every_text_of_code_and_templates_has_a_checked_translation_with_the_same_fields() -> None:
    assert len(list(catalogue.wanted())) > 100
    assert catalogue.faults("zh") == []


def test_no_text_of_the_code_is_hidden_from_the_catalogue() -> None:
    """The extractor does not look into f-strings, before Python 3.12."""
    known = {language.first_form(one.id) for one in catalogue.wanted()}
    called = {
        argument.value
        for path in catalogue.SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"gettext", "mark"}
        for argument in node.args[:1]
        if isinstance(argument, ast.Constant)
    }
    assert len(called) > 100
    assert called - known == set()


@pytest.mark.parametrize(
    ("message", "translation", "kind", "same"),
    [
        ("%(a)s of %(b)s, 5 %%", "%(b)s 中的 %(a)s，5 %%", "template", True),
        ("%(a)s of %(b)s", "%(b)s 中的 %(b)s", "template", False),
        ("5 %%", "5 %", "template", False),
        ("{a} of {b}, 5 %", "{b} 中的 {a}，5 %", "code", True),
        ("{a} of {b:,}", "{b}", "code", False),
    ],
)
def test_fields_are_compared(message: str, translation: str, kind: str, same: bool) -> None:
    assert (catalogue.fields(message, kind) == catalogue.fields(translation, kind)) is same


def test_the_fonts_have_every_character_of_the_chinese_texts() -> None:
    text = "".join(language.first_form(one.string) for one in catalogue.current("zh"))
    for main in (fonts.SANS, fonts.SERIF):
        assert not fonts.missing(text, main, fonts.SYMBOLS)


def test_a_character_without_glyph_is_found() -> None:
    assert fonts.missing("调度 \U0001f980", fonts.SANS, fonts.SYMBOLS) == {"\U0001f980"}


def test_a_subset_is_the_same_each_time_and_small() -> None:
    text = "任务调度器的吞吐量 [29.4, 29.8] ⌈"
    assert fonts.css(text) == fonts.css("".join(reversed(text)))
    assert fonts.css(text).count("@font-face") == 2
    assert len(fonts.css(text)) < 12_000
