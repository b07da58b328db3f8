"""What is read of a ledger is compared with checksums of its parts: damage ends in an error, and in no wrong answer."""

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from chains import Branch, write_branches
from geldspur.cli.app import app
from geldspur.errors import GeldspurError
from geldspur.ledger import Ledger, index, opening, parts
from geldspur.ledger.build import partsums
from geldspur.ledger.build.compact import compact
from geldspur.ledger.doctor import examine
from geldspur.ledger.layout import COLUMNS, RUN_TYPES
from geldspur.ledger.manifests import read_manifest
from geldspur.ledger.parts import FOLDER, IN_RUN
from geldspur.ledger.views import address_view, block_view, transaction_view
from ledger_facts import bytes_of, differing

SCRIPTS = ("script_bucket", "script_order", "script_tag")
TXS = ("tx_bucket", "tx_order", "tx_tag")


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


# Look-ups


@pytest.fixture(scope="module")
def questions(whole) -> dict[str, Callable[[Path], Any]]:
    """What a shell asks of a ledger's folder: of an address with a long history, a transaction, a block."""
    ledger = Ledger(whole)
    script = max(range(ledger.n_scripts), key=lambda s: (ledger.address(s) is not None, len(ledger.outputs_of(s))))
    address, txid = ledger.address(script), ledger.txid(ledger.n_txs // 2)
    height = str(ledger.tx_height(ledger.n_txs // 2))
    return {
        "address": lambda f: address_view(asked(f), address, 20, 2, at_height=300, with_neighbours=True),
        "newest": lambda f: address_view(asked(f), address, 20, 1, newest_first=True),
        "tx": lambda f: transaction_view(asked(f), txid),
        "block": lambda f: block_view(asked(f), height),
        "hash": lambda f: block_view(asked(f), ledger.block_id(int(height))),
        "balance": lambda f: asked(f).balance_sat(script),
    }


def asked(folder: Path) -> Ledger:
    return Ledger(folder, for_look_ups=True, checked=True)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts so small that the tiny ledger's columns have many."""
    for module in (parts, partsums, opening):
        monkeypatch.setattr(module, "PART", 1 << 8)
    for module in (parts, partsums):
        monkeypatch.setattr(module, "SPENDER_PART", 1 << 8)


def renewed(folder: Path) -> None:
    for path in (folder / FOLDER).glob("*"):
        path.unlink()
    partsums.write_anew(folder, read_manifest(folder))


@pytest.fixture
def checked(whole, small_parts, tmp_path) -> Path:
    folder = Path(shutil.copytree(whole, tmp_path / "ledger"))
    renewed(folder)
    return folder


def test_checked_answers_are_the_answers_and_read_little(checked, questions):
    for ask in questions.values():
        assert ask(checked) == ask_plainly(ask, checked)
    ledger = asked(checked)
    assert ledger.is_checked
    transaction_view(ledger, ledger.txid(ledger.n_txs - 1))
    compared = {name: getattr(ledger, name)._parts.seen for name in ("tx_id", "tx_out", "out_value", "out_spender")}
    shares = {name: np.count_nonzero(seen) / len(seen) for name, seen in compared.items()}
    assert 0 < min(shares.values()) <= max(shares.values()) < 0.5, shares


def ask_plainly(ask, folder: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "asked", Ledger)
        return ask(folder)


@pytest.mark.parametrize("name", sorted({*COLUMNS, *RUN_TYPES} - {"out_scripts", *(n for n in COLUMNS if "edge" in n)}))
def test_a_look_up_tells_the_truth_or_an_error(name, checked, questions):
    """Whatever bit has fallen over: where the answer rests on it there is none, elsewhere it is the right one."""
    (path,) = (path for path in checked.rglob(f"{name}.bin") if path.parent.name != FOLDER)
    sound, truth, refused = path.read_bytes(), {what: ask(checked) for what, ask in questions.items()}, set()
    rng = np.random.default_rng(7)
    for share in (64, 1024, len(sound)):
        data = bytearray(sound)
        for at in rng.integers(0, len(data), -(-len(data) // share)).tolist():
            data[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        for what, ask in questions.items():
            try:
                assert ask(checked) == truth[what]
            except GeldspurError as error:
                assert f"{name} is damaged" in str(error)
                refused.add(what)
    assert bool(refused) == (name not in UNREAD)


UNREAD = {"block_script", "tx_version", "tx_locktime", "in_sequence", "in_signs"}
"""Columns that none of the questions reads: what they say of a transaction is read from its bytes in the source."""


def test_an_edited_spender_is_no_fact(checked, questions):
    ledger = Ledger(checked)
    output = int(np.flatnonzero(np.asarray(ledger.out_spender) < ledger.n_inputs)[50])
    spender = np.fromfile(checked / "columns" / "out_spender.bin", "<u4")
    for value in (spender[output] + 1, 0xFFFFFFFF, 0xFFFFFFFE):
        edited = spender.copy()
        edited[output] = value
        edited.tofile(checked / "columns" / "out_spender.bin")
        with pytest.raises(GeldspurError, match="out_spender is damaged"):
            transaction_view(asked(checked), ledger.txid(ledger.tx_of_output(output)))


def test_source_bytes_that_are_not_the_transaction_are_not_shown(whole, blocks, questions, tmp_path):
    copy = shutil.copytree(blocks, tmp_path / "blocks")
    ledger = Ledger(whole)
    index(copy, tmp_path / "ledger")
    raw = transaction_view(ledger, ledger.txid(ledger.n_txs // 2))["hex"]
    for path in copy.glob("blk*.dat"):
        data = path.read_bytes()
        at = data.find(bytes.fromhex(raw))
        if at >= 0:
            path.write_bytes(data[: at + 60] + bytes([data[at + 60] ^ 1]) + data[at + 61 :])
    for what in ("tx", "block"):
        with pytest.raises(GeldspurError, match="the source no longer holds transaction"):
            questions[what](tmp_path / "ledger")


# What an append, a rollback and a compaction leave


def test_checksums_that_were_kept_up_are_those_that_are_made_anew(tmp_path, small_parts, small_steps):
    rng = random.Random(5)
    branch, ledger = Branch().grow(rng, 60), tmp_path / "ledger"
    steps = 0
    for _ in range(4):
        index(write_branches(tmp_path / "blocks", branch), ledger)
        steps += kept_up(ledger)
        depth = rng.choice([1, 5, 20])
        fork = branch.fork(len(branch.blocks) - 1 - depth).grow(rng, depth + rng.randint(1, 3))
        assert index(write_branches(tmp_path / "blocks", branch, fork), ledger).blocks_rolled_back == depth
        steps += kept_up(ledger)
        branch = fork.grow(rng, rng.choice([1, 2, 30]))
    assert steps == 8
    compact(ledger)
    kept_up(ledger)
    opened = asked(ledger)
    for name in COLUMNS:
        np.asarray(getattr(opened, name, None))


def kept_up(ledger: Path) -> bool:
    (path,) = (ledger / FOLDER).iterdir()
    kept = path.read_bytes()
    assert examine(ledger, only_bytes=True).sound
    partsums.write_anew(ledger, read_manifest(ledger))
    assert path.read_bytes() == kept
    return True


def test_damage_gets_no_checksum_of_its_own_by_an_append(begun, blocks, small_parts, tmp_path):
    for name in ("tx_size", "out_spender", "script_payload"):
        folder = Path(shutil.copytree(begun, tmp_path / name))
        renewed(folder)
        data = np.fromfile(folder / "columns" / f"{name}.bin", np.uint8)
        data[len(data) // 3] ^= 1
        data.tofile(folder / "columns" / f"{name}.bin")
        with suppress(GeldspurError):  # the ledger is so short that its last checksum is of all heights
            index(blocks, folder)
        column = getattr(asked(folder), name)
        with pytest.raises(GeldspurError, match=f"{name} is damaged"):
            np.asarray(column)


def test_a_ledger_without_checksums_of_parts_says_so_and_compact_makes_them(begun, tmp_path):
    folder = Path(shutil.copytree(begun, tmp_path / "ledger"))
    shutil.rmtree(folder / FOLDER)
    ledger = Ledger(folder)
    address = next(filter(None, map(ledger.address, range(ledger.n_scripts))))
    command = ["address", address, "--ledger", str(folder), "--json"]
    answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 0
    assert f"geldspur compact --ledger {folder} makes them" in answer.stderr
    assert any("not compared" in f.what and f.severity == "note" for f in examine(folder).findings)
    path = folder / "columns" / "out_spender.bin"
    sound, at = path.read_bytes(), 4 * int(np.flatnonzero(np.asarray(ledger.out_spender) < ledger.n_inputs)[9])
    path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
    with pytest.raises(GeldspurError, match="out_spender is damaged"):
        compact(folder)
    path.write_bytes(sound)
    compact(folder)
    after = CliRunner().invoke(app, command)
    assert (after.stdout, after.stderr) == (answer.stdout, "")
    assert examine(folder).findings == []
    path.write_bytes(bytes(len(sound)))
    refused = CliRunner().invoke(app, ["tx", Ledger(folder).txid(5), "--ledger", str(folder)])
    assert isinstance(refused.exception, GeldspurError)
    assert (
        CliRunner().invoke(app, ["tx", Ledger(folder).txid(5), "--ledger", str(folder), "--trust-ledger"]).exit_code
        == 0
    )


def test_a_hub_is_compared_only_where_that_is_asked_for(begun, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(begun, tmp_path / "ledger"))
    ledger = Ledger(folder)
    hub = max(range(ledger.n_scripts), key=lambda script: len(ledger.outputs_of(script)))
    count, address = len(ledger.outputs_of(hub)), ledger.address(hub)
    path = folder / "columns" / "out_value.bin"
    path.write_bytes(bytes(path.stat().st_size))
    command = ["address", address, "--ledger", str(folder)]
    assert isinstance(CliRunner().invoke(app, command).exception, GeldspurError)
    monkeypatch.setattr("geldspur.cli.ledger._HUB", count - 1)
    answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 0
    assert f"the address has {count:,} outputs: the answer was not compared with checksums" in answer.stderr
    assert isinstance(CliRunner().invoke(app, [*command, "--check"]).exception, GeldspurError)


@pytest.mark.parametrize("which", [f"{FOLDER}/*.bin", f"lookup/*/{IN_RUN}"])
def test_doctor_compares_the_checksums_of_parts(which, own):
    path = sorted(own.glob(which))[0]
    sound = path.read_bytes()
    for data in (sound[:-8], sound[:8] + bytes([sound[8] ^ 1]) + sound[9:]):
        path.write_bytes(data)
        (found,) = examine(own).findings
        assert (found.severity, found.where.file) == ("damage", str(path))
        assert "compact" in str(found.todo)
