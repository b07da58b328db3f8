"""Every forgery is refused, by the check that is there for it.

The forger of most tests can do all that a forger can: the manifest fits what was changed.
"""

import copy
import struct
import zipfile

import pytest

import tiny_package
from geldspur.proof import verifier
from tiny_chain import TinyBlock, TinyTx, sha256d, shown
from tiny_package import lines, rows_of


def failed(report):
    return [check.name for check in report.checks if not check.passed]


def detail(report, name):
    return next(check.detail for check in report.checks if check.name == name)


def changed(files, name, change, index=0):
    """The files with one row of a table changed; `change` edits it in place."""
    rows = copy.deepcopy(rows_of(files, name))
    change(rows[index])
    return files | {name: lines(rows)}


def deepest(files):
    """The index of the transaction with the longest branch."""
    rows = rows_of(files, "proof/transactions.jsonl")
    return max(range(len(rows)), key=lambda i: len(rows[i]["branch"]))


# The container


def sealed_zip(honest, chain, path):
    return tiny_package.pack(tiny_package.seal(honest, tiny_package.fields_of(chain, "NL")), path).read_bytes()


def test_the_archive_is_the_only_one_of_its_files(honest, chain, tmp_path):
    """Python's own zip writer gives the same bytes as the verifier's, so that nothing can hide between."""
    sealed = tiny_package.seal(honest, tiny_package.fields_of(chain, "NL"))
    assert b"".join(verifier.archive(sealed)) == sealed_zip(honest, chain, tmp_path / "a.zip")


def add_entry(path, name, content=b"x"):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, content)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../evil", "a/../../evil", "C:evil", "a\\b", ".hidden", "a//b", "a/", "x\x00y", "x" * 300]
)
def test_names_that_lead_elsewhere_are_refused(honest, chain, tmp_path, name):
    path = tmp_path / "a.zip"
    sealed = tiny_package.seal(honest, tiny_package.fields_of(chain, "NL"))
    raw = b"".join(verifier.archive(sealed | {"zzzz": b"x"}))
    path.write_bytes(raw)
    if len(name) == 4:
        path.write_bytes(raw.replace(b"zzzz", name.encode()))
    else:
        add_entry(path, name)

    assert failed(verifier.verify(path)) == ["package"]


