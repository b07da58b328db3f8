"""What is read of a ledger is compared with checksums of its parts: damage ends in an error, and in no wrong answer."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from geldspur.accuracy import unpack_case
from geldspur.errors import GeldspurError
from geldspur.ledger import Ledger, index
from geldspur.ledger.build.compact import compact
from geldspur.ledger.doctor import examine
from geldspur.ledger.parts import IN_RUN
from ledger_facts import bytes_of, differing

SCRIPTS = ("script_bucket", "script_order", "script_tag")
TXS = ("tx_bucket", "tx_order", "tx_tag")


@pytest.fixture(scope="module")
def blocks(tmp_path_factory) -> Path:
    return Path(unpack_case(tmp_path_factory.mktemp("case") / "case").blocks)


@pytest.fixture(scope="module")
def whole(blocks, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "ledger"
    index(blocks, folder)
    return folder


@pytest.fixture(scope="module")
def begun(blocks, whole, tmp_path_factory) -> Path:
    """A ledger of two look-up runs that the last third of the blocks is missing from."""
    folder = tmp_path_factory.mktemp("begun") / "ledger"
    for share in (0.5, 0.66):
        index(blocks, folder, to_height=int(share * Ledger(whole).tip_height))
    assert len(Ledger(folder).runs) == 2
    return folder


@pytest.fixture
def own(begun, tmp_path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "ledger"))


def damage(path: Path, every: int = 16) -> None:
    """Flip a bit in many bytes of a file."""
    data = np.fromfile(path, np.uint8)
    data[np.random.default_rng(3).integers(0, len(data), -(-len(data) // every))] ^= 8
    data.tofile(path)


# Appends


@pytest.mark.parametrize("name", [*SCRIPTS, *TXS])
def test_no_script_is_numbered_twice_and_no_block_is_blamed_where_a_look_up_is_damaged(name, own, blocks, whole):
    path = sorted((own / "lookup").glob(f"*/{name}.bin"), key=lambda p: p.stat().st_size)[-1]
    damage(path)
    before = (own / "manifest.json").read_bytes()
    with pytest.raises(GeldspurError, match=f"{name} is damaged") as told:
        index(blocks, own)
    assert str(path) in str(told.value.where)
    assert f"geldspur compact --ledger {own}" in str(told.value.todo)
    assert (own / "manifest.json").read_bytes() == before
    compact(own)
    index(blocks, own)
    compact(own)
    assert differing(bytes_of(own), bytes_of(whole)) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_run_of_an_earlier_version_is_compared_as_a_whole_before_it_gets_checksums_of_its_parts(name, own, blocks):
    for path in (own / "lookup").glob(f"*/{IN_RUN}"):
        path.unlink()
    (path, _) = sorted((own / "lookup").glob(f"*/{name}.bin"))
    sound = path.read_bytes()
    damage(path)
    before = bytes_of(own)
    with pytest.raises(GeldspurError, match=f"{name} is damaged"):
        index(blocks, own)
    assert differing(before, bytes_of(own)) == []
    path.write_bytes(sound)
    index(blocks, own)
    assert all((folder / IN_RUN).is_file() for folder in (own / "lookup").iterdir())
    assert examine(own).findings == []
