"""`python -m reports.planning DIR`: the figure of a plan, from the file that `tandem-bench plan` writes.

Reads `plan.json`; writes `plan.svg` beside it.
"""

from pathlib import Path
from typing import Annotated

import typer

from reports.figures import planning
from reports.figures.style import save
from reports.runs import ReportError, read_json


def write(folder: Path) -> Path:
    """Draw the plan in `folder`; returns the figure's path. Raises ReportError, OSError."""
    path = folder / "plan.json"
    plan = read_json(path)
    if not isinstance(plan, dict) or not {"targets", "curves"} <= plan.keys():
        raise ReportError(f"{path} is not a plan of 'tandem-bench plan'.")
    return save(planning.figure(plan), folder / "plan.svg")


def main(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where plan.json is.")]) -> None:
    """Draw the plan in DIR; it measures and simulates nothing."""
    try:
        path = write(folder)
    except (ReportError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(str(path))


if __name__ == "__main__":
    typer.run(main)
