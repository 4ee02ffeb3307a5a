"""Has the page and the figures of a validation made, in a process of its own."""

import subprocess
import sys
from pathlib import Path

from experiments.world import ExperimentError

BUILD_TIMEOUT_S = 120.0
PAGE = "validation.md"


def build(folder: Path) -> None:
    """Raises ExperimentError where it fails; the data are in `folder` all the same."""
    command = [sys.executable, "-m", "reports.validation", str(folder)]
    done = subprocess.run(command, check=False, timeout=BUILD_TIMEOUT_S, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
        raise ExperimentError(f"the validation's page could not be made ({last}); the data are in {folder}")
