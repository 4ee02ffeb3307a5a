"""How the report's tables sort, run in Node where there is one; tests/e2e/test_report_browser.py clicks them."""

# ruff: noqa: RUF001 - signs as the report prints them

import json
import shutil
import subprocess
from typing import Any

import pytest

from reports.render import TEMPLATES

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")


def evaluate(expression: str) -> Any:
    program = f"const {{ keyOf, orderOf }} = require({str(TEMPLATES / 'report.js')!r});"
    program += f"console.log(JSON.stringify({expression}))"
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, timeout=20, check=True)
    return json.loads(done.stdout)


def keys(*texts: str) -> Any:
    return evaluate(f"{json.dumps(texts)}.map(keyOf)")


def order(*texts: str, descending: bool = False) -> Any:
    return evaluate(f"orderOf({json.dumps(texts)}, {json.dumps(descending)}, 'zh')")


def test_numbers_are_read_as_people_read_them() -> None:
    texts = {
        "1,234": 1234, "12 %": 12, "29.6\xa0[29.4,\xa029.8]": 29.6, "5.57 (5.40–5.74)": 5.57, "−3.5 %": -3.5,
        "+0.4 %": 0.4, "< 0.01": 0.01, "30,600 / 31,200": 30600, "3 × 10": 3, "0": 0, "2.50 · 10⁻⁶": 2.5e-6,
        "10 ± 2": 10, "30,600 (30,600–30,700)": 30600,
    }  # fmt: skip
    assert keys(*texts) == pytest.approx(list(texts.values()))


def test_durations_are_compared_whatever_their_unit() -> None:
    assert keys("340 µs", "3.21 ms", "12.4 s", "2 min", "5 毫秒", "3 秒") == pytest.approx(
        [340e-6, 3.21e-3, 12.4, 120, 0.005, 3]
    )


def test_what_is_missing_has_no_key_and_names_stay_text() -> None:
    assert keys("—", "", " \xa0", "scaling-10", "p99", "watch") == [None, None, None, "scaling-10", "p99", "watch"]


def test_missing_values_come_last_either_way_and_equals_keep_their_order() -> None:
    assert order("5", "—", "1,000", "5", "−2") == [4, 0, 3, 2, 1]
    assert order("5", "—", "1,000", "5", "−2", descending=True) == [2, 0, 3, 4, 1]


def test_names_sort_by_their_numbers_and_mixed_columns_as_text() -> None:
    assert order("scaling-10", "scaling-3", "burst") == [2, 1, 0]
    assert order("3 workers", "a", "20") == [0, 2, 1]


def test_infinity_is_the_largest() -> None:
    assert order("∞", "10", "−∞", "1e") == [2, 3, 1, 0]
