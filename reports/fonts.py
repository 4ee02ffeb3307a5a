"""The fonts of the Chinese edition: Noto Sans SC and Noto Serif SC from PyPI, DejaVu Sans for the signs they lack.

The PDF embeds what it uses; the figures' text is outlines; the HTML gets the characters it uses as WOFF2.
"""

import base64
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import pylopdf_fonts_zh_cn as noto
from fontTools import subset
from fontTools.ttLib import TTFont
from matplotlib.font_manager import fontManager

SANS, SERIF = noto.sans_path(), noto.serif_path()
SYMBOLS = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
SANS_NAME = "Noto Sans SC"
FACES = (("Report Sans", SANS), ("Report Signs", SYMBOLS))
"""Names in the style sheet; a character comes from the first font that has it."""


@cache
def characters(font: Path) -> frozenset[str]:
    """All characters that a font can show."""
    with TTFont(font, lazy=True) as opened:
        return frozenset(map(chr, opened.getBestCmap()))


def missing(text: Iterable[str], *fonts: Path) -> set[str]:
    """The visible characters of a text that none of the fonts can show."""
    return {one for one in set(text) if one.isprintable() and not any(one in characters(font) for font in fonts)}


def woff2(font: Path, text: Iterable[str]) -> bytes:
    """A font with the characters of `text` only; the same bytes for the same characters."""
    options = subset.Options(flavor="woff2", hinting=False, desubroutinize=True, notdef_outline=True)
    options.layout_features = ["kern", "locl", "mark", "ccmp"]
    options.drop_tables += ["FFTM"]  # when the font was made; the subsetter only warns of it
    with TTFont(font, lazy=True, recalcTimestamp=False, recalcBBoxes=False) as opened:
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=sorted(set(map(ord, text))))
        cutter.subset(opened)
        opened.flavor = "woff2"
        buffer = BytesIO()
        opened.save(buffer, reorderTables=False)
    return buffer.getvalue()


def css(text: str) -> str:
    """`@font-face` rules with what the page needs of each font."""
    left, rules = {one for one in text if one.isprintable()}, []
    for name, font in FACES:
        found = left & characters(font)
        left -= found
        if found:
            data = base64.b64encode(woff2(font, found)).decode()
            source = f'url("data:font/woff2;base64,{data}") format("woff2")'
            rules.append(f'@font-face {{ font-family: "{name}"; src: {source}; }}')
    return "\n".join(rules)


@cache
def add_to_matplotlib() -> None:
    """Let figures name the Chinese font."""
    fontManager.addfont(SANS)
