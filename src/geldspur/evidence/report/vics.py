"""The scan in the shape of VICS 2.0, as public code of its readers shows it. No compliance is claimed: the data model
itself is under agreement.

Its context is CUSTOM and each Category null: what a category number means depends on a list's country, so lists'
statements travel as words in Comments and Tags, each with its scheme. IsPrecategorized is false for the same reason.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from geldspur.evidence.report import words
from geldspur.evidence.report.document import State
from geldspur.evidence.report.lists import Listed
from geldspur.evidence.report.rows import Row, Rows, utc

CONTEXT = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/CUSTOM/$metadata#Cases"
SOURCE_APPLICATION = "Geldspur (VICS 2.0 shape as public code shows it; no compliance claimed)"
_HITS_TOLD = 20  # statements in one entry's comments; hits.csv has them all
_MEDIA = "(content.media IN ('image', 'video') OR report_level.level IN ('identical', 'near'))"


def write_vics(path: Path, rows: Rows, lists: dict[int, Listed], state: State, tool: str) -> None:
    """One case with one Media entry a unique image or video, or content that a list of reported material knows."""
    case = {
        "CaseID": str(uuid5(NAMESPACE_URL, f"geldspur:case:{state.log_hash}")),
        "CaseNumber": f"scan {state.log_hash[:16]}",
        "SourceApplicationName": SOURCE_APPLICATION,
        "SourceApplicationVersion": tool,
        "Comments": "TotalMediaFiles counts entries of Media (contents unique by SHA-256 and size). " + words.STANDING,
    }
    head = json.dumps({"@odata.context": CONTEXT, "value": [case]}, ensure_ascii=True, indent=0)
    opened = head[: head.rindex("}\n]")].rstrip()
    with path.open("w", encoding="ascii", newline="") as file:
        file.write(opened + ',\n"Media": [')
        number = 0
        for number, row in enumerate(rows.contents(_MEDIA), 1):
            file.write(("" if number == 1 else ",") + "\n")
            file.write(json.dumps(_media(number, row, rows, lists), ensure_ascii=True, separators=(",", ":")))
        file.write(f'\n],\n"TotalMediaFiles": {number}\n}}\n]\n}}\n')


def _media(number: int, row: Row, rows: Rows, lists: dict[int, Listed]) -> dict[str, Any]:
    assert row.content is not None and row.sha256 is not None and row.sha1 is not None and row.md5 is not None
    hits = rows.hits(row.content)
    told = [words.hit(lists[hit.list], hit, row.media) for hit in hits[:_HITS_TOLD]]
    if len(hits) > _HITS_TOLD:
        told.append(f"{len(hits) - _HITS_TOLD:,} more statements in hits.csv.")
    level = words.LEVELS[row.level or "not compared"][0]
    name = rows.name(row)
    return {
        "MediaID": number,
        "Category": None,
        "MD5": row.md5.hex().upper(),
        "SHA1": row.sha1.hex().upper(),
        "MediaSize": row.size,
        "IsPrecategorized": False,
        "MimeType": None,
        "RelativeFilePath": name,
        "Tags": f"Geldspur: {level}",
        "Comments": " ".join([f"{level}.", *told]),
        "AlternativeHashes": [{"HashName": "SHA256", "HashValue": row.sha256.hex().upper()}],
        "MediaFiles": list(_media_files(row, rows)),
    }


def _media_files(row: Row, rows: Rows) -> Iterator[dict[str, Any]]:
    assert row.md5 is not None
    for one in rows.names(row):
        name = rows.name(one)
        yield {
            "FileName": name.rsplit("/", 1)[-1],
            "FilePath": name,
            "MD5": row.md5.hex().upper(),
            "Created": utc(one.born_ns),
            "Written": utc(one.modified_ns),
            "Accessed": utc(one.accessed_ns),
            "Unallocated": bool(one.deleted),
        }
