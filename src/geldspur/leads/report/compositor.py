"""Runs Typst once, as a process of its own: `python -I compositor.py`, a job in, pages out.

Typst keeps what it has laid out for a next run of the same document. With one report a country that is over
a gigabyte that nobody asks for again, and only the end of its process gives it back. A crash of Typst also
stays outside.

Standard input: a JSON object of `template` and `root` (paths; Typst reads nothing outside the root), `form` ("pdf"
or "png"), `ppi` and `data` (the view as JSON text). Standard output: a JSON object of `pages` (base64; a PDF is one)
or `error`.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import typst


def set_pages(job: dict[str, Any]) -> list[bytes]:
    """The job's document as one PDF or as a PNG a page; raises `typst.TypstError`."""
    template, form = Path(job["template"]), job["form"]
    made: Any = typst.compile(
        str(template),
        root=job["root"],
        font_paths=typst.Fonts(include_system_fonts=False),
        format=form,
        ppi=job["ppi"],
        # One JSON value, read by json() in the template: nothing in it is ever taken for markup.
        sys_inputs={"data": job["data"]},
        # PDF/UA: readable by screen readers, and refused by Typst if a character had no glyph.
        pdf_standards=["ua-1"] if form == "pdf" else [],
    )
    return [made] if form == "pdf" else list(made)


def main() -> None:
    """Do the job on standard input."""
    try:
        result: dict[str, Any] = {
            "pages": [base64.b64encode(page).decode() for page in set_pages(json.load(sys.stdin))]
        }
    except typst.TypstError as error:
        result = {"error": error.diagnostic}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
