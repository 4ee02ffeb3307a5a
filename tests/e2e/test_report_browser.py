"""The report's page in a real browser: contents, figures, tables, fonts. Skipped where there is no Chromium."""

# ruff: noqa: RUF001 - signs as the report prints them

from collections.abc import Iterator
from pathlib import Path

import pytest

from reports import fonts, render
from reports.language import speaking
from reports.markdown import table
from tests import browser

pytestmark = pytest.mark.skipif(browser.executable() is None, reason="there is no chromium: apt-get install chromium")

FIGURE = '<svg xmlns="http://www.w3.org/2000/svg" width="600" height="200"><circle cx="300" cy="100" r="90"/></svg>'
LINES = "\n\n".join(["A line of text."] * 60)
ROWS = [["b", "1,234", "12 %"], ["a", "—", "3 %"], ["c", "29.6 [29.4, 29.8]", "−4 %"], ["d", "340", "100 %"]]
TEXT = f"""# First {{#sec:first}}

见 @fig:one、@tbl:things：调度器把任务分配给工作节点 ⁻⁶ ⌈。

![One.](figures/one.svg){{#fig:one}}

![Two.](figures/two.svg){{#fig:two}}

# Second {{#sec:second}}

{table("things", "Things.", ["name", "size", "share"], ROWS, "lrr")}

{LINES}

# Third {{#sec:third}}

{LINES}
"""
COLUMN = "[...document.querySelectorAll('tbody tr')].map((row) => row.cells[0].textContent).join('')"
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
ESCAPE, ENTER, TAB, RIGHT = ("Escape", 27), ("Enter", 13), ("Tab", 9), ("ArrowRight", 39)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (folder / "figures").mkdir()
    for name in ("one", "two"):
        (folder / "figures" / f"{name}.svg").write_text(FIGURE)
    pages = render.Pages(TEXT, render.Title("标题", "sub", "2026-01-01"), folder, "figures")
    with speaking("zh"):
        (folder / "report.html").write_text(render.to_html(pages), "utf-8")
    return folder / "report.html"


def test_the_contents_mark_the_section_being_read(page: browser.Page, file: Path) -> None:
    page.open(file, 1400, 600)
    shown = "document.querySelector('#contents [aria-current]').textContent"
    assert page.run(shown) == "1 First"
    page.run("document.documentElement.style.scrollBehavior = 'auto'")
    page.run("document.getElementById('sec:third').scrollIntoView()")
    page.run(FRAMES)
    assert page.run(shown) == "3 Third"
    box = page.run("(({top, bottom}) => [top, bottom])(document.getElementById('contents').getBoundingClientRect())")
    assert box[0] == 0
    assert box[1] <= 600


def test_on_a_phone_the_contents_are_a_bar_that_opens_and_nothing_is_wider(page: browser.Page, file: Path) -> None:
    page.open(file, 390, 800)
    assert page.run("document.querySelector('#contents details').open") is False
    assert page.run("document.documentElement.scrollWidth") <= 390
    assert page.run("document.getElementById('contents').getBoundingClientRect().height") < 60
    page.run("document.querySelector('#contents summary').click()")
    page.run("document.querySelector('#contents a').click()")
    assert page.run("document.querySelector('#contents details').open") is False


def test_figures_enlarge_by_keyboard_and_escape_closes(page: browser.Page, file: Path) -> None:
    page.open(file, 1400, 600)
    page.run("document.querySelector('button.zoom').focus()")
    opened = "document.getElementById('zoom').open"
    caption = "document.querySelector('#zoom p').textContent"
    page.run("document.activeElement.click()")
    assert page.run(opened) is True
    assert page.run(caption) == page.run("document.querySelector('figcaption').textContent")
    page.press(*RIGHT)
    assert page.run(caption) == page.run("document.querySelectorAll('figcaption')[1].textContent")
    page.run("document.querySelector('#zoom img').click()")
    assert page.run("document.querySelector('#zoom img').clientWidth") > 1400
    page.press(*ESCAPE)
    assert page.run(opened) is False
    assert page.run("document.activeElement.className") == "zoom"


def test_tables_sort_by_a_click_and_go_back(page: browser.Page, file: Path) -> None:
    page.open(file, 1400, 600)
    orders = {}
    for column in (0, 1, 2):
        for _ in range(3):
            page.run(f"document.querySelectorAll('th button')[{column}].click()")
            sorted_by = page.run(f"document.querySelectorAll('th')[{column}].ariaSort")
            orders[column, sorted_by] = page.run(COLUMN)
    assert orders == {
        (0, "ascending"): "abcd", (0, "descending"): "dcba", (0, None): "bacd",
        (1, "ascending"): "cdba", (1, "descending"): "bdca", (1, None): "bacd",
        (2, "ascending"): "cabd", (2, "descending"): "dbac", (2, None): "bacd",
    }  # fmt: skip


def test_every_character_of_the_chinese_page_has_a_glyph(page: browser.Page, file: Path) -> None:
    page.open(file, 1400, 600)
    page.run("document.fonts.ready.then(() => 0)")
    used = page.fonts_of("main p, main h1, main a, figcaption, caption, nav a, nav summary")
    own = {font["familyName"] for font in used if font["isCustomFont"]}
    assert fonts.SANS_NAME in own
    text = str(page.run("document.body.innerText"))
    assert "调度器" in text
    assert not fonts.missing(text, fonts.SANS, fonts.SYMBOLS)


def test_dark_mode_changes_the_page_and_not_the_paper_of_figures(page: browser.Page, file: Path) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        page.open(file, 1400, 600, prefers_color_scheme=scheme)
        colours[scheme] = [
            page.run(f"getComputedStyle(document.querySelector('{which}')).backgroundColor")
            for which in ("html", "figure img")
        ]
    assert colours["light"][0] == "rgb(255, 255, 255)"
    assert colours["dark"][0] == "rgb(22, 24, 27)"
    assert colours["dark"][1] == "rgb(244, 244, 242)"
