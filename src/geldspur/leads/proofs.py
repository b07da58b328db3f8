"""The transactions that rows rest on, raw, each with the branch that ties it to its block's header."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from geldspur.errors import GeldspurError
from geldspur.leads.schema import Cashout, Join, Lead, Step
from geldspur.ledger import Ledger
from geldspur.progress import SILENT, Progress
from geldspur.proof import merkle
from geldspur.proof.verifier import cited_txids

_ROOT = slice(36, 68)


@dataclass(frozen=True, slots=True)
class Proofs:
    """Lines of proof/blocks.jsonl by height, and of proof/transactions.jsonl by transaction row."""

    blocks: dict[int, bytes]
    transactions: dict[int, bytes]
    height_of: dict[int, int]

    def files(self, txs: Iterable[int], tip: int) -> dict[str, bytes]:
        """The files that prove these transactions and the header at height `tip`."""
        wanted = sorted(set(txs))
        heights = sorted({tip, *(self.height_of[tx] for tx in wanted)})
        return {
            "proof/blocks.jsonl": b"".join(self.blocks[height] for height in heights),
            "proof/transactions.jsonl": b"".join(self.transactions[tx] for tx in wanted),
        }


class Grounds:
    """Finds which transactions of a ledger a row needs in order to be checked without the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def of(self, row: Lead | Cashout) -> set[int]:
        """The transactions that a row cites, and those that funded the inputs that its inferences rest on."""
        content = row.model_dump(mode="json")
        needed = {self._row_of(txid) for txid in cited_txids(content)}
        joins = [join for inference in row.inferences for join in inference.joins]
        about = row.source if isinstance(row, Lead) else row
        for join in [*joins, *([about.tag_join] if about.tag_join else [])]:
            for i, txid in enumerate(join.transactions):
                needed |= self._funding(txid, join.addresses[i : i + 2])
        paths = [row.path, *(other.path for other in row.alternatives)] if isinstance(row, Lead) else [row.path]
        for path in paths:
            for before, step in pairwise(path):
                if step.rule == "co-spend":
                    needed |= self._funding_of_co_spend(before, step, joins)
        if isinstance(row, Lead) and row.source.withdrawal and row.source.tag:
            end = row.source.tag_join.to_address if row.source.tag_join else row.source.tag.address
            needed |= self._funding(row.source.withdrawal.txid, [end])
        return needed

    def _row_of(self, txid: str) -> int:
        found = self.ledger.tx_index(txid)
        if found is None:
            raise GeldspurError(
                f"the leads cite transaction {txid}, which the ledger does not hold",
                where=str(self.ledger.folder),
                todo="give the ledger that the leads were made from",
            )
        return found

    def _spent(self, txid: str) -> list[tuple[str, int]]:
        """(name of the script, transaction that funded it) of each input."""
        ledger = self.ledger
        pairs = []
        for prevout in ledger.prevouts(self._row_of(txid)):
            if prevout is not None:
                tx, vout = prevout
                script = int(ledger.out_script[int(ledger.tx_out[tx]) + vout])
                pairs.append((ledger.script_name(script), tx))
        return pairs

    def _funding(self, txid: str, names: Sequence[str]) -> set[int]:
        """For each name, the transaction that funded the first input of `txid` that spends from it."""
        spent = self._spent(txid)
        found = (next((tx for name, tx in spent if name == wanted), None) for wanted in names)
        return {tx for tx in found if tx is not None}

    def _funding_of_co_spend(self, before: Step, step: Step, joins: Sequence[Join]) -> set[int]:
        """What shows that two steps' spenders are held to be one wallet: an address of both, or a join."""
        here = [name for name, _ in self._spent(step.txid)]
        there = {name for name, _ in self._spent(before.txid)}
        pairs = [(name, name) for name in here if name in there]
        for join in joins:
            ends = join.from_address, join.to_address
            pairs += [(a, b) for a, b in (ends, ends[::-1]) if a in here and b in there]
        if not pairs:
            return set()
        a, b = pairs[0]
        return self._funding(step.txid, [a]) | self._funding(before.txid, [b])


def prove(ledger: Ledger, txs: Iterable[int], progress: Progress = SILENT) -> Proofs:
    """Raw bytes, Merkle branches and headers for transactions, and the header of the ledger's tip.

    Each block's coinbase travels with its own branch: it gives the depth of the tree. Raises GeldspurError
    where the ledger's source can't give the raw bytes, or where the ledger contradicts itself.
    """
    by_height: dict[int, list[int]] = defaultdict(list)
    for tx in sorted(set(txs)):
        by_height[ledger.tx_height(tx)].append(tx)
    by_height.setdefault(ledger.tip_height, [])
    proofs = Proofs({}, {}, {})
    with progress.task("Proving transactions", len(by_height), "blocks") as task:
        for height in sorted(by_height):
            _prove_block(ledger, height, by_height[height], proofs)
            task.advance(1)
    return proofs


def _prove_block(ledger: Ledger, height: int, txs: Sequence[int], proofs: Proofs) -> None:
    header = ledger.header(height)
    tree = merkle.levels([bytes(txid) for txid in ledger.block_txids(height)])
    if tree[-1][0] != header[_ROOT]:
        raise GeldspurError(
            f"the transactions of block {height:,} do not lead to its header's Merkle root",
            where=str(ledger.folder),
            todo="the ledger is damaged: build it again",
        )
    coinbase = ledger.txs_of_block(height)[0]
    try:
        raws = dict(zip([coinbase, *txs], ledger.raw_transactions([coinbase, *txs]), strict=True))
    except GeldspurError as error:
        raise GeldspurError(
            f"packages need the raw transactions, and the ledger's source can't give them: {error.what}",
            where=error.where,
            todo=error.todo or "put the block files back where they were when they were indexed",
        ) from error
    proofs.blocks[height] = _line(
        height=height,
        hash=ledger.block_id(height),
        header=header.hex(),
        coinbase={"raw": raws[coinbase].hex(), "branch": _branch(tree, 0)},
    )
    for tx in txs:
        proofs.height_of[tx] = height
        proofs.transactions[tx] = _line(
            txid=ledger.txid(tx),
            block_hash=ledger.block_id(height),
            height=height,
            position=tx - coinbase,
            raw=raws[tx].hex(),
            branch=_branch(tree, tx - coinbase),
        )


def _branch(tree: Sequence[Sequence[bytes]], position: int) -> list[str]:
    return [sibling[::-1].hex() for sibling in merkle.branch_of(tree, position)]


def _line(**fields: Any) -> bytes:
    return (json.dumps(fields, separators=(",", ":")) + "\n").encode()