@pytest.mark.parametrize("twin", ["README.txt", "readme.TXT"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused(honest, chain, tmp_path, twin):
    path = tmp_path / "a.zip"
    sealed_zip(honest, chain, path)
    add_entry(path, twin)

    assert failed(verifier.verify(path)) == ["package"]


def test_a_bomb_is_refused_unopened(honest, chain, tmp_path):
    path = tmp_path / "a.zip"
    sealed = tiny_package.seal(honest, tiny_package.fields_of(chain, "NL"))
    tiny_package.pack(sealed | {"report.pdf": b"\0" * 50_000_000}, path, compression=zipfile.ZIP_DEFLATED)

    report = verifier.verify(path)
    assert failed(report) == ["package"]
    assert "unpack it and verify the directory" in detail(report, "package")


@pytest.mark.parametrize("limit", ["MAX_FILES", "MAX_BYTES"])
def test_more_than_the_limits_is_refused(honest, chain, tmp_path, monkeypatch, limit):
    sealed = tiny_package.seal(honest, tiny_package.fields_of(chain, "NL"))
    monkeypatch.setattr(verifier, limit, 7)

    assert failed(verifier.verify(tiny_package.pack(sealed, tmp_path / "a.zip"))) == ["package"]
    assert failed(verifier.verify(tiny_package.unpack(sealed, tmp_path / "a"))) == ["package"]


@pytest.mark.parametrize(
    "change", [lambda z: z + b"x", lambda z: b"x" + z, lambda z: z[:-1], lambda z: z[: len(z) // 2]]
)
def test_bytes_around_the_archive_are_refused(honest, chain, tmp_path, change):
    path = tmp_path / "a.zip"
    path.write_bytes(change(sealed_zip(honest, chain, path)))

    assert failed(verifier.verify(path)) == ["package"]


def test_a_link_in_a_directory_is_refused(honest, chain, tmp_path):
    folder = tiny_package.unpack(tiny_package.seal(honest, tiny_package.fields_of(chain, "NL")), tmp_path / "NL")
    (folder / "README.txt").unlink()
    (folder / "README.txt").symlink_to("/etc/hostname")

    assert failed(verifier.verify(folder)) == ["package"]


# The manifest and the files


@pytest.mark.parametrize("name", verifier.REQUIRED)
def test_a_package_without_one_of_its_files_is_refused(honest, report_on, name):
    assert failed(report_on({k: v for k, v in honest.items() if k != name})) == ["package"]


def test_a_changed_a_missing_and_an_added_file_are_each_named(honest, chain, tmp_path):
    sealed = tiny_package.seal(honest | {"extra": b"1"}, tiny_package.fields_of(chain, "NL"))
    for number, (files, said) in enumerate(
        [
            (sealed | {"extra": b"2"}, "sha256: says "),
            (sealed | {"extra": b"11"}, "size: says 1, the file's is 2"),
            ({k: v for k, v in sealed.items() if k != "extra"}, "extra: listed in the manifest, and missing"),
            (sealed | {"more": b""}, "more: not listed"),
        ]
    ):
        report = verifier.verify(tiny_package.pack(files, tmp_path / f"{number}.zip"))
        assert failed(report) == ["files"]
        assert said in detail(report, "files")


def test_every_byte_of_the_manifest_counts(honest, chain):
    manifest = tiny_package.seal(honest, tiny_package.fields_of(chain, "NL"))["manifest.json"]
    assert verifier.read_manifest(manifest)["country"].text() == "NL"
    for at in range(len(manifest)):
        for flip in (0x01, 0x20, 0x80):
            with pytest.raises(verifier.Refused):
                verifier.read_manifest(manifest[:at] + bytes([manifest[at] ^ flip]) + manifest[at + 1 :])


@pytest.mark.parametrize(
    ("fields", "check"),
    [
        ({"format": "geldspur-package/2"}, "manifest"),
        ({"network": "litecoin"}, "manifest"),
        ({"network": ["regtest"]}, "manifest"),
        ({"country": "nl"}, "manifest"),
        ({"country": "../NL"}, "manifest"),
        ({"country": "DE"}, "rows"),
        ({"country": "ZZ"}, "rows"),
        ({"snapshot": {}}, "snapshot"),
        ({"snapshot": {"tip_height": 3, "tip_hash": "00" * 32, "tip_time": "2021-06-25T22:46:02Z"}}, "snapshot"),
    ],
)
def test_a_forged_manifest_is_refused(honest, report_on, fields, check):
    assert check in failed(report_on(honest, **fields))


def test_a_package_of_another_network_is_refused(honest, report_on):
    report = report_on(honest, network="mainnet")

    assert failed(report)[0] == "headers"
    assert "easier than the network allows" in detail(report, "headers")


@pytest.mark.parametrize("key", ["tip_height", "tip_hash", "tip_time"])
def test_the_snapshot_must_be_the_tip_that_is_shown(honest, report_on, chain, key):
    other = {"tip_height": 799, "tip_hash": chain.blocks[799].hash, "tip_time": chain.time[799]}
    snapshot = tiny_package.fields_of(chain, "NL")["snapshot"] | {key: other[key]}

    assert failed(report_on(honest, snapshot=snapshot)) == ["snapshot"]


# Headers and coinbases


def set_key(*path):
    """A change of one value inside a row; the last of `path` is the new value, or makes it of the old one."""
    *keys, last, value = path

    def change(row):
        for key in keys:
            row = row[key]
        row[last] = value(row[last]) if callable(value) else value

    return change


def other_hex(text):
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def mined(header):
    """The header with a nonce that gives it the work of regtest."""
    for nonce in range(1000):
        header = header[:76] + struct.pack("<I", nonce)
        if sha256d(header)[31] < 0x7F:
            return header
    raise AssertionError


@pytest.mark.parametrize(
    "change",
    [
        set_key("hash", other_hex),
        set_key("header", other_hex),
        set_key("header", lambda h: h + "00"),
        set_key("header", lambda h: h[:-2]),
        set_key("header", lambda h: h.upper()),
        set_key("height", 0),
        set_key("height", -1),
        set_key("height", True),
        set_key("height", None),
    ],
)
def test_a_header_that_is_not_its_hash_is_refused(honest, report_on, change):
    assert failed(report_on(changed(honest, "proof/blocks.jsonl", change)))[0] == "headers"


def with_header(block, **parts):
    """The block's header with fields replaced."""
    header = bytearray(block.header)
    for name, (at, form) in {
        "version": (0, "<i"),
        "previous": (4, "32s"),
        "root": (36, "32s"),
        "bits": (72, "<I"),
    }.items():
        if name in parts:
            struct.pack_into(form, header, at, parts[name])
    return bytes(header)


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        (0x1D00FFFF, "does not reach its own target"),
        (0x2100FFFF, "easier than the network allows"),
        (0x207FFFFF + 1, "stand for no target"),
        (0x00000000, "stand for no target"),
        (0x01003456, "stand for no target"),
        (0x04923456, "stand for no target"),
        (0xFF123456, "stand for no target"),
    ],
)
def test_a_header_without_its_work_is_refused(honest, report_on, chain, bits, said):
    block = chain.blocks[800]
    header = with_header(block, bits=bits)
    row = tiny_package.block_entry(block, 800) | {"header": header.hex(), "hash": shown(sha256d(header))}
    files = changed(honest, "proof/blocks.jsonl", lambda r: r.update(row), -1)

    report = report_on(files)
    assert failed(report)[0] == "headers"
    assert said in detail(report, "headers")


def test_two_blocks_at_one_height_are_refused(honest, report_on, chain):
    rows = rows_of(honest, "proof/blocks.jsonl")
    files = honest | {"proof/blocks.jsonl": lines([*rows, tiny_package.block_entry(chain.blocks[3], 800)])}

    assert "headers" in failed(report_on(files))


def test_neighbours_that_do_not_follow_each_other_are_refused(honest, report_on, chain):
    header = mined(with_header(chain.blocks[799], version=2))
    row = tiny_package.block_entry(chain.blocks[799], 799) | {"header": header.hex(), "hash": shown(sha256d(header))}
    rows = rows_of(honest, "proof/blocks.jsonl")

    report = report_on(honest | {"proof/blocks.jsonl": lines([*rows, row])})
    assert failed(report) == ["headers"]
    assert "not the successor" in detail(report, "headers")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_key("coinbase", "raw", lambda r: r + "00"), "behind the transaction's end"),
        (set_key("coinbase", "raw", lambda r: "09" + r[2:]), "does not lead to the header's root"),
        (set_key("coinbase", "raw", ""), "wanted at byte"),
        (set_key("coinbase", "branch", ["00" * 32]), "does not lead to the header's root"),
        (set_key("coinbase", "branch", ["00" * 32] * 16), "deeper than any block's tree"),
        (set_key("coinbase", "branch", ["00" * 31]), "not the hex digits"),
        (set_key("coinbase", None), "no 'raw'"),
    ],
)
def test_a_coinbase_that_is_not_the_blocks_is_refused(honest, report_on, change, said):
    report = report_on(changed(honest, "proof/blocks.jsonl", change, -1))

    assert failed(report)[0] == "coinbases"
    assert said in detail(report, "coinbases")


