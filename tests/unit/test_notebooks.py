"""The notebooks as files: what is in git is their source alone. `pytest --nbmake notebooks` runs them."""

import ast
import json
import re
from pathlib import Path

import pytest

from tests.notebook_files import FOLDER, cleaned

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
ABSOLUTE = re.compile(r"""(?<![\w.}:/])/(?:home|Users|root|tmp|var|work|mnt|opt)/""")

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def sources(path: Path, kind: str) -> list[str]:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


def test_they_are_numbered_in_reading_order() -> None:
    assert [path.stem.partition("_")[0] for path in NOTEBOOKS] == [str(number) for number in range(1, 7)]
    for path in NOTEBOOKS:
        assert sources(path, "markdown")[0].startswith(f"# {path.stem[0]}. ")


@each
def test_no_outputs_counts_or_metadata_are_kept(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text == cleaned(text), f"{path.name} holds more than its source: `make format` cleans it"


@each
def test_nothing_in_it_belongs_to_one_machine(path: Path) -> None:
    for source in sources(path, "markdown") + sources(path, "code"):
        assert not ABSOLUTE.search(source), source


@each
def test_it_works_in_a_temporary_folder(path: Path) -> None:
    """What it writes goes there, not beside the notebook."""
    cells = [source for source in sources(path, "code") if not source.startswith("%%")]  # a file that it writes
    code = "\n".join(line for line in "\n".join(cells).splitlines() if not line.startswith("%"))
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    names = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}
    assert {"TemporaryDirectory", "chdir"} <= names


def test_what_an_editor_leaves_behind_is_found() -> None:
    """Each kind of noise changes the file, and cleaning takes it out again."""
    clean = NOTEBOOKS[0].read_text("utf-8")
    code = next(number for number, cell in enumerate(json.loads(clean)["cells"]) if cell["cell_type"] == "code")
    for key, noise in (
        ("outputs", [{"name": "stdout", "output_type": "stream", "text": ["1\n"]}]),
        ("execution_count", 3),
        ("metadata", {"collapsed": True}),
        ("id", "0f7c"),
        ("attachments", {}),
    ):
        notebook = json.loads(clean)
        notebook["cells"][code][key] = noise
        dirty = json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        assert dirty != clean
        assert cleaned(dirty) == clean
    notebook = json.loads(clean)
    notebook["metadata"]["language_info"]["version"] = "3.12.1"
    assert cleaned(json.dumps(notebook)) == clean
