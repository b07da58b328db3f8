"""Run a notebook's code cells in order and store what they print, without Jupyter.

python tools/record_notebook.py docs/notebooks/ledger.ipynb
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any


def printed_by(notebook: dict[str, Any]) -> list[str]:
    """What each code cell prints when all are run in one namespace."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    texts = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec("".join(cell["source"]), namespace)  # noqa: S102 - the cells are this repository's own
            texts.append(out.getvalue())
    return texts


def main() -> None:
    """Store what the cells print in the notebook itself."""
    path = Path(sys.argv[1])
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, (cell, text) in enumerate(zip(code, printed_by(notebook), strict=True), 1):
        lines = text.splitlines(keepends=True)
        cell["execution_count"] = number
        cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": lines}] if lines else []
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