def test_another_transaction_does_not_pass_for_the_coinbase(honest, report_on, chain):
    height, block = next((h, b) for h, b in enumerate(chain.blocks) if len(b.txs) > 1 and h > 100)
    entry = tiny_package.block_entry(block, height)
    entry["coinbase"] = {"raw": block.txs[1].raw.hex(), "branch": tiny_package.branch(block.leaves, 1)}
    rows = [r for r in rows_of(honest, "proof/blocks.jsonl") if r["height"] != height]

    report = report_on(honest | {"proof/blocks.jsonl": lines([entry, *rows])})
    assert "no coinbase" in detail(report, "coinbases")


@pytest.mark.parametrize("height", [1, 2, 16, 17, 127, 128, 129, 255, 256, 257, 700])
def test_a_height_that_the_coinbase_contradicts_is_refused(honest, report_on, chain, height):
    rows = [r for r in rows_of(honest, "proof/blocks.jsonl") if abs(r["height"] - height) > 2]
    right = tiny_package.block_entry(chain.blocks[height], height)
    assert "coinbases" not in failed(report_on(honest | {"proof/blocks.jsonl": lines([*rows, right])}))

    report = report_on(honest | {"proof/blocks.jsonl": lines([*rows, right | {"height": height + 1}])})
    assert "coinbases" in failed(report)
    assert f"does not carry the height {height + 1}" in detail(report, "coinbases")


# Transactions and branches


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_key("raw", lambda r: r + "00"), "behind the transaction's end"),
        (set_key("raw", lambda r: r[:-2]), "wanted at byte"),
        (set_key("raw", lambda r: r[:-2] + f"{int(r[-2:], 16) ^ 1:02x}"), "its bytes give"),
        (set_key("raw", "00" * 64), "no inputs, or an unknown form of witness"),
        (set_key("raw", "01000000" + "01" + "00" * 36 + "00" + "ff" * 4 + "00" * 5), "without inputs or outputs"),
        (set_key("raw", "01000000" + "ff" * 9), "too many for the bytes left"),
        (set_key("raw", "01000000" + "fd0100" + "00" * 60), "longer form"),
        (set_key("raw", lambda r: r[:8] + "0002" + r[8:]), "unknown form of witness"),
        (set_key("raw", lambda r: r.upper()), "not the hex digits"),
        (set_key("raw", None), "not a text"),
        (set_key("txid", other_hex), "its bytes give"),
    ],
)
def test_bytes_that_are_not_the_transaction_are_refused(honest, report_on, change, said):
    index = next(i for i, r in enumerate(rows_of(honest, "proof/transactions.jsonl")) if "f" in r["raw"])
    report = report_on(changed(honest, "proof/transactions.jsonl", change, index))

    assert failed(report)[0] == "transactions"
    assert said in detail(report, "transactions")


