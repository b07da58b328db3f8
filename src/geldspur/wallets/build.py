"""Building an edition of wallets: judge every transaction, join what is not refused, write both down."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from geldspur.bitcoin.scripts import ScriptType
from geldspur.errors import GeldspurError
from geldspur.ledger import NO_SCRIPT, Ledger
from geldspur.ledger.columns import Array, coherent, open_column, read_json, staging, write_column, write_json
from geldspur.ledger.store import parts
from geldspur.progress import SILENT, Progress
from geldspur.rules import rule
from geldspur.tags import TagEdition, open_tags
from geldspur.wallets import kernels
from geldspur.wallets.verdicts import REFUSED, Verdict

FORMAT = "geldspur-wallets/1"
_STEP = 1 << 16
_PART = 1 << 20
_GUARDS = ("co-spend", "coinjoin-guard", "payjoin-guard", "service-conflict-guard")


@dataclass(frozen=True, slots=True)
class WalletsReport:
    """What `build_wallets` found."""

    edition: str
    scripts: int
    wallets: int
    joined_wallets: int
    joins: int
    largest: int
    verdicts: dict[str, int]


def edition_of(ledger: Ledger, tags: TagEdition) -> str:
    """The name of the wallets edition that this ledger, these tags and these rules make."""
    return hashlib.sha256(json.dumps(_made_from(ledger, tags), sort_keys=True).encode()).hexdigest()[:16]


def _made_from(ledger: Ledger, tags: TagEdition) -> dict[str, Any]:
    rules = [[r.id, r.version, dict(r.parameters)] for r in map(rule, _GUARDS)]
    return {"ledger": ledger.manifest_sha256, "tags": tags.edition, "rules": rules}


def build_wallets(ledger: Ledger, progress: Progress = SILENT) -> WalletsReport:
    """Join the ledger's scripts into wallets and write the edition under `wallets/` of the ledger.

    The tags in use keep wallets of different services apart. The result depends on ledger, tags and rules
    alone.
    """
    tags = open_tags(ledger.folder)
    _refuse_damaged(ledger)
    verdict = _judge(ledger, progress)
    with coherent(ledger.folder):
        actor, _ = service_of_scripts(ledger, tags)
    parent = np.arange(ledger.n_scripts, dtype=np.uint32)
    with progress.task("Joining wallets", None, "transactions"):
        joins = kernels.merge(ledger.tx_in, ledger.in_prevout, ledger.out_script, verdict, actor, parent)
        kernels.mark_single_owner(ledger.tx_in, ledger.in_prevout, ledger.out_script, parent, verdict)
    sizes = np.bincount(parent, minlength=1)
    report = WalletsReport(
        edition_of(ledger, tags), ledger.n_scripts, int((sizes > 0).sum()), int((sizes > 1).sum()), int(joins),
        int(sizes.max()) if ledger.n_scripts else 0,
        {v.label: int(n) for v, n in zip(Verdict, np.bincount(verdict, minlength=len(Verdict)), strict=True)},
    )  # fmt: skip
    with staging(ledger.folder / "wallets" / report.edition) as work:
        entries = {
            "wallet": write_column(work, "wallet", parent),
            "verdict": write_column(work, "verdict", verdict),
        }
        content = {
            "format": FORMAT, "made_from": _made_from(ledger, tags), "columns": entries,
            "counts": {"wallets": report.wallets, "joins": report.joins, "verdicts": report.verdicts},
        }  # fmt: skip
        write_json(work / "manifest.json", content)
    return report


def _refuse_damaged(ledger: Ledger) -> None:
    """Kernels follow what these columns point at: rows that don't exist are a `GeldspurError`, and never looked at."""
    damaged = [
        name
        for name, starts, rows in (
            ("tx_in", ledger.tx_in, ledger.n_inputs),
            ("tx_out", ledger.tx_out, ledger.n_outputs),
        )
        if starts[-1] != rows or not all((part[1:] >= part[:-1]).all() for part in _overlapping(starts))
    ]
    if not all(((part < ledger.n_scripts) | (part == NO_SCRIPT)).all() for part in parts(ledger.out_script)):
        damaged.append("out_script")
    if damaged:
        raise GeldspurError(
            f"columns of the ledger are damaged: {', '.join(damaged)}",
            where=str(ledger.folder / "columns"),
            todo=f"geldspur doctor --ledger {ledger.folder} tells where; index again into a new folder",
        )


