"""Are the checksums of parts, with which look-ups and appends compare what they read, those of the parts?"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from geldspur.errors import GeldspurError
from geldspur.ledger import parts
from geldspur.ledger.columnfile import Array
from geldspur.ledger.doctor.report import COMPACT, Findings, Place
from geldspur.ledger.doctor.structure import Store
from geldspur.ledger.layout import COLUMNS, SPENDER
from geldspur.ledger.manifests import read_manifest
from geldspur.progress import Progress

Sums = Mapping[str, Array]


def check(store: Store, findings: Findings, progress: Progress) -> None:
    """Make them anew and compare. Only where nothing else is wrong: they would be blamed for what others are."""
    if findings.any_damage():
        findings.skip("the ledger is damaged")
        return
    manifest = read_manifest(store.folder)
    with progress.task("Comparing checksums of parts", 1 + len(store.runs), "files") as task:
        path = parts.file_of(store.folder, manifest)
        _compare(path, lambda: parts.read_column_sums(store.folder, manifest), _of_columns(store), findings)
        task.advance(1)
        for run, entry in zip(store.runs, manifest["runs"], strict=True):
            folder = store.folder / "lookup" / run.name
            wanted = {name: parts.sums_of(array, parts.LOOK_UP_PART) for name, array in run.columns.items()}
            _compare(folder / parts.IN_RUN, _reader(folder, entry), wanted, findings)
            task.advance(1)


def _reader(folder: Path, entry: Mapping[str, object]) -> Callable[[], Sums | None]:
    return lambda: parts.read_run_sums(folder, entry)


def _of_columns(store: Store) -> Sums:
    sums = {name: parts.sums_of(store.columns[name], parts.PART) for name in COLUMNS if name != SPENDER.name}
    return sums | {SPENDER.name: parts.sums_of_spenders(store.columns[SPENDER.name], store.counts["in"])}


def _compare(path: Path, read: Callable[[], Sums | None], wanted: Sums, findings: Findings) -> None:
    try:
        have = read()
    except GeldspurError as error:
        findings.damage(error.what, Place(str(path)), error.todo)
        return
    if have is None:
        what = "there are no checksums of parts: what look-ups read is not compared"
        findings.note(what, Place(str(path)), COMPACT)
        return
    wrong = [name for name in wanted if not np.array_equal(have[name], wanted[name])]
    if wrong:
        what = f"the checksums of parts are damaged: those of {', '.join(wrong)}"
        findings.damage(what, Place(str(path)), parts.MAKE_AGAIN)
    findings.looked_at("parts", sum(len(sums) for sums in wanted.values()))
