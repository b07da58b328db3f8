"""All checks in order: each only relies on what those before it have found sound."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from geldspur.errors import GeldspurError, UsageError
from geldspur.ledger.build.memory import budget_of
from geldspur.ledger.doctor import chain, checksums, links, lookups, money, partsums, scripts, source, structure
from geldspur.ledger.doctor.linksums import LinkSums
from geldspur.ledger.doctor.report import Findings, Place, Report
from geldspur.ledger.doctor.structure import Store
from geldspur.progress import SILENT, Progress


def examine(
    ledger_folder: Path,
    *,
    quick: bool = False,
    only_bytes: bool = False,
    with_source: bool = False,
    sample: int | None = None,
    memory: int | None = None,
    progress: Progress = SILENT,
) -> Report:
    """Check the ledger in a folder and tell what is wrong. Writes nothing.

    `only_bytes` compares the files with their checksums, and `out_spender` with the inputs, and leaves out all else.
    `quick` leaves out the Merkle roots, and looks up a sample of rows instead of all. `with_source` also reads the
    blocks from where they were indexed, `sample` of them if given. `memory` bounds what is held at once, in bytes.

    Raises `UsageError` where there is no such folder, and `GeldspurError` while another command changes the ledger.
    """
    if not ledger_folder.is_dir():
        raise UsageError(f"there is no folder {ledger_folder}", todo="give the ledger's folder with --ledger")
    budget = budget_of(memory, None).tables
    findings = Findings(ledger_folder)
    with _unchanging(ledger_folder):
        opened: list[Store | None] = []
        _run("structure", lambda: opened.append(structure.look(ledger_folder, findings)), findings)
        store = opened[0] if opened else None
        if store is not None:
            sound_bytes: Step = "checksums", lambda: checksums.check(store, findings, progress, LinkSums(store))
            every = _checks(store, findings, progress, budget, quick, with_source, sample)
            for name, check in [sound_bytes] if only_bytes else every:
                _run(name, check, findings)
    return findings.report()


Step = tuple[str, Callable[[], None]]


def _checks(
    store: Store, findings: Findings, progress: Progress, budget: int, quick: bool, with_source: bool,
    sample: int | None,
) -> Iterator[Step]:  # fmt: skip
    yield "checksums", lambda: checksums.check(store, findings, progress)
    yield "chain", lambda: chain.check_headers(store, findings, progress)
    yield "offsets", lambda: chain.check_offsets(store, findings, progress)
    yield "references", lambda: chain.check_references(store, findings, progress)
    yield "sizes", lambda: chain.check_sizes(store, findings, progress)
    if not quick:
        yield "merkle roots", lambda: chain.check_roots(store, findings, progress)
    yield "links", lambda: links.check_prevouts(store, findings, progress)
    yield "spenders", lambda: links.check_spenders(store, findings, progress, budget)
    yield "money", lambda: money.check(store, findings, progress)
    yield "script ids", lambda: scripts.check_appearance(store, findings, progress)
    yield "script forms", lambda: scripts.check_forms(store, findings, progress)
    if not quick:
        yield "look-ups", lambda: lookups.check_indexes(store, findings, progress, budget)
        yield "outputs by script", lambda: lookups.check_outputs(store, findings, progress, budget)
    yield "look-ups by hand", lambda: lookups.check_sample(store, findings, progress)
    yield "checksums of parts", lambda: partsums.check(store, findings, progress)
    if with_source:
        yield "source", lambda: source.check(store, findings, progress, sample)


def _run(name: str, check: Callable[[], None], findings: Findings) -> None:
    """Whatever a damaged store makes a check stumble over is a finding too, and no reason to leave out the others."""
    findings.begin(name)
    try:
        check()
    except MemoryError:
        raise
    except Exception as error:
        what = f"the check could not be ended: {error.what if isinstance(error, GeldspurError) else repr(error)}"
        findings.damage(what, Place(str(findings.folder)))


@contextmanager
def _unchanging(folder: Path) -> Iterator[None]:
    """Hold off commands that change the ledger; `GeldspurError` where one is at it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise GeldspurError(
                "another command is changing this ledger", where=str(folder), todo="wait until it has ended"
            ) from error
        except OSError:
            pass  # a file system without locks: nothing can be held off
        yield
    finally:
        os.close(handle)
