"""Sets the report with Typst: offline, from the templates beside this file, with Typst's own fonts only."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

import typst

from geldspur.errors import GeldspurError

TEMPLATE = Path(__file__).parent / "template" / "report.typ"


def _inputs(view: dict[str, Any]) -> dict[str, str]:
    # As one JSON value, read by json() in the template: nothing in it is ever taken for markup.
    return {"data": json.dumps(view, ensure_ascii=False, sort_keys=True)}


def _set(view: dict[str, Any], form: Literal["pdf", "png"], ppi: float | None = None) -> Any:
    try:
        return typst.compile(
            str(TEMPLATE),
            root=str(TEMPLATE.parent),
            font_paths=typst.Fonts(include_system_fonts=False),
            format=form,
            ppi=ppi,
            sys_inputs=_inputs(view),
            # PDF/UA: readable by screen readers, and refused by Typst if a character had no glyph.
            pdf_standards=["ua-1"] if form == "pdf" else [],
        )
    except typst.TypstError as error:
        raise GeldspurError(
            "the report can't be set",
            where=f"Typst says: {error.message}",
            todo="please report this with the message; the data files are complete without the report",
        ) from error


def to_pdf(view: dict[str, Any]) -> bytes:
    """The report as PDF/UA-1. Same view, same bytes: the file holds no date."""
    return bytes(_set(view, "pdf"))


def to_pngs(view: dict[str, Any], ppi: float = 96) -> list[bytes]:
    """The report's pages as images."""
    pages = _set(view, "png", ppi)
    return [bytes(page) for page in pages] if isinstance(pages, list) else [bytes(pages)]


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
