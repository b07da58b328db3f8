"""Core's files as a source: the chain whatever the form of the files, blocks as they are, and changes noticed."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from geldspur.errors import GeldspurError
from geldspur.ledger.core_files import CoreFiles
from geldspur.ledger.sources import read_block, reopen
from tiny_chain import TinyChain, read_block_file

MAGIC = b"\xfa\xbf\xb5\xda"


@pytest.fixture
def copy(unpacked, tmp_path):
    """Several files, so that all but the last are ones that no node writes to."""
    shutil.copytree(unpacked("A-multi") / "blocks", tmp_path / "blocks")
    return tmp_path / "blocks"


def read_all(source, chain):
    """All blocks of a chain, read in one call into a buffer with gaps."""
    refs = chain.refs(0, len(chain))
    starts = np.cumsum([0] + [ref.size + 3 for ref in refs])
    buf = np.zeros(int(starts[-1]), np.uint8)
    sizes = source.read(refs, buf, starts[:-1])
    return [buf[a : a + n].tobytes() for a, n in zip(starts, sizes, strict=False)]


@pytest.mark.parametrize("form", ["A", "A-xor", "A-ooo", "A-multi"])
def test_every_form_gives_the_blocks_of_the_truth(unpacked, form):
    plain = read_block_file((unpacked("A") / "blocks" / "blk00000.dat").read_bytes(), MAGIC)
    by_hash = {bytes.fromhex(block.hash)[::-1]: block for block in plain}
    source = CoreFiles(unpacked(form))
    chain = source.chain()
    heights = TinyChain(unpacked("A")).blocks
    assert [h.tobytes()[::-1].hex() for h in chain.hash] == [block.hash for block in heights]
    for raw, name in zip(read_all(source, chain), chain.hash, strict=True):
        block = by_hash[name.tobytes()]
        assert raw.startswith(block.header)
        assert raw.endswith(b"".join(tx.raw for tx in block.txs))


def test_blocks_are_found_again_from_the_description(unpacked):
    source = CoreFiles(unpacked("A-xor"))
    ref = source.chain().ref(4000)
    assert read_block(reopen(source.describe()), ref) == read_block(source, ref)


def test_a_description_of_an_unknown_kind_is_refused():
    with pytest.raises(GeldspurError, match="carrier pigeons"):
        reopen({"kind": "carrier pigeons"})


def test_what_the_caller_knows_is_left_out(unpacked):
    source = CoreFiles(unpacked("A"))
    whole = source.chain()
    rest = source.chain(known=whole.hash[:4000])
    assert (rest.first_height, len(rest)) == (4000, len(whole) - 4000)
    assert rest.ref(0) == whole.ref(4000)
    assert len(source.chain(known=whole.hash)) == 0


def test_a_reorg_begins_at_the_fork(unpacked):
    source = CoreFiles(unpacked("A"))
    whole = source.chain()
    other = whole.hash[:4010].copy()
    other[4000:] ^= 1
    rest = source.chain(known=other)
    assert (rest.first_height, len(rest)) == (4000, len(whole) - 4000)


# A height range, from files that don't reach back to the genesis block


def keep(unpacked, folder, wanted):
    """A folder with those of case A's records whose (row of the best chain or None for stale ones) is wanted."""
    source = CoreFiles(unpacked("A"))
    chain = source.chain()
    row_of = {int(offset): row for row, offset in enumerate(chain.offset)}
    folder.mkdir()
    data = (unpacked("A") / "blocks" / "blk00000.dat").read_bytes()
    with (folder / "blk00007.dat").open("wb") as file:
        for record in source._found.records:
            if wanted(row_of.get(record.offset)):
                file.write(data[record.offset - 8 : record.offset + record.size])
    shutil.copy(unpacked("A") / "blocks" / "rev00000.dat", folder / "rev00007.dat")
    return folder, chain