def _overlapping(rows: Array) -> Iterator[Array]:
    """Slices of bounded length, each with the first row of the next."""
    return (rows[at : at + _PART + 1] for at in range(0, len(rows), _PART))


def _judge(ledger: Ledger, progress: Progress) -> np.ndarray[Any, Any]:
    coinjoin, payjoin = rule("coinjoin-guard").parameters, rule("payjoin-guard").parameters
    verdict = np.zeros(ledger.n_txs, np.uint8)
    with progress.task("Judging transactions", ledger.n_txs, "transactions") as task:
        for first in range(0, ledger.n_txs, _STEP):
            end = min(first + _STEP, ledger.n_txs)
            kernels.judge(
                first, end, ledger.tx_in, ledger.tx_out, ledger.in_prevout, ledger.in_sequence, ledger.out_script,
                ledger.out_value, ledger.script_type, coinjoin["dust_floor_sat"], coinjoin["min_equal_outputs"],
                coinjoin["wasabi_equal_outputs"], payjoin["round_unit_sat"], payjoin["min_change_sat"],
                payjoin["few_inputs"], verdict,
            )  # fmt: skip
            task.advance(end - first)
    return verdict


def service_of_scripts(ledger: Ledger, tags: TagEdition) -> tuple[np.ndarray[Any, Any], list[str]]:
    """The service that cluster-defining tags name for each script: (int32[S], 0 where none; names by number)."""
    names = sorted({tags.service_of(tag) for tag in tags.tags if tag.is_cluster_definer})
    number = {name: k + 1 for k, name in enumerate(names)}
    actor = np.zeros(ledger.n_scripts, np.int32)
    for tag in sorted(tags.tags, key=lambda t: (t.confidence_level or 0, tags.service_of(t))):
        script = ledger.script_index(ScriptType(tag.script_type), tag.payload)
        if tag.is_cluster_definer and script is not None:
            actor[script] = number[tags.service_of(tag)]
    return actor, ["", *names]


class Wallets:
    """An edition of wallets, opened read-only: `wallet` uint32[S], `verdict` uint8[T]."""

    def __init__(self, ledger: Ledger, tags: TagEdition) -> None:
        self.edition = edition_of(ledger, tags)
        folder = ledger.folder / "wallets" / self.edition
        if not (folder / "manifest.json").is_file():
            raise GeldspurError(
                "no wallets for this ledger, these tags and these rules",
                where=str(folder.parent),
                todo=f"build them with: geldspur wallets build --ledger {ledger.folder}",
            )
        manifest = read_json(folder / "manifest.json", "the wallets' manifest")
        self.counts: dict[str, Any] = manifest["counts"]
        self.wallet = open_column(folder, "wallet", manifest["columns"]["wallet"])
        self.verdict = open_column(folder, "verdict", manifest["columns"]["verdict"])
        self.ledger = ledger
        if len(self.wallet) != ledger.n_scripts or len(self.verdict) != ledger.n_txs:
            raise GeldspurError("the wallets' manifest is damaged", where=str(folder), todo="build them again")

    def input_scripts(self, tx: int) -> list[int]:
        """The distinct scripts that a transaction's inputs spend from, in order of first appearance."""
        scripts = (int(self.ledger.out_script[r]) for r in self.ledger.spent_by_tx(tx))
        return list(dict.fromkeys(s for s in scripts if s != NO_SCRIPT))

    def payer(self, tx: int) -> int | None:
        """The wallet that paid a transaction; None for a coinbase or where several owners may have signed."""
        scripts = self.input_scripts(tx)
        if not scripts or self.verdict[tx] in REFUSED:
            return None
        return int(self.wallet[scripts[0]])