def test_the_id_leaves_the_witness_out(honest, report_on):
    """A witness is not tied to the block by the id; that it is as sealed, the manifest says."""
    index = next(i for i, r in enumerate(rows_of(honest, "proof/transactions.jsonl")) if r["raw"][8:12] == "0001")
    last = set_key("raw", lambda r: r[:-10] + f"{int(r[-10:-8], 16) ^ 1:02x}" + r[-8:])

    assert failed(report_on(changed(honest, "proof/transactions.jsonl", last, index))) == []


def test_a_transaction_that_is_there_twice_is_refused(honest, report_on):
    rows = rows_of(honest, "proof/transactions.jsonl")

    assert "transactions" in failed(report_on(honest | {"proof/transactions.jsonl": lines([*rows, rows[0]])}))


@pytest.mark.parametrize(
    "change",
    [
        set_key("position", lambda p: p + 1),
        set_key("position", lambda p: p ^ 2),
        set_key("position", lambda p: p + 1024),
        set_key("position", 0),
        set_key("height", lambda h: h + 1),
        set_key("block_hash", other_hex),
        set_key("branch", lambda b: b[:-1]),
        set_key("branch", lambda b: [*b, "00" * 32]),
        set_key("branch", lambda b: b[::-1]),
        set_key("branch", 0, other_hex),
        set_key("branch", -1, other_hex),
        set_key("branch", []),
    ],
)
def test_a_branch_that_does_not_tie_the_transaction_to_the_block_is_refused(honest, report_on, change):
    report = report_on(changed(honest, "proof/transactions.jsonl", change, deepest(honest)))

    assert failed(report)[0] == "branches"


def made_tx(spends, script=b"\x51", lock_time=0):
    """A small transaction without witness."""
    raw = struct.pack("<I", 1) + b"\x01" + bytes.fromhex(spends)[::-1] + struct.pack("<I", 0) + b"\x00"
    raw += (
        b"\xff" * 4 + b"\x01" + struct.pack("<Q", 1000) + bytes([len(script)]) + script + struct.pack("<I", lock_time)
    )
    return TinyTx(raw, shown(sha256d(raw)), [(spends, 0)], [(1000, script)])


def made_coinbase(height):
    script = bytes([3]) + height.to_bytes(3, "little") + b"\0"
    raw = struct.pack("<I", 1) + b"\x01" + bytes(32) + b"\xff" * 4 + bytes([len(script)]) + script + b"\xff" * 4
    raw += b"\x01" + struct.pack("<Q", 5000) + b"\x01\x51" + bytes(4)
    return TinyTx(raw, shown(sha256d(raw)), [("00" * 32, 0xFFFFFFFF)], [(5000, b"\x51")])


class Forger:
    """Mines regtest blocks, at a height that the honest package does not cite."""

    height = 70_000

    def __init__(self, chain, honest):
        self.chain, self.honest = chain, honest

    def block(self, txs, root=None):
        header = with_header(
            self.chain.blocks[700], root=root or tiny_package.root([bytes.fromhex(t.txid)[::-1] for t in txs])
        )
        return TinyBlock(mined(header), txs)

    def files(self, blocks_row, tx_rows):
        """The honest files with one more block and transactions of it."""
        return self.honest | {
            "proof/blocks.jsonl": self.honest["proof/blocks.jsonl"] + lines([blocks_row]),
            "proof/transactions.jsonl": self.honest["proof/transactions.jsonl"] + lines(tx_rows),
        }


@pytest.fixture
def forger(chain, honest):
    return Forger(chain, honest)


@pytest.fixture
def forged(forger, report_on):
    """Verifies the honest files with a forged block; the only complaint about the block itself is its height."""

    def report(block, tx_rows, coinbase=None):
        entry = tiny_package.block_entry(block, forger.height)
        if coinbase is not None:
            entry["coinbase"] = coinbase
        return report_on(forger.files(entry, tx_rows))

    return report


