"""What brings a ledger to the source's best chain, and in which order."""

import time
from dataclasses import dataclass
from pathlib import Path

from geldspur.bitcoin.networks import Network
from geldspur.errors import GeldspurError, UsageError
from geldspur.ledger.build import append, commit, first
from geldspur.ledger.build.memory import Budget, anonymous_bytes, budget_of
from geldspur.ledger.build.recover import recover
from geldspur.ledger.manifests import counts_of, is_ledger, is_vacant, read_manifest, writing
from geldspur.ledger.open_source import open_source
from geldspur.ledger.sources import Source
from geldspur.progress import SILENT, Progress

_SECONDS_BETWEEN_LOOKS = 0.05


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What `index` did. Times and paths stay out of the ledger itself."""

    ledger: Path
    network: str
    first_height: int
    tip_height: int
    tip_hash: str
    blocks: int
    blocks_added: int
    blocks_rolled_back: int
    stale: int
    duplicate_records: int
    transactions: int
    inputs: int
    outputs: int
    scripts: int
    edges: int
    bytes_read: int
    peak_anonymous_bytes: int
    notes: list[str]


def index(
    source: Path | str | Source,
    ledger: Path,
    *,
    network: Network | None = None,
    from_height: int = 0,
    to_height: int | None = None,
    memory: int | None = None,
    threads: int | None = None,
    login: Path | None = None,
    progress: Progress = SILENT,
) -> IndexReport:
    """Bring the ledger directory `ledger` to the best chain of `source`, which may be what `open_source` takes.

    The result depends on the blocks alone: not on the order or number of files, their obfuscation, the number
    of threads, or `memory`, the bytes that the build may hold at once. With `from_height` above 0 a first build
    makes a *period* ledger; Core's undo files then tell the value and script of what was funded before it.
    Stopped at any moment, the same call goes on where it was; a period begins anew.

    Raises `GeldspurError` for files that are damaged, cut off, foreign or incomplete.
    """
    budget = budget_of(memory, threads)
    if to_height is not None and to_height < from_height:
        raise UsageError(
            f"--to-height {to_height:,} lies below --from-height {from_height:,}", todo="give the lower height first"
        )
    _check_target(ledger)
    if isinstance(source, Path | str):
        _check_outside(Path(source), ledger)
        source = open_source(str(source), network, login, progress)
    if network is not None and source.network is not network:
        raise GeldspurError(f"the source is of {source.network.name}, not of {network.name}", todo="check --network")
    watch = _Watch()
    with writing(ledger), commit.clear_errors(ledger):
        recover(ledger)
        if (ledger / "manifest.json").is_file():
            done = _update(source, ledger, from_height, to_height, budget, watch, progress)
        else:
            done = _begin(source, ledger, from_height, to_height, budget, watch, progress)
    manifest = read_manifest(ledger)
    counts = counts_of(manifest)
    return IndexReport(
        ledger, manifest["network"], manifest["heights"][0], manifest["heights"][1], manifest["tip_hash"],
        counts["block"], done.added, done.rolled_back, done.stale, done.duplicates,
        counts["tx"], counts["in"], counts["out"], counts["script"],
        counts["edge"], done.bytes_read, watch.peak, [*source.notes, *done.notes],
    )  # fmt: skip


class _Watch:
    """The most anonymous memory that was seen."""

    def __init__(self) -> None:
        self.peak = 0
        self._again = 0.0

    def look(self) -> None:
        """Look, unless it was done just now: that reads a file of the system's, which takes its time."""
        if time.monotonic() >= self._again:
            self.peak = max(self.peak, anonymous_bytes())
            self._again = time.monotonic() + _SECONDS_BETWEEN_LOOKS


@dataclass(slots=True)
class _Done:
    added: int = 0
    rolled_back: int = 0
    stale: int = 0
    duplicates: int = 0
    bytes_read: int = 0
    notes: tuple[str, ...] = ()


def _begin(
    source: Source, ledger: Path, from_height: int, to_height: int | None, budget: Budget, watch: _Watch,
    progress: Progress,
) -> _Done:  # fmt: skip
    chain = source.chain(to_height, from_height=from_height)
    built = first.build(source, chain, ledger, from_height, budget, watch.look, progress)
    done = _Done(built, 0, len(chain.stale), chain.duplicates, int(chain.size.sum()))
    if chain.tied:
        done.notes = ("two tips carry equal work; the one with the smaller hash was taken",)
    if built < len(chain):  # a build that was resumed ends at the tip that it began with
        more = _update(source, ledger, from_height, to_height, budget, watch, progress)
        done.added += more.added
    return done


def _update(
    source: Source, ledger: Path, from_height: int, to_height: int | None, budget: Budget, watch: _Watch,
    progress: Progress,
) -> _Done:  # fmt: skip
    store = append.Store(ledger)
    if store.network is not source.network:
        raise GeldspurError(
            f"the ledger is of {store.network.name}, the blocks are of {source.network.name}",
            where=str(ledger),
            todo="give each network a ledger of its own with --ledger",
        )
    if store.first_height or from_height:
        return _same_period(store, source, from_height, to_height)
    chain = source.chain(to_height, known=store.block_hash)
    done = _Done(0, 0, len(chain.stale), chain.duplicates, int(chain.size.sum()))
    if not len(chain):
        return done
    if chain.first_height <= store.tip_height:
        if not store.has_less_work_than(chain):
            done.notes = ("the source's best chain carries no more work than the ledger's: nothing was changed",)
            done.bytes_read = 0
            return done
        done.rolled_back = store.tip_height + 1 - chain.first_height
        store.roll_back(chain.first_height)
    append.append(source, chain, ledger, budget, watch.look, progress)
    done.added = len(chain)
    return done


def _same_period(store: append.Store, source: Source, from_height: int, to_height: int | None) -> _Done:
    """A period ledger's first rows are what was funded before it, so that it can't grow: it is made again."""
    chain = source.chain(to_height, from_height=store.first_height)
    same = store.first_height == from_height and chain.tip_height == store.tip_height
    if same and chain.hash[-1].tobytes() == store.block_hash[-1].tobytes():
        return _Done(0, 0, len(chain.stale), chain.duplicates)
    if not store.first_height:
        raise UsageError(
            "this ledger begins at height 0: a period needs a folder of its own",
            where=str(store.folder),
            todo="leave --from-height away to bring this ledger to the tip, or name a new folder with --ledger",
        )
    raise GeldspurError(
        f"this ledger holds the period of heights {store.first_height:,} to {store.tip_height:,}, and can't grow",
        where=str(store.folder),
        todo="index the wanted heights into a new folder with --from-height and --to-height",
    )


def _check_outside(source: Path, ledger: Path) -> None:
    """Nothing is written beside evidence."""
    if not source.exists():
        return
    folder = source.resolve() if source.is_dir() else source.resolve().parent
    if folder in (ledger.resolve(), *ledger.resolve().parents):
        raise UsageError(
            "the ledger would lie inside the folder of the block files, which are only read",
            where=str(ledger),
            todo="choose another place for --ledger",
        )


def _check_target(ledger: Path) -> None:
    """A folder that is not ours is never written to."""
    if not is_ledger(ledger) and not is_vacant(ledger):
        raise UsageError(f"{ledger} exists and is not a ledger", todo="choose an empty or new folder for --ledger")
