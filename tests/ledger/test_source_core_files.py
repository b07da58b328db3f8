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
