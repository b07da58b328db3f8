"""Damaged, foreign and incomplete block files end in a message that says what, where and what to do."""

import os
import shutil
from contextlib import suppress

import pytest

from geldspur.bitcoin.networks import MAINNET, REGTEST
from geldspur.errors import GeldspurError, UsageError
from geldspur.ledger import Ledger, index
from geldspur.ledger.blockfiles import scan


@pytest.fixture
def blocks(embedded, tmp_path):
    folder = tmp_path / "blocks"
    shutil.copytree(embedded.case.blocks, folder)
    return folder


@pytest.fixture
def records(blocks):
    return sorted(scan(blocks).records, key=lambda r: r.offset)


def refused(blocks, tmp_path, **options):
    with pytest.raises(GeldspurError) as caught:
        index(blocks, tmp_path / "ledger", **options)
    assert not (tmp_path / "ledger" / "manifest.json").exists()
    assert not list(tmp_path.glob("ledger/.*")), "something half-written was left behind"
    return caught.value


def edit(blocks, offset, change):
    path = blocks / "blk00000.dat"
    data = bytearray(path.read_bytes())
    data[offset] ^= change
    path.write_bytes(data)


def test_stale_blocks_are_left_aside(blocks, tmp_path):
    report = index(blocks, tmp_path / "ledger")
    assert (report.tip_height, report.stale, report.blocks) == (800, 6, 801)


def test_a_file_cut_inside_a_block_names_the_block(blocks, records, tmp_path):
    path = blocks / "blk00000.dat"
    last = records[400]
    path.write_bytes(path.read_bytes()[: last.offset + last.size - 10])
    error = refused(blocks, tmp_path)
    assert last.header.hash[::-1].hex() in error.what
    assert f"{last.offset:,}" in error.where
    assert "--to-height" in error.todo


def test_the_whole_part_of_a_cut_file_can_be_asked_for(blocks, records, tmp_path):
    path = blocks / "blk00000.dat"
    path.write_bytes(path.read_bytes()[: records[400].offset + 200])
    assert index(blocks, tmp_path / "ledger", to_height=300).tip_height == 300
    assert Ledger(tmp_path / "ledger").tip_height == 300


def test_a_flipped_bit_in_a_transaction_is_found(blocks, records, tmp_path):
    edit(blocks, records[500].offset + 80 + 60, 1)
    error = refused(blocks, tmp_path)
    assert records[500].header.hash[::-1].hex() in error.what
    assert "blk00000.dat" in error.where


def test_a_damaged_length_is_found(blocks, records, tmp_path):
    edit(blocks, records[500].offset - 4, 0x55)
    error = refused(blocks, tmp_path)
    assert error.todo


def test_a_missing_block_is_a_gap(blocks, records, tmp_path):
    edit(blocks, records[500].offset - 8, 0xFF)
    error = refused(blocks, tmp_path)
    assert "gap" in error.what
    assert records[500].header.hash[::-1].hex() in error.what


def test_the_wrong_network_is_said(blocks, tmp_path):
    error = refused(blocks, tmp_path, network=MAINNET)
    assert "regtest" in error.what
    assert "--network regtest" in error.todo


def test_a_missing_key_file_is_suspected(unpacked, tmp_path):
    folder = tmp_path / "blocks"
    folder.mkdir()
    shutil.copy(unpacked("A-xor") / "blocks" / "blk00000.dat", folder)
    assert "xor.dat" in refused(folder, tmp_path, network=REGTEST).todo
    assert "xor.dat" in refused(folder, tmp_path).todo


@pytest.mark.parametrize("content", [b"not a block file at all" * 100, b"", bytes(5000)])
def test_a_foreign_file_is_refused(tmp_path, content):
    (tmp_path / "blk00000.dat").write_bytes(content)
    refused(tmp_path / "blk00000.dat", tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "blk*.dat" in refused(tmp_path / "empty", tmp_path).what


def test_a_pipe_under_a_files_name_is_not_waited_for(blocks, tmp_path):
    os.mkfifo(blocks / "blk00009.dat")
    os.mkfifo(blocks / "rev00009.dat")
    with suppress(GeldspurError):
        index(blocks, tmp_path / "ledger", from_height=10, to_height=20)
    assert index(blocks, tmp_path / "ledger0").blocks > 20


def test_a_ledger_is_never_written_among_the_evidence(blocks):
    before = sorted(p.name for p in blocks.iterdir())
    with pytest.raises(UsageError):
        index(blocks, blocks / "ledger")
    assert sorted(p.name for p in blocks.iterdir()) == before


def test_another_folder_is_never_replaced(blocks, tmp_path):
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError):
        index(blocks, tmp_path / "ledger")


def test_a_ledger_of_another_version_is_refused(embedded, tmp_path):
    shutil.copytree(embedded.ledger.folder, tmp_path / "ledger")
    manifest = tmp_path / "ledger" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"schema": 3', '"schema": 99'))
    with pytest.raises(GeldspurError, match="another version"):
        Ledger(tmp_path / "ledger")


def test_a_shortened_column_is_refused(embedded, tmp_path):
    shutil.copytree(embedded.ledger.folder, tmp_path / "ledger")
    column = tmp_path / "ledger" / "columns" / "out_value.bin"
    column.write_bytes(column.read_bytes()[:-1])
    with pytest.raises(GeldspurError, match="out_value is damaged"):
        Ledger(tmp_path / "ledger")


def test_a_source_that_changed_gives_no_raw_transactions(blocks, tmp_path):
    index(blocks, tmp_path / "ledger")
    (blocks / "blk00000.dat").write_bytes(bytes(1000))
    with pytest.raises(GeldspurError) as caught:
        Ledger(tmp_path / "ledger").raw_transactions([1])
    assert "blk00000.dat" in caught.value.what + (caught.value.where or "")
