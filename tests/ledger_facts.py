"""What a ledger answers, as plain values that two ledgers can be compared by."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from chains import GONE, Branch, expected_of
from geldspur.bitcoin.scripts import ScriptType
from geldspur.ledger import NO_SCRIPT, Ledger
from geldspur.ledger.layout import gone, unspent


def facts_of(ledger: Ledger) -> dict[str, Any]:
    """All rows, and the answer to every look-up that has one."""
    facts: dict[str, Any] = {
        name: getattr(ledger, name).tolist()
        for name in ledger.manifest["columns"]
        if name not in ("script_payload", "block_script")
    }
    facts["in_prevout"] = [row if row < ledger.n_outputs else None for row in facts["in_prevout"]]
    free, lost = unspent(ledger.out_spender.dtype), gone(ledger.out_spender.dtype)
    facts["out_spender"] = [{free: None, lost: GONE}.get(row, row) for row in facts["out_spender"]]
    scripts = [(ScriptType(int(ledger.script_type[s])), ledger.payload(s)) for s in range(ledger.n_scripts)]
    facts["scripts"] = scripts
    facts["tx_index"] = [ledger.tx_index(ledger.txid(t)) for t in range(ledger.n_txs)]
    facts["script_index"] = [ledger.script_index(*key) for key in scripts]
    facts["outputs_of"] = [ledger.outputs_of(s).tolist() for s in range(ledger.n_scripts)]
    facts["balance"] = [ledger.balance_sat(s) for s in range(ledger.n_scripts)]
    facts["tip"] = (ledger.first_height, ledger.tip_height, ledger.tip_hash)
    return facts


def check(folder: Path, branch: Branch) -> Ledger:
    """Compare a ledger with what plain dictionaries make of the branch."""
    ledger, e = Ledger(folder), expected_of(branch)
    facts = facts_of(ledger)
    assert [h.tobytes() for h in ledger.block_hash] == [block.hash for block in branch.blocks]
    assert [h.tobytes() for h in ledger.block_header] == [block.header for block in branch.blocks]
    assert facts["block_size"] == [len(block.raw) for block in branch.blocks]
    assert [i.tobytes() for i in ledger.tx_id] == e.txids
    assert facts["tx_size"] == [len(t.raw) for block in branch.blocks for t in block.txs]
    assert facts["in_prevout"] == e.prevout
    assert facts["out_value"] == e.values
    assert facts["out_spender"] == e.spender
    assert facts["out_script"] == [NO_SCRIPT if s is None else s for s in e.script]
    latest = {txid: row for row, txid in enumerate(e.txids)}
    assert facts["tx_index"] == [latest[txid] for txid in e.txids]
    assert ledger.n_scripts == len(e.scripts)
    assert facts["script_index"] == list(range(len(e.scripts)))
    paid = defaultdict(list)
    for row, script in enumerate(e.script):
        paid[script].append(row)
    assert facts["outputs_of"] == [paid[s] for s in range(len(e.scripts))]
    assert facts["balance"] == e.balances
    assert ledger.tx_index("ab" * 32) is None
    assert ledger.script_index(ScriptType.P2WPKH, b"\x01" * 20) is None
    return ledger


def bytes_of(folder: Path, runs: bool = True) -> dict[str, bytes]:
    """All files of a ledger but its record of the source; without `runs` the columns alone."""
    skip = ("source",) if runs else ("source", "lookup", "manifest.json")
    paths = [p for p in folder.rglob("*") if p.is_file() and p.relative_to(folder).parts[0] not in skip]
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(paths)}


def differing(one: dict[str, bytes], two: dict[str, bytes]) -> list[str]:
    """Names of files that are not the same in both: shorter to read than their bytes."""
    return [name for name in sorted(one.keys() | two.keys()) if one.get(name) != two.get(name)]
