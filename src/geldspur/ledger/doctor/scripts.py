"""Are scripts numbered by their first appearance, and does each payload fit its type?"""

from geldspur.bitcoin.scripts import ScriptType
from geldspur.ledger.doctor import kernels
from geldspur.ledger.doctor.chain import block_pieces
from geldspur.ledger.doctor.faults import Faults
from geldspur.ledger.doctor.report import Findings
from geldspur.ledger.doctor.structure import Store
from geldspur.progress import Progress

_PIECE = 1 << 20


def check_appearance(store: Store, findings: Findings, progress: Progress) -> None:
    """Go through all outputs and count the scripts that are new."""
    if not store.has("out_script"):
        findings.skip("needs out_script")
        return
    out_script = store.columns["out_script"]
    faults, seen = Faults(), 0
    with progress.task("Numbering scripts", len(out_script), "outputs") as task:
        for first in range(0, len(out_script), _PIECE):
            part = out_script[first : first + _PIECE]
            seen, count = kernels.check_appearance(part, first, seen, faults.array)
            for _, row, script in faults.take(count, str(store.path("out_script")), findings):
                what = f"an output pays script {script:,} before lower ones were paid"
                findings.damage(what, store.place("out_script", row))
            task.advance(len(part))
    if seen != store.counts["script"]:
        what = f"outputs pay {seen:,} scripts, the ledger counts {store.counts['script']:,}"
        findings.damage(what, store.place("out_script", 0, len(out_script)))
    findings.looked_at("outputs", len(out_script))
    if missing := store.missing("block_tx", "tx_out", "block_script"):
        findings.skip(f"scripts by block need {', '.join(missing)}")
        return
    block_tx, tx_out, block_script = (store.columns[name] for name in ("block_tx", "tx_out", "block_script"))
    edges = store.counts["edge"]
    seen = kernels.check_appearance(out_script[:edges], 0, 0, faults.array)[0] if edges else 0
    for first, end in block_pieces(block_tx):
        seen, count = kernels.count_appearance(
            block_tx, first, end, tx_out, out_script, seen, block_script, faults.array
        )
        for _, block, scripts in faults.take(count, str(store.path("block_script")), findings):
            what = f"block_script counts {int(block_script[block + 1]):,} scripts, the outputs show {scripts:,}"
            findings.damage(what, store.place("block_script", block + 1))


def check_forms(store: Store, findings: Findings, progress: Progress) -> None:
    """Look at every script's type, length, and where it has no address of its own, at its bytes."""
    if missing := store.missing("script_type", "script_at", "script_payload"):
        findings.skip(f"needs {', '.join(missing)}")
        return
    kind, at, payload = (store.columns[name] for name in ("script_type", "script_at", "script_payload"))
    faults, n = Faults(), store.counts["script"]
    with progress.task("Looking at scripts", n, "scripts") as task:
        for first in range(0, n, _PIECE):
            end = min(first + _PIECE, n)
            count = kernels.check_forms(kind, at, payload, first, end, faults.array)
            for code, row, value in faults.take(count, str(store.path("script_type")), findings):
                findings.damage(_form_text(int(kind[row]), code, value), store.place("script_type", row))
            task.advance(end - first)
    findings.looked_at("scripts", n)


def _form_text(kind: int, code: int, value: int) -> str:
    if code == kernels.NO_SUCH_TYPE:
        return f"a script is of type {kind}, which no stored script has"
    name = ScriptType(kind).label
    if code == kernels.WRONG_LENGTH:
        return f"a {name} script has a payload of {value:,} bytes"
    return f"a script is stored as {name}, but its bytes are {ScriptType(value).label}"
