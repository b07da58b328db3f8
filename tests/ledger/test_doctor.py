import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from geldspur.accuracy.chain import simulate_blocks
from geldspur.cli.app import app
from geldspur.errors import GeldspurError, UsageError
from geldspur.ledger import Ledger, index
from geldspur.ledger.build.compact import compact
from geldspur.ledger.columns import write_json
from geldspur.ledger.doctor import Report, examine
from geldspur.ledger.layout import PRIMARY
from geldspur.ledger.lookup.runs import COLUMNS as RUN_COLUMNS
from geldspur.ledger.manifests import writing
from tiny_chain import read_block_file, sha256d

MAGIC = b"\xfa\xbf\xb5\xda"
RUN_OF_ALL = tuple(name for name in RUN_COLUMNS if name != "out_scripts")
CHECKS = [
    "structure", "checksums", "chain", "offsets", "references", "sizes", "merkle roots", "links", "spenders", "money",
    "script ids", "script forms", "look-ups", "outputs by script", "look-ups by hand", "checksums of parts",
]  # fmt: skip


def copied(ledger: Path, to: Path) -> Path:
    return Path(shutil.copytree(ledger, to))


def add_blocks(folder: Path, ledger: Ledger, on: int, said_heights) -> None:
    """Mine blocks on the one of height `on`; each one's coinbase says a height, and equal ones have equal ids."""
    mine = pytest.importorskip("core_engine").mine
    previous, seconds, records = bytes.fromhex(ledger.block_id(on))[::-1], int(ledger.block_time[on]), b""
    for height in said_heights:
        seconds += 600
        block = mine(previous, height, seconds)
        previous = sha256d(block[:80])
        records += MAGIC + len(block).to_bytes(4, "little") + block
    (folder / f"blk{len(list(folder.glob('blk*.dat'))):05}.dat").write_bytes(records)


@pytest.fixture(scope="module")
def appended(blocks, tmp_path_factory) -> Path:
    """A ledger of several look-up runs."""
    folder = tmp_path_factory.mktemp("appended") / "ledger"
    for height in (400, 700, 780, None):
        index(blocks, folder, to_height=height)
    return folder


@pytest.fixture(scope="module")
def reorganised(blocks, tmp_path_factory) -> Path:
    """A ledger whose last blocks were rolled back for a heavier fork: its first run holds rows that don't count."""
    folder = tmp_path_factory.mktemp("reorganised")
    copied(blocks, folder / "blocks")
    tip = index(folder / "blocks", folder / "ledger").tip_height
    fork = tip - 30
    add_blocks(folder / "blocks", Ledger(folder / "ledger"), fork, range(fork + 1, tip + 3))
    report = index(folder / "blocks", folder / "ledger")
    assert (report.blocks_rolled_back, report.tip_height) == (30, tip + 2)
    return folder / "ledger"


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> Path:
    """A ledger of more than two segments of a thousand heights."""
    folder = tmp_path_factory.mktemp("long")
    simulate_blocks(folder / "blocks", 4600, blocks=2300, undo=True)
    index(folder / "blocks", folder / "ledger")
    return folder / "ledger"


@contextmanager
def changed(path: Path, data: bytes | None) -> Iterator[None]:
    """A file with other content, or without `data` none, for a while."""
    before = path.read_bytes()
    try:
        path.unlink()
        if data is not None:
            path.write_bytes(data)
        yield
    finally:
        path.write_bytes(before)


@contextmanager
def flipped(path: Path, offset: int, bits: int = 0x10) -> Iterator[None]:
    data = bytearray(path.read_bytes())
    data[offset] ^= bits
    with changed(path, bytes(data)):
        yield


def damage(report: Report) -> list:
    return [finding for finding in report.findings if finding.severity == "damage"]


def names(report: Report, path: Path, offset: int) -> bool:
    """Does a finding name the file, and a range of bytes that holds the offset?"""
    return any(
        f.where.file == str(path) and f.where.bytes and f.where.bytes[0] <= offset < f.where.bytes[1]
        for f in damage(report)
    )  # fmt: skip


def run_folders(ledger: Path) -> list[Path]:
    return [ledger / "lookup" / run["name"] for run in json.loads((ledger / "manifest.json").read_text())["runs"]]


# Sound ledgers


