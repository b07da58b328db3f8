"""Where a report or a timeline of a scan may be written: into a folder of its own, and never into the source."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from geldspur.errors import GeldspurError, UsageError
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


def check_request(out: Path, scan: Path, about: Mapping[str, str]) -> None:
    """Refuse a place for a time-stamp request where writing it would change the source, the scan, or another file.

    Raises:
        UsageError: see above; an earlier request may be replaced.
    """
    source, real = source_of(about), out.resolve()
    if source is not None and lies_within(out, source):
        wrong = "the request would lie inside the source"
    elif real.is_relative_to(scan.resolve()):
        wrong = "the request would lie in the scan directory"
    elif real.exists() and (real.suffix != ".tsq" or not real.is_file()):
        wrong = "there is something already, and it is not called .tsq"
    else:
        return
    raise UsageError(wrong, where=str(out), todo="name a new file elsewhere, such as OUT.tsq")


def source_of(about: Mapping[str, str]) -> Path | None:
    """Where the source was, by its bytes where the scan recorded them: `source` is made to be read."""
    try:
        told = json.loads(about.get("describe", "{}")).get("path_hex")
        if told:
            return Path(os.fsdecode(bytes.fromhex(told)))
    except (ValueError, TypeError, AttributeError) as error:
        raise GeldspurError(
            "the scan's record of its source was changed", todo="geldspur evidence verify tells what else was"
        ) from error
    return Path(about["source"]) if about.get("source") else None


def _holds(out: Path, format: str) -> bool:
    try:
        return bool(json.loads((out / "manifest.json").read_bytes()).get("format") == format)
    except (OSError, ValueError, AttributeError):
        return False
