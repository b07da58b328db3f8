"""The notebooks in docs run, and print what they are stored with."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_it_is_stored_with(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    stored = ["".join(line for out in cell["outputs"] for line in out["text"]) for cell in code]
    assert len(code) >= 5
    assert all(stored[:-1])
    assert runpy.run_path(str(ROOT / "tools" / "record_notebook.py"))["printed_by"](notebook) == stored