def test_a_sound_ledger_has_no_finding_and_every_check_says_what_it_looked_at(whole):
    report = examine(whole, with_source=True)
    assert (report.sound, report.findings) == (True, [])
    assert [check.name for check in report.checks] == [*CHECKS, "source"]
    assert all(check.looked_at and not check.skipped for check in report.checks)
    seen = {check.name: check.looked_at for check in report.checks}
    ledger = Ledger(whole)
    assert seen["merkle roots"] == {"blocks": ledger.n_blocks, "transactions": ledger.n_txs}
    assert seen["spenders"] == {"outputs": ledger.n_outputs}
    assert seen["look-ups"] == {"transactions": ledger.n_txs, "scripts": ledger.n_scripts}
    assert seen["source"] == {
        "blocks": ledger.n_blocks, "transactions": ledger.n_txs, "inputs": ledger.n_inputs, "outputs": ledger.n_outputs
    }  # fmt: skip
    spent = np.asarray(ledger.out_spender) < ledger.n_inputs
    unspendable = np.asarray(ledger.out_script) == 0xFFFFFFFF
    assert report.amounts["unspent_sat"] == int(ledger.out_value[~spent & ~unspendable].sum())
    assert report.amounts["unspendable_sat"] == int(ledger.out_value[~spent & unspendable].sum())
    assert report.amounts["subsidy_sat"] == sum(50 * 10**8 >> height // 150 for height in range(ledger.n_blocks))
    assert report.amounts["of_which_genesis_sat"] == 50 * 10**8


@pytest.mark.parametrize("case", ["S", "A", "A-ooo", "A-xor"])
def test_ledgers_of_the_shared_cases_are_sound(case, unpacked, tmp_path):
    index(unpacked(case) / "blocks", tmp_path / "ledger")
    report = examine(tmp_path / "ledger", with_source=True)
    assert (report.sound, report.findings) == (True, [])


def test_ledgers_are_sound_after_appends_a_reorg_and_a_compaction(appended, reorganised, tmp_path):
    for ledger in (appended, reorganised):
        assert len(run_folders(ledger)) > 1
        report = examine(ledger, with_source=True)
        assert (report.sound, damage(report)) == (True, [])
        assert examine(ledger, only_bytes=True).sound
    runs = json.loads((reorganised / "manifest.json").read_text())["runs"]
    assert runs[0]["cut"]
    compact(copied(reorganised, tmp_path / "ledger"))
    assert examine(tmp_path / "ledger").findings == []


def test_a_period_ledger_is_sound_and_its_edges_are_looked_at(long, tmp_path):
    index(long.parent / "blocks", tmp_path / "ledger", from_height=900, to_height=2100)
    report = examine(tmp_path / "ledger", with_source=True)
    assert (report.sound, report.findings) == (True, [])
    assert examine(tmp_path / "ledger", only_bytes=True).sound
    edges = Ledger(tmp_path / "ledger").n_edges
    assert {check.name: check.looked_at for check in report.checks}["spenders"]["edges"] == edges > 0
    for column in ("edge_txid", "edge_vout", "edge_height"):
        path = tmp_path / "ledger" / "columns" / f"{column}.bin"
        offset = path.stat().st_size // 2
        with flipped(path, offset):
            assert names(examine(tmp_path / "ledger"), path, offset)
    for column, dtype in (("edge_txid", "u1"), ("edge_vout", "<u4")):
        path = tmp_path / "ledger" / "columns" / f"{column}.bin"
        values = np.fromfile(path, dtype)
        with changed(path, path.read_bytes()):
            assert rewritten(tmp_path / "ledger", column, dtype, 3, int(values[3]) ^ 1).sound
            assert column in source_names(tmp_path / "ledger")
            path.unlink()
            values.tofile(path)
            resealed(tmp_path / "ledger")
    assert examine(tmp_path / "ledger", with_source=True).sound


@pytest.mark.parametrize("at_once", [True, False])
def test_transactions_that_were_overwritten_are_known(at_once, blocks, tmp_path):
    """Two blocks whose coinbases are the same transaction, as there were two pairs before BIP30."""
    folder = copied(blocks, tmp_path / "blocks")
    tip = index(folder, tmp_path / "first").tip_height
    add_blocks(folder, Ledger(tmp_path / "first"), tip, [200, 201, 200])
    if not at_once:
        index(folder, tmp_path / "ledger", to_height=tip + 1)
    index(folder, tmp_path / "ledger")
    ledger = Ledger(tmp_path / "ledger")
    earlier, later = (ledger.txs_of_block(tip + k)[0] for k in (1, 3))
    assert examine(ledger.folder, with_source=True).findings == []
    row = int(ledger.tx_out[earlier])
    assert examine(ledger.folder, only_bytes=True).sound
    report = rewritten(ledger.folder, "out_spender", "<u4", row, 0xFFFFFFFF)
    assert [f.where.rows for f in damage(report)] == [(row, row + 1)]
    assert says_of_spenders(ledger.folder) == ["outputs that nobody spends don't say so"]
    manifest = json.loads((ledger.folder / "manifest.json").read_text())
    assert manifest["overwritten"] == [[later, earlier]]
    rewritten(ledger.folder, "out_spender", "<u4", row, 0xFFFFFFFE)
    write_json(ledger.folder / "manifest.json", manifest | {"overwritten": []})
    assert {f.check for f in damage(examine(ledger.folder))} == {"look-ups", "spenders"}


def test_row_numbers_of_eight_bytes_are_understood(blocks, tmp_path, monkeypatch):
    monkeypatch.setattr("geldspur.ledger.layout.NARROW_LIMIT", 100)
    monkeypatch.setattr("geldspur.ledger.doctor.structure.NARROW_LIMIT", 100)
    index(blocks, tmp_path / "ledger")
    assert Ledger(tmp_path / "ledger").in_prevout.dtype.itemsize == 8
    assert examine(tmp_path / "ledger", with_source=True).findings == []
    assert examine(tmp_path / "ledger", only_bytes=True).findings == []
    path = tmp_path / "ledger" / "columns" / "out_spender.bin"
    offset = path.stat().st_size // 16 * 8
    with flipped(path, offset):
        assert names(examine(tmp_path / "ledger"), path, offset)


def test_sums_survive_the_largest_amounts(whole):
    """The whole of all money in one output is no overflow, but more than the block may make."""
    path = whole / "columns" / "out_value.bin"
    values = np.fromfile(path, "<i8")
    for amount in (21_000_000 * 10**8, 21_000_000 * 10**8 + 1, -1, 2**63 - 1, -(2**63)):
        values[:] = amount
        with changed(path, values.tobytes()):
            found = [f for f in damage(examine(whole)) if f.check == "money"]
        assert found, amount
        assert all(f.where.file == str(path) for f in found)


# Damaged ledgers


@pytest.mark.parametrize("column", [c.name for c in PRIMARY if c.axis != "edge"] + ["out_spender"])
def test_a_flipped_byte_in_a_column_is_found_where_it_is(column, whole):
    path = whole / "columns" / f"{column}.bin"
    offset = path.stat().st_size // 2
    for quick in (False, True):
        with flipped(path, offset):
            report = examine(whole, quick=quick)
        assert not report.sound
        assert names(report, path, offset)


@pytest.mark.parametrize("column", RUN_OF_ALL)
def test_a_flipped_byte_in_a_look_up_is_found_where_it_is(column, whole):
    path = run_folders(whole)[0] / f"{column}.bin"
    for offset in (0, path.stat().st_size // 2, path.stat().st_size - 1):
        with flipped(path, offset):
            report = examine(whole)
        assert {Path(str(f.where.file)).parent.parent.name for f in damage(report)} == {"lookup"}
        assert names(report, path, offset), (column, offset)


@pytest.mark.parametrize("column", RUN_COLUMNS)
def test_a_flipped_byte_in_an_appended_run_is_found_where_it_is(column, appended):
    path = run_folders(appended)[1] / f"{column}.bin"
    offset = path.stat().st_size // 2
    with flipped(path, offset):
        assert names(examine(appended), path, offset)


def test_only_the_damaged_thousand_heights_are_named(long):
    assert examine(long).sound
    ledger = Ledger(long)
    starts = {"tx_locktime": ledger.block_tx, "block_size": np.arange(ledger.n_blocks + 1)}
    for column, start in starts.items():
        path = long / "columns" / f"{column}.bin"
        offset = 4 * (int(start[1500]))
        with flipped(path, offset):
            (found,) = [f for f in damage(examine(long)) if f.check == "checksums"]
        assert (found.where.heights, found.where.segment) == ((1000, 1999), 1)
        assert found.where.bytes == (4 * int(start[1000]), 4 * int(start[2000]))


def test_damage_to_what_says_where_segments_begin_is_not_blamed_on_others(long):
    path = long / "columns" / "block_tx.bin"
    for block in (500, 1000, 1500, 2000):
        with flipped(path, 8 * block, 0x01):
            found = [f for f in damage(examine(long)) if f.check == "checksums"]
        assert {f.where.file for f in found} == {str(path)}


def test_files_that_are_gone_short_or_of_others_are_found(whole, tmp_path):
    run = run_folders(whole)[0]
    for path in sorted([*(whole / "columns").iterdir(), *(run / f"{name}.bin" for name in RUN_OF_ALL)]):
        data = path.read_bytes()
        if not data:
            continue
        for content in (None, b"", data[:-1]):
            with changed(path, content):
                assert str(path) in {f.where.file for f in damage(examine(whole))}, (path, content and len(content))


def test_files_that_changed_places_are_found(whole, appended):
    first, second = run_folders(appended)[:2]
    for name in ("tx_order.bin", "script_tag.bin", "outputs.bin"):
        one, other = (first / name).read_bytes(), (second / name).read_bytes()
        with changed(first / name, other), changed(second / name, one):
            found = {f.where.file for f in damage(examine(appended))}
        assert str(first / name) in found
    columns = whole / "columns"
    size, locktime = (columns / "tx_size.bin").read_bytes(), (columns / "tx_locktime.bin").read_bytes()
    with changed(columns / "tx_size.bin", locktime), changed(columns / "tx_locktime.bin", size):
        found = {f.where.file for f in damage(examine(whole))}
    assert {str(columns / "tx_size.bin"), str(columns / "tx_locktime.bin")} <= found


def test_what_is_left_behind_the_rows_is_a_note(whole):
    path = whole / "columns" / "tx_size.bin"
    size = path.stat().st_size
    with changed(path, path.read_bytes() + b"more"):
        report = examine(whole)
    (note,) = report.findings
    assert (report.sound, note.severity, note.where.bytes) == (True, "note", (size, size + 4))


def test_strays_and_stopped_changes_are_told(whole, tmp_path):
    ledger = copied(whole, tmp_path / "ledger")
    (ledger / "columns" / "tx_in.partial").write_bytes(b"x")
    (ledger / "lookup" / "other").mkdir()
    (ledger / "notes.txt").write_text("mine")
    report = examine(ledger)
    assert report.sound
    assert {Path(str(f.where.file)).name for f in report.findings} == {"tx_in.partial", "other", "notes.txt"}
    write_json(ledger / "pending.json", {"trim": True})
    assert examine(ledger).sound, "with a manifest in place the change was not begun, or all of it was done"
    (ledger / "manifest.json").rename(ledger / "manifest.before.json")
    assert "stopped in the middle" in damage(examine(ledger))[0].what
    (ledger / "manifest.before.json").unlink()
    assert {f.check for f in damage(examine(ledger))} == {"structure"}
    assert not examine(tmp_path).sound


# Damage that has the checksum of its bytes: what a wrong program would have written


def resealed(ledger: Path) -> None:
    from geldspur.ledger.build import commit
    from geldspur.ledger.manifests import counts_of, read_manifest, types_of

    manifest = read_manifest(ledger)
    types, counts = types_of(manifest), counts_of(manifest)
    sums = commit.checksums(ledger / "columns", types, counts, manifest["heights"][0], {}, 0)
    for name, digests in sums.items():
        manifest["columns"][name]["xxh3_128"] = digests
    write_json(ledger / "manifest.json", manifest)


def rewritten(ledger: Path, column: str, dtype: str, row: int, value: int) -> Report:
    path = ledger / "columns" / f"{column}.bin"
    array = np.fromfile(path, dtype)
    array[row] = value
    array.tofile(path)
    resealed(ledger)
    return examine(ledger)


def a_spend(ledger: Ledger) -> tuple[int, int]:
    """An input row that spends an output of another block, and that output's row."""
    row = int(np.flatnonzero(np.asarray(ledger.in_prevout) < ledger.n_outputs)[-1])
    return row, int(ledger.in_prevout[row])


@pytest.fixture
def own(whole, tmp_path) -> Path:
    return copied(whole, tmp_path / "own")


def found_by(report: Report) -> dict[str, str]:
    return {f.check: Path(str(f.where.file)).name for f in damage(report)}


def test_an_input_that_spends_its_own_future_is_found(own):
    ledger = Ledger(own)
    row, _ = a_spend(ledger)
    tx = ledger.tx_of_input(row)
    report = rewritten(own, "in_prevout", "<u4", row, int(ledger.tx_out[tx]))
    found = next(f for f in damage(report) if f.check == "links")
    assert found.where.rows == (row, row + 1)
    assert found.where.heights == (ledger.tx_height(tx),) * 2


def test_an_output_that_is_spent_twice_is_found(own):
    ledger = Ledger(own)
    row, output = a_spend(ledger)
    other = next(i for i, o in enumerate(ledger.in_prevout.tolist()) if o < ledger.n_outputs and o != output)
    report = rewritten(own, "in_prevout", "<u4", row, int(ledger.in_prevout[other]))
    twice = [f for f in damage(report) if f.check == "spenders" and "in_prevout" in str(f.where.file)]
    assert [f.where.rows for f in twice] == [(row, row + 1)]


@pytest.mark.parametrize("wrong", ["another", "unspent", "gone", "senseless"])
def test_a_wrong_spender_is_found(wrong, own):
    ledger = Ledger(own)
    row, output = a_spend(ledger)
    value = {"another": row - 1, "unspent": 0xFFFFFFFF, "gone": 0xFFFFFFFE, "senseless": ledger.n_inputs}[wrong]
    report = rewritten(own, "out_spender", "<u4", output, value)
    found = [f for f in damage(report) if f.check == "spenders"]
    assert [f.where.rows for f in found] == [(output, output + 1)]
    assert says_of_spenders(own) == ["it doesn't say what the inputs spend"]


@pytest.mark.parametrize("wrong", ["spent", "gone", "senseless"])
def test_that_an_output_is_unspent_is_compared_before_leads_are_made(wrong, own):
    ledger = Ledger(own)
    assert says_of_spenders(own) == []
    output = int(np.flatnonzero(np.asarray(ledger.out_spender) == 0xFFFFFFFF)[-1])
    value = {"spent": 3, "gone": 0xFFFFFFFE, "senseless": ledger.n_inputs + 1}[wrong]
    rewritten(own, "out_spender", "<u4", output, value)
    (said,) = says_of_spenders(own)
    assert said == (
        "it doesn't say what the inputs spend" if wrong == "spent" else "outputs that nobody spends don't say so"
    )


def test_spenders_that_were_exchanged_are_found_by_their_sum(own):
    """Each of the two is an input's row, and there are as many of them as before."""
    path = own / "columns" / "out_spender.bin"
    spender = np.fromfile(path, "<u4")
    one, other = np.flatnonzero(spender < Ledger(own).n_inputs)[[0, -1]]
    spender[[one, other]] = spender[[other, one]]
    spender.tofile(path)
    assert says_of_spenders(own) == ["it doesn't say what the inputs spend"]


def says_of_spenders(ledger: Path) -> list[str]:
    """What the comparison that leads begin with says of out_spender."""
    found = damage(examine(ledger, only_bytes=True))
    assert {Path(str(f.where.file)).name for f in found} <= {"out_spender.bin"}
    return [f.what.removeprefix("the column out_spender is damaged: ") for f in found]


def test_a_coinbase_that_takes_a_satoshi_too_many_is_found(own):
    ledger = Ledger(own)
    height = next(h for h in range(ledger.tip_height, 0, -1) if np.diff(ledger.txs_of_block(h))[0] > 1)
    first, end = ledger.txs_of_block(height)
    fees = sum(ledger.fee_sat(tx) or 0 for tx in range(first + 1, end))
    outputs = slice(int(ledger.tx_out[first]), int(ledger.tx_out[first + 1]))
    room = (50 * 10**8 >> height // 150) + fees - int(ledger.out_value[outputs].sum())
    value = int(ledger.out_value[outputs.start])
    right = rewritten(own, "out_value", "<i8", outputs.start, value + room)
    assert not [f for f in damage(right) if f.check == "money"]
    wrong = rewritten(own, "out_value", "<i8", outputs.start, value + room + 1)
    found = [f for f in damage(wrong) if f.check == "money"]
    assert [f.where.heights for f in found] == [(height, height)]
    assert "takes 1 satoshi too many" in found[0].what
    assert found[0].where.rows == (outputs.start, outputs.stop)


def test_a_transaction_that_pays_more_than_it_spends_is_found(own):
    ledger = Ledger(own)
    row, _ = a_spend(ledger)
    tx = ledger.tx_of_input(row)
    output, fee = int(ledger.tx_out[tx]), ledger.fee_sat(tx)
    assert fee is not None
    report = rewritten(own, "out_value", "<i8", output, int(ledger.out_value[output]) + fee + 1)
    found = [f for f in damage(report) if f.check == "money"]
    assert "1 satoshi more than it spends" in found[0].what
    assert found[0].where.rows == (int(ledger.tx_out[tx]), int(ledger.tx_out[tx + 1]))


def test_a_transaction_id_that_the_header_does_not_vouch_for_is_found(own):
    ledger = Ledger(own)
    height = ledger.tip_height - 3
    tx = ledger.txs_of_block(height)[0]
    report = rewritten(own, "tx_id", "u1", 32 * tx + 5, int(ledger.tx_id[tx, 5]) ^ 1)
    (found,) = [f for f in damage(report) if f.check == "merkle roots"]
    assert found.where.heights == (height, height)
    assert found.where.rows == ledger.txs_of_block(height)


def test_headers_that_are_no_chain_are_found(own):
    ledger = Ledger(own)
    nonce = int(ledger.block_header[70, 76])
    report = rewritten(own, "block_header", "u1", 80 * 70 + 76, nonce ^ 1)
    found = [f for f in damage(report) if f.check == "chain"]
    whats = " ".join(f.what for f in found)
    assert "not that of its header" in whats
    assert "doesn't name the block before it" in whats
    assert {h for f in found for h in f.where.heights or ()} == {70, 71}


def test_sizes_that_do_not_add_up_are_found(own):
    ledger = Ledger(own)
    tx = ledger.txs_of_block(77)[0]
    report = rewritten(own, "tx_size", "<u4", tx, int(ledger.tx_size[tx]) + 1)
    assert [f.where.heights for f in damage(report)] == [(77, 77)]
    report = rewritten(own, "tx_base_size", "<u4", tx, 1_500_000)
    assert {f.check for f in damage(report)} == {"sizes"}
    assert any("weighs more" in f.what for f in damage(report))


def test_scripts_out_of_order_of_the_wrong_form_or_twice_are_found(own, whole, tmp_path):
    ledger = Ledger(own)
    last = int(np.flatnonzero(np.asarray(ledger.out_script) == ledger.n_scripts - 1)[0])
    assert "script ids" in found_by(rewritten(own, "out_script", "<u4", last, 0))
    other = copied(whole, tmp_path / "other")
    kinds = np.asarray(ledger.script_type)
    hashes = np.flatnonzero((kinds >= 2) & (kinds <= 4))
    report = rewritten(other, "script_type", "u1", int(hashes[0]), 6)
    assert found_by(report)["script forms"] == "script_type.bin"
    twin = copied(whole, tmp_path / "twin")
    same = next((int(a), int(b)) for a, b in pairwise(hashes) if kinds[a] == kinds[b])
    path = twin / "columns" / "script_payload.bin"
    payload = np.fromfile(path, np.uint8)
    at = [int(ledger.script_at[s]) for s in same]
    payload[at[1] : at[1] + 20] = payload[at[0] : at[0] + 20]
    payload.tofile(path)
    resealed(twin)
    shutil.rmtree(run_folders(twin)[0])
    compact(twin)
    (found,) = damage(examine(twin))
    assert (found.check, found.where.rows) == ("look-ups", (same[1], same[1] + 1))
    assert f"the same as script {same[0]:,}" in found.what


# The source


def source_names(ledger: Path) -> dict[str, tuple]:
    """Columns that the comparison with the source names, with the rows and heights of the first finding."""
    named: dict[str, tuple] = {}
    for found in damage(examine(ledger, with_source=True)):
        if found.check == "source":
            for column in PRIMARY:
                if re.search(rf"\b{column.name}\b", found.what):
                    named.setdefault(column.name, (found.where.rows, found.where.heights))
    return named


def in_place(ledger: Path, column: str, change) -> None:
    """Change a column's array, and give it the checksums of what it then is."""
    entry = json.loads((ledger / "manifest.json").read_text())["columns"][column]
    path = ledger / "columns" / f"{column}.bin"
    array = np.fromfile(path, entry["dtype"])
    change(array)
    array.tofile(path)
    resealed(ledger)


def swap(one: int, other: int):
    def change(array: np.ndarray) -> None:
        assert array[one] != array[other]
        array[[one, other]] = array[[other, one]]

    return change


def add(row: int, more: int, *, to: int | None = None):
    def change(array: np.ndarray) -> None:
        array[row] = int(array[row]) + more
        if to is not None:
            array[to] = int(array[to]) - more

    return change


def made_anew(ledger: Path) -> None:
    """Make look-ups that fit the columns, whatever these say."""
    for run in run_folders(ledger):
        shutil.rmtree(run)
    compact(ledger)


def a_payment(ledger: Ledger) -> int:
    """A transaction of several inputs and outputs, not the first of its block."""
    several = [np.diff(np.asarray(column).astype(np.int64)) > 1 for column in (ledger.tx_in, ledger.tx_out)]
    return int(np.flatnonzero(several[0] & several[1])[5])


def only_the_source_tells(ledger: Path) -> dict[str, tuple]:
    plain = examine(ledger)
    assert (plain.sound, damage(plain)) == (True, [])
    return source_names(ledger)


@pytest.mark.parametrize(
    ("column", "more"),
    [("tx_version", 1), ("tx_locktime", 1), ("tx_base_size", -1), ("in_sequence", -1), ("in_signs", 1),
     ("tx_size", 1), ("out_value", 1)],
)  # fmt: skip
def test_facts_rewritten_with_their_checksums_are_not_those_of_the_source(column, more, own):
    ledger = Ledger(own)
    tx = a_payment(ledger)
    height = ledger.tx_height(tx)
    row = {"tx": tx, "in": int(ledger.tx_in[tx]), "out": int(ledger.tx_out[tx])}[column.partition("_")[0]]
    # Sums are looked at: what one row gets another gives.
    other = {"out_value": row + 1, "tx_size": ledger.txs_of_block(height)[0]}.get(column)
    in_place(own, column, add(row, more, to=other))
    first = min(row, row if other is None else other)
    assert only_the_source_tells(own) == {column: ((first, first + 1), (height, height))}


def test_inputs_that_were_given_each_others_outputs_are_not_those_of_the_source(own):
    ledger = Ledger(own)
    tx = a_payment(ledger)
    row = int(ledger.tx_in[tx])
    spent = [int(output) for output in ledger.in_prevout[row : row + 2]]
    in_place(own, "in_prevout", swap(row, row + 1))
    in_place(own, "out_spender", swap(*spent))
    made_anew(own)
    assert only_the_source_tells(own) == {"in_prevout": ((row, row + 1), (ledger.tx_height(tx),) * 2)}


def test_an_output_that_was_given_another_script_is_not_that_of_the_source(own):
    ledger = Ledger(own)
    paid = np.asarray(ledger.out_script)
    scripts, appeared = np.unique(paid, return_index=True)
    again = np.setdiff1d(np.flatnonzero(paid != 0xFFFFFFFF), appeared)
    first = int(again[-1])
    other = int(scripts[(appeared < first) & (scripts != paid[first]) & (scripts != 0xFFFFFFFF)][3])
    in_place(own, "out_script", add(first, other - int(paid[first])))
    made_anew(own)
    named = only_the_source_tells(own)
    assert named["out_script"][0] == (first, first + 1)


def test_a_script_that_was_rewritten_is_not_that_of_the_source(own):
    ledger = Ledger(own)
    kinds = np.asarray(ledger.script_type)
    script = int(np.flatnonzero((kinds >= 2) & (kinds <= 6))[9])
    first = int(np.flatnonzero(np.asarray(ledger.out_script) == script)[0])
    in_place(own, "script_payload", add(int(ledger.script_at[script]) + 7, 1))
    made_anew(own)
    named = only_the_source_tells(own)
    assert named["script_payload"] == named["out_script"]
    assert named["script_payload"][0] == (first, first + 1)


@pytest.mark.parametrize("column", [c.name for c in PRIMARY if c.axis != "edge"])
def test_whatever_column_was_rewritten_is_named(column, own):
    in_place(own, column, lambda array: array.__setitem__(len(array) // 2, array[len(array) // 2] ^ 1))
    found = damage(examine(own, with_source=True))
    assert "checksums" not in {f.check for f in found}
    assert any(re.search(rf"\b{column}\b", f"{f.what} {f.where.file}") for f in found)
    # How many scripts there were before a block no block says: the order of appearance does.
    if column != "block_script":
        assert "source" in {f.check for f in found}


def test_a_source_that_has_changed_is_found(blocks, tmp_path):
    copied(blocks, tmp_path / "blocks")
    index(tmp_path / "blocks", tmp_path / "ledger")
    file = sorted((tmp_path / "blocks").glob("blk*.dat"))[0]
    block = read_block_file(file.read_bytes(), MAGIC)[20]
    offset = file.read_bytes().index(block.txs[0].raw) + len(block.txs[0].raw) - 2
    height = Ledger(tmp_path / "ledger").block_index(block.hash)
    with flipped(file, offset):
        report = examine(tmp_path / "ledger", with_source=True)
        (found,) = damage(report)
        assert (found.check, found.where.heights) == ("source", (height, height))
        assert examine(tmp_path / "ledger").sound
        few = examine(tmp_path / "ledger", with_source=True, sample=2)
        assert (few.checks[-1].sampled, few.checks[-1].looked_at["blocks"]) == (True, 2)
    file.unlink()
    assert {f.check for f in damage(examine(tmp_path / "ledger", with_source=True))} == {"source"}
    with flipped(tmp_path / "ledger" / "source" / "block_offset.bin", 8):
        assert "checksum" in damage(examine(tmp_path / "ledger", with_source=True))[0].what
    for content in (b"", b"[]", b"{}", b'{"sources": 3, "columns": {}}'):
        with changed(tmp_path / "ledger" / "source" / "source.json", content):
            assert {f.check for f in damage(examine(tmp_path / "ledger", with_source=True))} == {"source"}


@pytest.mark.parametrize("column", ["in_sequence", "tx_locktime", "out_value", "tx_out"])
def test_damage_is_not_given_a_new_checksum_by_an_append(column, blocks, tmp_path):
    index(blocks, tmp_path / "ledger", to_height=60)
    data = tmp_path / "ledger" / "columns" / f"{column}.bin"
    with flipped(data, data.stat().st_size // 2):
        before = (tmp_path / "ledger" / "manifest.json").read_bytes()
        with pytest.raises(GeldspurError, match=f"damaged, and nothing was changed: .*{column}"):
            index(blocks, tmp_path / "ledger")
        assert (tmp_path / "ledger" / "manifest.json").read_bytes() == before
        assert {f.check for f in damage(examine(tmp_path / "ledger"))} >= {"checksums"}
    index(blocks, tmp_path / "ledger")
    assert examine(tmp_path / "ledger").sound


# Anything at all


def counting_files(ledger: Path) -> list[Path]:
    return [
        path for path in sorted(ledger.rglob("*"))
        if path.is_file() and path.stat().st_size and "source" not in path.relative_to(ledger).parts
    ]  # fmt: skip


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_flipped_byte_is_found(whole, appended, data):
    ledger = data.draw(st.sampled_from([whole, appended]))
    path = data.draw(st.sampled_from(counting_files(ledger)))
    offset = data.draw(st.integers(0, path.stat().st_size - 1))
    with flipped(path, offset, data.draw(st.integers(1, 255))):
        assert damage(examine(ledger))


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_flipped_byte_of_a_row_that_counts_is_found_after_a_reorg(reorganised, data):
    run = json.loads((reorganised / "manifest.json").read_text())["runs"][0]
    folder = run_folders(reorganised)[0]
    name, axis = data.draw(st.sampled_from([("tx", "txs"), ("script", "scripts")]))
    order = np.fromfile(folder / f"{name}_order.bin", "<u4")
    live = np.flatnonzero(order < run[axis][1])
    k = int(data.draw(st.sampled_from(live.tolist())))
    column, width = data.draw(st.sampled_from([("order", 4), ("tag", 2)]))
    path = folder / f"{name}_{column}.bin"
    offset = width * k + data.draw(st.integers(0, width - 1))
    with flipped(path, offset, data.draw(st.integers(1, 255))):
        report = examine(reorganised)
    assert any(str(folder) in str(f.where.file) for f in damage(report))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_garbage_in_the_place_of_any_file_is_found(whole, data):
    path = data.draw(st.sampled_from(counting_files(whole)))
    size = path.stat().st_size
    garbage = data.draw(st.one_of(
        st.binary(max_size=300), st.sampled_from([b"\0" * size, b"\xff" * size, b"{}", b"[]", b"null", b'{"a":' * 5000])
    ))  # fmt: skip
    before = path.read_bytes()
    if garbage[: len(before)] == before:
        return
    with changed(path, garbage):
        assert damage(examine(whole))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda some: st.lists(some, max_size=3),
    max_leaves=4,
)


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_change_of_the_manifest_is_found(whole, data):
    path = whole / "manifest.json"
    manifest = json.loads(path.read_text())
    place, key = manifest, data.draw(st.sampled_from(sorted(manifest)))
    while isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    value = data.draw(_JSON)
    if value == place[key] and type(value) is type(place[key]):
        return
    place[key] = value
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    with changed(path, text.encode("utf-8", "surrogatepass")):
        assert damage(examine(whole))


# The commands


def test_the_command_tells_and_ends_with_the_right_code(whole, tmp_path):
    sound = CliRunner().invoke(app, ["doctor", "--ledger", str(whole), "--quick"])
    assert sound.exit_code == 0
    assert "The ledger is sound." in sound.output
    assert "merkle roots" not in sound.output
    path = whole / "columns" / "tx_locktime.bin"
    with flipped(path, 8):
        broken = CliRunner().invoke(app, ["doctor", "--ledger", str(whole), "--json"])
    assert broken.exit_code == 1
    (found,) = json.loads(broken.output)["findings"]
    assert (found["check"], found["where"]["file"], found["where"]["bytes"][0]) == ("checksums", str(path), 0)


def test_wrong_use_and_a_busy_ledger_are_refused(whole, tmp_path):
    with pytest.raises(UsageError):
        examine(tmp_path / "nowhere")
    with writing(whole), pytest.raises(GeldspurError, match="another command is changing"):
        examine(whole)
    refused = CliRunner().invoke(app, ["doctor", "--ledger", str(whole), "--sample", "3"])
    assert isinstance(refused.exception, UsageError)


def test_compact_puts_a_damaged_look_up_right(whole, tmp_path):
    ledger = copied(whole, tmp_path / "ledger")
    path = run_folders(ledger)[0] / "tx_tag.bin"
    before = path.read_bytes()
    path.write_bytes(bytes(len(before)))
    assert "geldspur compact" in str(damage(examine(ledger))[0].todo)
    result = CliRunner().invoke(app, ["compact", "--ledger", str(ledger), "--json"])
    assert (result.exit_code, json.loads(result.output)) == (0, {"runs_before": 1})
    assert path.read_bytes() == before
    assert examine(ledger).findings == []


def test_examining_changes_nothing(whole):
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in whole.rglob("*")}
    examine(whole, with_source=True)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in whole.rglob("*")} == before
