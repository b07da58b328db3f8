"""A package of three consecutive blocks of the real network: real sizes, real difficulty, real scripts."""

import gzip
import json
from pathlib import Path

import pytest

import tiny_package
import tiny_rows
from geldspur.bitcoin.addresses import encode
from geldspur.bitcoin.networks import MAINNET
from geldspur.bitcoin.scripts import classify
from geldspur.proof import verifier
from geldspur.times import utc
from tiny_chain import read_block

FIRST, LAST = 367_238, 367_240


class RealBlocks:
    """The blocks as the makers of test packages look at a chain."""

    tip = LAST

    def __init__(self, folder: Path) -> None:
        self.blocks = {}
        for height in range(FIRST, LAST + 1):
            raw = gzip.decompress((folder / f"mainnet_{height}.json.gz").read_bytes())
            self.blocks[height] = read_block(bytes.fromhex(json.loads(raw)))
        self.where = {tx.txid: (h, i) for h, block in self.blocks.items() for i, tx in enumerate(block.txs)}
        self.time = {h: utc(block.seconds) for h, block in self.blocks.items()}
        self.address = {
            (tx.txid, vout): encode(*classify(script), MAINNET)
            for block in self.blocks.values()
            for tx in block.txs
            for vout, (_, script) in enumerate(tx.outputs)
        }

    def tx(self, txid):
        height, position = self.where[txid]
        return self.blocks[height].txs[position]

    def chains(self):
        """Transactions (a, b, c) where c spends b and b spends a, all inside."""
        for c in self.where:
            for b, _ in self.tx(c).inputs:
                if b in self.where:
                    for a, vout in self.tx(b).inputs:
                        if a in self.where and self.address[a, vout]:
                            yield self.address[a, vout], b, c


@pytest.fixture(scope="module")
def real(shared):
    return RealBlocks(shared / "real/blocks")


@pytest.fixture(scope="module")
def leads(real):
    rows = []
    for tagged, withdrawal, payment in list(real.chains())[::25]:
        path = tiny_rows.steps(real, [withdrawal, payment], 0, [None, "spend"])
        rows.append(
            tiny_rows.trail(path, [], "moderate")
            | {
                "payment": tiny_rows.output(real, payment, 0),
                "site": {"row": 2, "columns": {}},
                "source": {
                    "service": "made up",
                    "exposure": "indirect",
                    "hops": 1,
                    "withdrawal": tiny_rows.output(real, withdrawal, path[0]["vout"]),
                    "jurisdictions": [],
                    "tag": tiny_rows.tag(tagged, "made up"),
                    "share": None,
                    "tag_join": None,
                },
                "alternatives": [],
                "excluded": False,
            }
        )
    unique = {(row["payment"]["txid"], row["payment"]["vout"]): row for row in rows}
    assert len(unique) > 20
    return list(unique.values())


@pytest.fixture(scope="module")
def path(real, leads, tmp_path_factory):
    files = tiny_package.make(real, leads, [], Path(verifier.__file__).read_bytes())
    sealed = tiny_package.seal(files, tiny_package.fields_of(real, "ZZ", "mainnet"))
    return tiny_package.pack(sealed, tmp_path_factory.mktemp("real") / "ZZ.zip")


def test_a_package_of_real_blocks_is_verified(path, leads):
    report = verifier.verify(path)

    assert [c for c in report.checks if not c.passed] == []
    details = {c.name: c.detail for c in report.checks}
    assert details["rows"].startswith(f"{len(leads)} leads")
    # Difficulty 51,076,366,303 of July 2015, times 2^32.
    assert "2^67.6 hashes" in details["headers"]
    assert details["coinbases"].endswith("3 carry the height")


def test_real_headers_that_start_late_show_what_they_can(path, real, tmp_path):
    headers = tmp_path / "headers"
    headers.write_bytes(b"".join(block.header for _, block in sorted(real.blocks.items())))
    report = verifier.verify(path, headers)

    assert report.verified
    assert "begins at height 367238 by the package's own word" in report.checks[-1].detail


def test_headers_of_another_time_do_not_hold_the_blocks(path, shared):
    report = verifier.verify(path, shared / "real/blocks/mainnet_headers_40000-49999.raw")

    assert [c.name for c in report.checks if not c.passed] == ["chain"]
    assert "no cited header is in it" in report.checks[-1].detail


def test_a_real_header_with_another_nonce_has_no_work(real, leads, tmp_path):
    files = tiny_package.make(real, leads, [], b"")
    rows = tiny_package.rows_of(files, "proof/blocks.jsonl")
    header = bytes.fromhex(rows[0]["header"])[:-1] + b"\x00"
    rows[0] |= {"header": header.hex(), "hash": verifier.shown(verifier.double_sha256(header))}
    files["proof/blocks.jsonl"] = tiny_package.lines(rows)
    sealed = tiny_package.seal(files, tiny_package.fields_of(real, "ZZ", "mainnet"))
    report = verifier.verify(tiny_package.pack(sealed, tmp_path / "a.zip"))

    assert "does not reach its own target" in next(c.detail for c in report.checks if c.name == "headers")
