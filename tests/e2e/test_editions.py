"""The editions of a report are built side by side: all or nothing, and what ails both is said once."""

from pathlib import Path

import pytest

from experiments import report
from experiments.world import ExperimentError


def test_what_ails_both_editions_is_said_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ExperimentError, match="could not be built"):
        report.build(tmp_path / "absent", tmp_path / "out")
    assert capfd.readouterr().err.count("absent") == 1
    assert not (tmp_path / "out").exists()