def spending(n):
    return [made_tx(f"{i + 1:064x}") for i in range(n)]


@pytest.mark.parametrize("n", range(1, 12))
def test_any_number_of_transactions_makes_branches_that_hold(forger, forged, n):
    block = forger.block([made_coinbase(forger.height), *spending(n)])
    rows = [tiny_package.tx_entry(block, forger.height, i) for i in range(1, n + 1)]

    # It lies above the tip, which is another check's business.
    assert failed(forged(block, rows)) == ["snapshot"]


def test_a_transaction_of_64_bytes_is_refused_even_where_all_else_is_right(forger, forged):
    """It could as well be an inner node, by which a transaction that was never mined is shown (CVE-2017-12842)."""
    tx = made_tx("11" * 32, script=b"\x51\x51\x51\x51")
    assert len(tx.raw) == 64
    block = forger.block([made_coinbase(forger.height), tx])
    report = forged(block, [tiny_package.tx_entry(block, forger.height, 1)])

    assert failed(report)[0] == "transactions"
    assert "64 bytes can't be told from an inner node" in detail(report, "transactions")
    other = forger.block([made_coinbase(forger.height), made_tx("11" * 32, script=b"\x51" * 5)])
    assert failed(forged(other, [tiny_package.tx_entry(other, forger.height, 1)])) == ["snapshot"]


def test_a_coinbase_of_64_bytes_is_refused(forger, forged):
    script = forger.height.to_bytes(3, "little")
    raw = struct.pack("<I", 1) + b"\x01" + bytes(32) + b"\xff" * 4 + b"\x04\x03" + script + b"\xff" * 4
    raw += b"\x01" + struct.pack("<Q", 5000) + b"\x00" + bytes(4)
    assert len(raw) == 64
    block = forger.block([TinyTx(raw, shown(sha256d(raw)), [("00" * 32, 0xFFFFFFFF)], [(5000, b"")])])

    assert failed(forged(block, []))[0] == "coinbases"


def test_a_transaction_hung_below_a_leaf_is_refused_for_its_depth(forger, forged):
    """The tree is real but for one transaction more, one level deeper than the coinbase: an unbalanced tree."""
    coinbase, (left, right) = made_coinbase(forger.height), spending(2)
    leaf = [bytes.fromhex(tx.txid)[::-1] for tx in (coinbase, left, right)]
    inner = sha256d(leaf[1] + leaf[2])
    block = forger.block([coinbase, left, right], root=sha256d(leaf[0] + inner))
    row = tiny_package.tx_entry(block, forger.height, 1)
    row |= {"position": 2, "branch": [shown(leaf[2]), shown(leaf[0])]}
    report = forged(block, [row], coinbase={"raw": coinbase.raw.hex(), "branch": [shown(inner)]})

    assert failed(report)[0] == "branches"
    assert "a branch of 2 levels where the coinbase's has 1" in detail(report, "branches")


def test_an_inner_node_is_no_transaction(forger, forged):
    block = forger.block([made_coinbase(forger.height), *spending(3)])
    leaves = block.leaves
    node = leaves[2] + leaves[3]
    row = tiny_package.tx_entry(block, forger.height, 2)
    row |= {"raw": node.hex(), "txid": shown(sha256d(node)), "position": 1, "branch": row["branch"][1:]}

    assert failed(forged(block, [row]))[0] == "transactions"


@pytest.mark.parametrize(("n", "at", "twin"), [(2, 2, 3), (4, 4, 5), (5, 4, 6), (5, 5, 7), (6, 6, 7)])
def test_the_copy_of_a_repeated_node_is_no_position_of_its_own(forger, forged, n, at, twin):
    """Of an odd number of nodes the last is repeated, and could be shown at two positions (CVE-2012-2459)."""
    block = forger.block([made_coinbase(forger.height), *spending(n)])
    honest = tiny_package.tx_entry(block, forger.height, at)
    assert failed(forged(block, [honest])) == ["snapshot"]
    doubled = TinyBlock(block.header, [*block.txs, *block.txs[len(block.txs) & -2 if n % 2 == 0 else 4 :]])
    assert tiny_package.root(doubled.leaves) == block.root
    copy_of_it = tiny_package.tx_entry(doubled, forger.height, twin)
    assert copy_of_it["txid"] == honest["txid"]

    report = forged(block, [copy_of_it])
    assert failed(report)[0] == "branches"
    assert "a repeated node is passed off" in detail(report, "branches")


