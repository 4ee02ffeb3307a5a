"""Notebooks as they are kept: without outputs, execution counts and whatever else an editor leaves in them.

python tests/notebook_files.py     # cleans those in notebooks/ (make format does it)
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def cleaned(text: str) -> str:
    """A notebook file with its cells' sources and nothing else; ids count the cells."""
    cells = []
    for number, cell in enumerate(json.loads(text)["cells"]):
        source = "".join(cell["source"]).splitlines(keepends=True)
        kept = {"cell_type": cell["cell_type"], "id": f"cell-{number:02}", "metadata": {}, "source": source}
        if cell["cell_type"] == "code":
            kept |= {"execution_count": None, "outputs": []}
        cells.append(kept)
    notebook = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    for path in sorted(FOLDER.glob("*.ipynb")):
        text = path.read_text("utf-8")
        if (clean := cleaned(text)) != text:
            path.write_text(clean, "utf-8")
            print(f"cleaned {path.name}")


if __name__ == "__main__":
    main()
