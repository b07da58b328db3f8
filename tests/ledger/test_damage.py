"""What reads a damaged ledger ends in a clear error where it can't answer: rows that point nowhere are not followed."""

import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from geldspur.accuracy import unpack_case, write_inputs
from geldspur.errors import GeldspurError
from geldspur.ledger import Ledger, index
from geldspur.ledger.build.compact import compact
from geldspur.ledger.export import export_parquet
from geldspur.ledger.layout import COLUMNS, RUN_TYPES
from geldspur.ledger.views import address_view, block_view, transaction_view
from geldspur.tags import add_packs, open_tags
from geldspur.wallets import build_wallets
from geldspur.wallets.build import Wallets
from geldspur.wallets.why import explain

REMOVED = object()


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("case")
    case = unpack_case(folder / "case")
    inputs = write_inputs(case, folder / "inputs")
    index(case.blocks, folder / "ledger")
    ledger = Ledger(folder / "ledger")
    add_packs(ledger.folder, ledger.network, [inputs.tagpack, inputs.actorpack])
    build_wallets(ledger)
    return ledger.folder, case.blocks


@pytest.fixture(scope="module")
def questions(case):
    """Commands on a ledger's folder, each with arguments that the undamaged one has an answer to."""
    ledger = Ledger(case[0])
    wallet = Wallets(ledger, open_tags(ledger.folder)).wallet
    pair = next(
        s for s in range(ledger.n_scripts) if wallet[s] != s and ledger.address(s) and ledger.address(wallet[s])
    )
    first, second = ledger.address(pair), ledger.address(int(wallet[pair]))
    txid, height = ledger.txid(ledger.n_txs - 1), str(ledger.tip_height)
    return {
        "tx": lambda folder: transaction_view(Ledger(folder, for_look_ups=True), txid),
        "block": lambda folder: block_view(Ledger(folder, for_look_ups=True), height),
        "address": lambda folder: address_view(
            Ledger(folder, for_look_ups=True), first, 50, 1, at_height=100, with_neighbours=True
        ),
        "export": lambda folder: export_parquet(Ledger(folder), folder.parent / "export"),
        "wallets": lambda folder: build_wallets(Ledger(folder)),
        "why": lambda folder: explain(Ledger(folder), open_tags(folder), first, second),
        "compact": compact,
        "index": lambda folder: index(case[1], folder),
    }


def columns_of(ledger: Path) -> list[Path]:
    return sorted([*ledger.glob("columns/*.bin"), *ledger.glob("lookup/*/*.bin")])


@pytest.mark.parametrize("byte", [0x00, 0x7F, 0xFF])
@pytest.mark.parametrize("name", sorted({*COLUMNS, *RUN_TYPES} - {"out_scripts", *(n for n in COLUMNS if "edge" in n)}))
def test_a_column_full_of_one_byte_is_no_reason_to_stumble(name, byte, case, questions, tmp_path):
    for ask in questions.values():
        folder = Path(shutil.copytree(case[0], tmp_path / "ledger"))
        (column,) = (path for path in columns_of(folder) if path.stem == name)
        column.write_bytes(bytes([byte]) * column.stat().st_size)
        with suppress(GeldspurError):
            ask(folder)
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("heights",), REMOVED), (("heights", 1), 10**30), (("counts", "outputs"), 7), (("counts", "blocks"), -1),
        (("network",), ["regtest"]), (("tip_hash",), "zz" * 32), (("overwritten",), [[0, 1]]),
        (("columns", "out_value", "dtype"), "<f8"), (("columns", "tx_id", "shape"), [2**62, 32]),
        (("columns", "in_sequence", "xxh3_128"), None), (("runs",), []), (("runs", 0, "name"), "../columns"),
        (("runs", 0, "outs"), [0, 5]), (("runs", 0, "columns", "outputs", "dtype"), "O"), (("runs", 0, "key", 0), -1),
    ],
)  # fmt: skip
def test_a_manifest_that_was_edited_is_refused_by_every_command(where, value, case, questions, tmp_path):
    folder = Path(shutil.copytree(case[0], tmp_path / "ledger"))
    manifest = json.loads((folder / "manifest.json").read_text())
    inner = manifest
    for key in where[:-1]:
        inner = inner[key]
    if value is REMOVED:
        del inner[where[-1]]
    else:
        inner[where[-1]] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for ask in questions.values():
        with pytest.raises(GeldspurError, match="manifest is damaged"):
            ask(folder)
