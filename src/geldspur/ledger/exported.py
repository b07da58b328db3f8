"""What a Parquet export says of itself, and whether it still is of the ledger at hand."""

from pathlib import Path

from geldspur.errors import GeldspurError
from geldspur.ledger.columns import read_json
from geldspur.ledger.store import Ledger
from geldspur.ledger.tables import TABLES

FORMAT = "geldspur-export"
SCHEMA = 1


def is_export(folder: Path) -> bool:
    """Does the folder hold an export?"""
    manifest = folder / "manifest.json"
    return manifest.is_file() and read_json(manifest, "the manifest").get("format") == FORMAT


def open_export(ledger: Ledger, folder: Path) -> dict[str, Path]:
    """Table name -> Parquet file of an export of this very ledger.

    Raises GeldspurError where it is of another ledger or of an older state of this one, or a file is not whole.
    """
    todo = f"make it again with: geldspur export {folder} --parquet --ledger {ledger.folder}"
    if not is_export(folder):
        raise GeldspurError(f"{folder} holds no Parquet export", todo=todo)
    manifest = read_json(folder / "manifest.json", "the export's manifest")
    if manifest.get("schema") != SCHEMA or manifest.get("ledger") != ledger.manifest_sha256:
        raise GeldspurError(
            f"the export is of another state of the ledger (its tip is {manifest.get('tip_height')}, "
            f"the ledger's {ledger.tip_height})",
            where=str(folder),
            todo=todo,
        )
    files = {}
    for name in (table.name for table in TABLES if table.name in manifest["tables"]):
        files[name] = folder / f"{name}.parquet"
        if not files[name].is_file() or files[name].stat().st_size != manifest["tables"][name]["bytes"]:
            raise GeldspurError(f"the export's table {name} is not whole", where=str(files[name]), todo=todo)
    return files
