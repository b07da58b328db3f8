"""Sets the report with Typst: offline, from the templates beside this file, with Typst's own fonts only."""

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from geldspur.errors import GeldspurError

HERE = Path(__file__).parent
PACKAGE = HERE.parent.parent  # templates of other rooms import the theme beside this file
TEMPLATE = HERE / "template" / "report.typ"
COMPOSITOR = HERE / "compositor.py"


def _set(view: dict[str, Any], template: Path, form: Literal["pdf", "png"], ppi: float | None = None) -> list[bytes]:
    data = json.dumps(view, sort_keys=True)
    job = {"template": str(template), "root": str(PACKAGE), "form": form, "ppi": ppi, "data": data}
    # Nothing of the command comes from outside: it is this interpreter and a file of this package.
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-I", str(COMPOSITOR)],
        input=json.dumps(job).encode(),
        capture_output=True,
        check=False,
    )
    result = json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr.decode(errors="replace")}
    if "error" in result:
        raise GeldspurError(
            "the report can't be set",
            where=f"Typst says: {result['error'].strip()[-2000:]}",
            todo="report this message to Geldspur's makers; the data files are complete without the report",
        )
    return [base64.b64decode(page) for page in result["pages"]]


def to_pdf(view: dict[str, Any], template: Path = TEMPLATE) -> bytes:
    """The report as PDF/UA-1. Same view, same bytes: the file holds no date."""
    return _set(view, template, "pdf")[0]


def to_pngs(view: dict[str, Any], ppi: float = 96) -> list[bytes]:
    """The report's pages as images."""
    return _set(view, TEMPLATE, "png", ppi)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there in full or not at all."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            draft = Path(file.name)
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                draft.chmod(0o644)
                draft.replace(path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise GeldspurError(
            f"the report can't be written: {error.strerror}",
            where=str(path),
            todo="free space or choose another folder",
        ) from error
