"""Where a report or a timeline of a scan may be written: into a folder of its own, and never into the source."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from geldspur.errors import UsageError
from geldspur.evidence.sources.mounts import lies_within


def check_out(out: Path, scan: Path, about: Mapping[str, str], *, what: str, format: str) -> None:
    """Refuse a place where `what` would harm something; an earlier one of its own `format` may be replaced.

    `about`: the scan's table of that name, which tells where the source was.

    Raises:
        UsageError: `out` lies in the source, lies in or holds the scan directory, or holds something else.
    """
    source, real = source_of(about), out.resolve()
    if source is not None and source.is_dir() and lies_within(out, source):
        wrong = f"the {what} would lie inside the source"
    elif scan.resolve().is_relative_to(real) or real.is_relative_to(scan.resolve()):
        wrong = f"the {what} would lie in, or replace the scan directory"
    elif out.exists() and not out.is_dir():
        wrong = f"the {what} needs a folder"
    elif out.is_dir() and any(out.iterdir()) and not _holds(out, format):
        wrong = f"the folder is not empty and holds no {what}"
    else:
        return
    raise UsageError(wrong, where=str(out), todo="name a new folder outside the source")


def source_of(about: Mapping[str, str]) -> Path | None:
    """Where the source was, by its bytes where the scan recorded them: `source` is made to be read."""
    told = json.loads(about.get("describe", "{}")).get("path_hex")
    if told:
        return Path(os.fsdecode(bytes.fromhex(told)))
    return Path(about["source"]) if about.get("source") else None


def _holds(out: Path, format: str) -> bool:
    try:
        return bool(json.loads((out / "manifest.json").read_bytes()).get("format") == format)
    except (OSError, ValueError, AttributeError):
        return False