def test_a_branch_tells_how_many_transactions_there_are():
    a, b, c, d = (bytes([i]) * 32 for i in range(4))

    assert verifier.climb(c, [d, sha256d(a + b)], 2)[1:] == (3, 4)
    assert verifier.climb(c, [c, sha256d(a + b)], 2)[1:] == (2, 3)
    assert verifier.climb(a, [b, sha256d(c + d)], 0)[1:] == (2, 4)
    assert verifier.climb(a, [], 0)[1:] == (0, 1)


def test_a_branch_of_a_tree_that_no_block_has_is_refused(forger, forged):
    """A first leaf beside itself means one transaction, and a level above it means three or more."""
    coinbase, (other,) = made_coinbase(forger.height), spending(1)
    leaf, right = (bytes.fromhex(tx.txid)[::-1] for tx in (coinbase, other))
    block = forger.block([coinbase], root=sha256d(sha256d(leaf + leaf) + right))
    report = forged(block, [], coinbase={"raw": coinbase.raw.hex(), "branch": [shown(leaf), shown(right)]})

    assert failed(report)[0] == "coinbases"
    assert "no number of transactions has such a branch" in detail(report, "coinbases")


def test_branches_that_speak_of_different_numbers_of_transactions_are_refused(forger, forged):
    """The coinbase's branch shows a third transaction, the other's says that there are two levels of one."""
    coinbase, txs = made_coinbase(forger.height), spending(3)
    a, b, c, _ = (bytes.fromhex(tx.txid)[::-1] for tx in (coinbase, *txs))
    left, third = sha256d(a + b), sha256d(c + c)
    block = forger.block([coinbase, *txs], root=sha256d(sha256d(left + third) + sha256d(third + third)))
    wide = sha256d(third + third)
    rows = [
        {
            **tiny_package.tx_entry(block, forger.height, 2),
            "position": 2,
            "branch": [shown(c), shown(left), shown(wide)],
        },
        {
            **tiny_package.tx_entry(block, forger.height, 1),
            "position": 1,
            "branch": [shown(a), shown(third), shown(wide)],
        },
    ]
    first = {"raw": coinbase.raw.hex(), "branch": [shown(b), shown(third), shown(wide)]}

    report = forged(block, rows, coinbase=first)
    assert failed(report)[0] == "branches"
    assert "no number of transactions" in detail(report, "branches")


def test_a_transaction_of_another_block_is_refused(honest, report_on, chain):
    rows = rows_of(honest, "proof/blocks.jsonl")

    def change(row):
        other = next(b for b in rows if b["hash"] != row["block_hash"])
        row["block_hash"], row["height"] = other["hash"], other["height"]

    assert failed(report_on(changed(honest, "proof/transactions.jsonl", change)))[0] == "branches"


def test_two_spends_of_one_output_are_refused(forger, forged):
    first, second = made_tx("11" * 32), made_tx("11" * 32, lock_time=1)
    block = forger.block([made_coinbase(forger.height), first, second])
    report = forged(block, [tiny_package.tx_entry(block, forger.height, i) for i in (1, 2)])

    assert failed(report)[0] == "transactions"
    assert "spends too" in detail(report, "transactions")


def test_a_second_coinbase_is_refused(forger, forged):
    block = forger.block([made_coinbase(forger.height), made_coinbase(forger.height + 1)])

    assert failed(forged(block, [tiny_package.tx_entry(block, forger.height, 1)]))[0] == "branches"


# Leads and cash-outs


def index_of(files, what):
    return next(i for i, row in enumerate(rows_of(files, "leads.jsonl")) if what(row))


def is_joined(row):
    return bool(row["inferences"] and row["inferences"][0]["joins"])


def with_requests(files):
    """The request lists made anew, as a forger would."""
    rows = rows_of(files, "leads.jsonl") + rows_of(files, "cashouts.jsonl")
    return files | {"requests/all.csv": tiny_package.requests(rows)}