def test_a_part_of_the_chain_needs_no_genesis_block(unpacked, tmp_path):
    folder, whole = keep(unpacked, tmp_path / "part", lambda row: row is None or row >= 3000)
    source = CoreFiles(folder)
    part = source.chain(from_height=3100, to_height=4500)
    assert (part.first_height, len(part)) == (3100, 1401)
    assert (part.hash == whole.hash[3100:4501]).all()
    assert len(source.chain(from_height=3000)) == len(whole) - 3000
    rest = source.chain(from_height=3100, known=part.hash)
    assert (rest.first_height, len(rest)) == (4501, len(whole) - 4501)
    ref = part.ref(900)
    full = CoreFiles(unpacked("A"))
    assert source.undo().spent(ref).value.tolist() == full.undo().spent(full.chain().ref(4000)).value.tolist()


def test_a_range_of_a_whole_chain_is_that_range(unpacked):
    source = CoreFiles(unpacked("A-ooo"))
    part, whole = source.chain(from_height=1234, to_height=1300), source.chain()
    assert (part.hash == whole.hash[1234:1301]).all()


def test_a_range_that_begins_before_the_files_is_refused(unpacked, tmp_path):
    folder, _ = keep(unpacked, tmp_path / "part", lambda row: row is not None and row >= 3000)
    with pytest.raises(GeldspurError, match="no chain that begins at height 2,999 or below"):
        CoreFiles(folder).chain(from_height=2999)
    with pytest.raises(GeldspurError, match="genesis block"):
        CoreFiles(folder).chain()


def test_a_hole_in_a_range_is_refused_unless_it_lies_behind_it(unpacked, tmp_path):
    folder, whole = keep(unpacked, tmp_path / "part", lambda row: row is not None and row >= 3000 and row != 4000)
    source = CoreFiles(folder)
    with pytest.raises(GeldspurError, match="gap") as caught:
        source.chain(from_height=3100)
    assert whole.hash[4000].tobytes()[::-1].hex() in caught.value.what
    assert (source.chain(from_height=3100, to_height=3999).hash == whole.hash[3100:4000]).all()
    assert (source.chain(from_height=4001).hash == whole.hash[4001:]).all()


def refused(source, ref):
    with pytest.raises(GeldspurError) as caught:
        read_block(source, ref)
    assert Path(source.files[ref.file].path).name in caught.value.what
    return caught.value


@pytest.fixture
def opened(copy):
    """A source that was scanned, and a block in a file that is not its last."""
    source = CoreFiles(copy)
    chain = source.chain()
    return source, chain.ref(int(np.flatnonzero(chain.file == 4)[50]))


def test_a_vanished_file_is_named(opened):
    source, ref = opened
    source.files[ref.file].path.unlink()
    assert "can't be read" in refused(source, ref).what


def test_a_shortened_file_is_named(opened):
    source, ref = opened
    os.truncate(source.files[ref.file].path, ref.offset + ref.size - 1)
    assert "shorter" in refused(source, ref).what


def test_another_block_in_its_place_is_noticed(opened):
    source, ref = opened
    path = source.files[ref.file].path
    data = bytearray(path.read_bytes())
    data[ref.offset + 4] ^= 1
    path.write_bytes(data)
    assert "has changed" in refused(source, ref).what


def test_a_file_written_to_behind_the_block_is_noticed(opened):
    source, ref = opened
    with source.files[ref.file].path.open("ab") as file:
        file.write(bytes(100))
    assert "has changed" in refused(source, ref).what


def test_the_last_file_may_grow_while_a_node_runs(copy):
    source = CoreFiles(copy)
    chain = source.chain()
    ref = chain.ref(int(np.flatnonzero(chain.file == chain.file.max())[0]))
    before = read_block(source, ref)
    with source.files[ref.file].path.open("ab") as file:
        file.write(MAGIC)
    assert read_block(source, ref) == before


def test_a_file_that_may_not_be_opened_is_named(copy, monkeypatch):
    # A user without the right to read: root, as which tests may run, is never refused by a file's mode.
    def refuse(path, *args):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(GeldspurError, match="Permission denied"):
        CoreFiles(copy)


def test_evidence_is_only_read(copy):
    before = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in copy.iterdir()}
    for path in copy.iterdir():
        path.chmod(0o444)
    source = CoreFiles(copy)
    read_all(source, source.chain())
    assert {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in copy.iterdir()} == before
