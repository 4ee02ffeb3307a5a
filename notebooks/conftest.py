"""Notebooks may take longer than tests."""

import pytest

TIMEOUT_S = 180
"""A notebook takes 10 to 20 s on a quiet machine, several times that beside other work."""


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.timeout(TIMEOUT_S))