def every_txid(value, path=()):
    """Where a row names transactions."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "txid" and member:
                yield (*path, key)
            elif key == "transactions":
                yield from ((*path, key, i) for i in range(len(member)))
            else:
                yield from every_txid(member, (*path, key))
    elif isinstance(value, list):
        for i, member in enumerate(value):
            yield from every_txid(member, (*path, i))


def test_without_any_one_of_the_cited_transactions_the_package_fails(honest, report_on):
    """Delete the proof of any edge, and validation fails."""
    rows = rows_of(honest, "proof/transactions.jsonl")
    cited = set().union(*(tiny_package.cited(r) for n in ("leads", "cashouts") for r in rows_of(honest, f"{n}.jsonl")))
    for gone in sorted(cited):
        kept = [row for row in rows if row["txid"] != gone]
        assert len(kept) == len(rows) - 1
        assert "citations" in failed(report_on(honest | {"proof/transactions.jsonl": lines(kept)}))


@pytest.mark.parametrize("name", ["leads.jsonl", "cashouts.jsonl"])
def test_every_txid_in_a_row_counts(honest, report_on, name):
    for index, row in enumerate(rows_of(honest, name)):
        for path in every_txid(row):
            for value in (other_hex, "ab" * 32):
                files = with_requests(changed(honest, name, set_key(*path, value), index))
                assert "citations" in failed(report_on(files)), path


@pytest.mark.parametrize(
    ("path", "check"),
    [
        (("payment", "vout"), "outputs"),
        (("payment", "value_sat"), "outputs"),
        (("payment", "height"), "outputs"),
        (("payment", "time"), "outputs"),
        (("payment", "address"), "outputs"),
        (("payment", "block_hash"), "outputs"),
        (("source", "withdrawal", "vout"), "paths"),
        (("source", "withdrawal", "value_sat"), "outputs"),
        (("source", "withdrawal", "height"), "outputs"),
        (("source", "withdrawal", "time"), "outputs"),
        (("source", "withdrawal", "address"), "outputs"),
        (("source", "withdrawal", "block_hash"), "outputs"),
        (("source", "hops"), "paths"),
        (("source", "exposure"), "rows"),
        (("excluded",), "rows"),
        (("confidence", "band"), "rows"),
        (("source", "service"), "rows"),
        (("source", "tag", "address"), "attributions"),
        (("source", "tag_join", "from_address"), "joins"),
        (("source", "tag_join", "to_address"), "joins"),
        (("source", "tag_join", "addresses", 0), "joins"),
        (("inferences", 0, "joins", 0, "from_address"), "joins"),
        (("inferences", 0, "joins", 0, "to_address"), "joins"),
        (("inferences", 0, "joins", 0, "addresses", 0), "joins"),
        (("inferences", 0, "joins", 0, "addresses", 1), "joins"),
        (("inferences", 0, "joins", 0, "addresses", -1), "joins"),
        *((("path", i, key), "paths") for i in range(3) for key in ("vout", "height", "time", "value_sat")),
        *((("path", i, "vin"), "paths") for i in (1, 2)),
        *(
            (("alternatives", 0, "path", i, key), "paths")
            for i in (0, 1)
            for key in ("vout", "height", "time", "value_sat")
        ),
        (("alternatives", 0, "path", 1, "vin"), "paths"),
    ],
)
def test_every_fact_of_a_lead_counts(honest, report_on, path, check):
    def other(value):
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return value + 1
        if path[-1] == "time":
            return value.replace("Z", "+00:00")
        return {"band": "weak", "exposure": "direct", "service": ""}.get(path[-1], value[:-1] + "q")

    index = index_of(honest, is_joined)
    for change in (other, None) if path[-1] != "address" else (other,):
        files = with_requests_or_old(changed(honest, "leads.jsonl", set_key(*path, change), index))
        # What is no value of the field at all, the reading of the rows may refuse already.
        assert set(failed(report_on(files))) & ({check, "rows"} if change is None else {check})


def with_requests_or_old(files):
    """The request lists made anew, where the rows still allow it."""
    try:
        return with_requests(files)
    except (TypeError, KeyError):
        return files


@pytest.mark.parametrize(
    ("path", "value", "check"),
    [
        (("payment", "address"), "2N6DHnoxawxN7r2Ab1NJvSjPS6gXFdzkB9M", "outputs"),
        (("hops",), 5, "paths"),
        (("service",), "", "rows"),
        (("tag",), None, "attributions"),
        (("tag_join",), None, "attributions"),
        (("tag", "address"), "2N6DHnoxawxN7r2Ab1NJvSjPS6gXFdzkB9M", "attributions"),
        (("jurisdictions",), ["FR"], "rows"),
        (("jurisdictions",), [], "rows"),
        (("path",), [], "paths"),
        (("path", 0, "value_sat"), 1, "paths"),
        (("confidence", "band"), "none", "rows"),
    ],
)
def test_every_fact_of_a_cash_out_counts(honest, report_on, path, value, check):
    files = with_requests_or_old(changed(honest, "cashouts.jsonl", set_key(*path, value)))

    assert check in failed(report_on(files))


def test_a_path_that_skips_a_step_is_refused(honest, report_on):
    def change(row):
        del row["path"][1]
        row["source"]["hops"] -= 1

    files = with_requests(changed(honest, "leads.jsonl", change, index_of(honest, is_joined)))

    assert "paths" in failed(report_on(files))


def test_a_path_that_ends_elsewhere_is_refused(honest, report_on):
    def change(row):
        row["path"] = row["path"][:2]
        row["source"]["hops"] -= 1

    files = with_requests(changed(honest, "leads.jsonl", change, index_of(honest, is_joined)))

    assert "paths" in failed(report_on(files))


@pytest.mark.parametrize("change", [set_key("inferences", []), set_key("inferences", 0, "joins", [])])
def test_a_co_spend_step_without_a_join_is_refused(honest, report_on, change):
    report = report_on(changed(honest, "leads.jsonl", change, index_of(honest, is_joined)))

    assert failed(report) == ["joins"]
    assert "no join links the spenders" in detail(report, "joins")


def test_a_join_that_an_alternative_lacks_is_told(honest, report_on):
    """An alternative is no claim; what is not shown of it is counted."""
    index = index_of(honest, is_joined)
    assert "alternatives" not in detail(report_on(honest), "joins")

    def change(row):
        row["inferences"] = []
        row["path"][2]["rule"] = "sole-source"

    report = report_on(changed(honest, "leads.jsonl", change, index))
    assert failed(report) == []
    assert "1 co-spend step of alternatives without a join that is here" in detail(report, "joins")


def test_a_join_between_other_wallets_does_not_carry_a_co_spend_step(honest, report_on):
    index = index_of(honest, is_joined)
    tag_join = rows_of(honest, "leads.jsonl")[index]["source"]["tag_join"]

    assert failed(report_on(changed(honest, "leads.jsonl", set_key("inferences", 0, "joins", [tag_join]), index))) == [
        "joins"
    ]


def test_a_join_needs_the_transactions_that_funded_its_inputs(honest, report_on):
    """What an input spends from is not in the transaction that spends it: without its funding, nothing is shown."""
    rows = rows_of(honest, "proof/transactions.jsonl")
    cited = set().union(*(tiny_package.cited(r) for n in ("leads", "cashouts") for r in rows_of(honest, f"{n}.jsonl")))

    report = report_on(honest | {"proof/transactions.jsonl": lines([r for r in rows if r["txid"] in cited])})
    assert "joins" in failed(report)
    assert "no input that is here spends from" in detail(report, "joins")


def test_a_join_of_an_address_with_itself_needs_no_transaction(honest, report_on):
    index = index_of(honest, is_joined)
    join = {"from_address": "a", "to_address": "b", "rule": "co-spend", "transactions": [], "addresses": ["a"]}
    added = set_key("inferences", 0, "joins", lambda joins: [*joins, join])

    assert failed(report_on(changed(honest, "leads.jsonl", added, index))) == ["joins"]


def test_an_attribution_must_reach_the_withdrawal(honest, report_on):
    index = index_of(honest, is_joined)

    assert failed(report_on(changed(honest, "leads.jsonl", set_key("source", "tag_join", None), index))) == [
        "attributions"
    ]
    assert failed(report_on(changed(honest, "leads.jsonl", set_key("source", "tag", None), index))) == ["attributions"]


def test_a_row_that_is_there_twice_is_refused(honest, report_on):
    for name in ("leads.jsonl", "cashouts.jsonl"):
        rows = rows_of(honest, name)
        files = with_requests(honest | {name: lines([*rows, rows[0]])})
        assert "rows" in failed(report_on(files))


# Request lists


def request_table(honest, change):
    rows = [line.split(",") for line in honest["requests/all.csv"].decode().splitlines()]
    change(rows)
    return honest | {"requests/all.csv": ("\n".join(",".join(row) for row in rows) + "\n").encode()}


@pytest.mark.parametrize("column", range(len(verifier.REQUEST_FACTS)))
def test_every_fact_of_a_request_counts(honest, report_on, column):
    def change(rows):
        rows[1][column] += "1"

    assert failed(report_on(request_table(honest, change))) == ["requests"]


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.pop(),
        lambda rows: rows.append(rows[1]),
        lambda rows: rows[0].pop(),
        lambda rows: rows[1].pop(),
        lambda rows: rows[0].append("kind"),
        lambda rows: rows.clear(),
        lambda rows: rows[1].insert(0, '"'),
        lambda rows: rows[1].insert(0, "\x00"),
    ],
)
def test_a_request_list_that_differs_from_the_rows_is_refused(honest, report_on, change):
    assert failed(report_on(request_table(honest, change))) == ["requests"]


def test_columns_beyond_the_facts_are_free(honest, report_on):
    def change(rows):
        for row in rows:
            row.insert(3, "questions")

    assert failed(report_on(request_table(honest, change))) == []
