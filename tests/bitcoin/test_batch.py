"""Whole blocks: the batch decoder says what the decoder in plain Python says, and never looks beyond a block."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_blocks import In, Tx, compact, decode, make_block, merkle_root, read_plainly, rows_of, with_root
from real_blocks import FILES, framed, real_blocks

from geldspur.bitcoin import kernels
from geldspur.bitcoin.batch import Batch
from geldspur.bitcoin.transactions import TransactionError
from geldspur.errors import UsageError

KEY = b"\2" * 33
ADDRESSES = [
    b"\x76\xa9\x14" + b"a" * 20 + b"\x88\xac",
    b"\xa9\x14" + b"b" * 20 + b"\x87",
    b"\0\x14" + b"c" * 20,
    b"\0\x20" + b"d" * 32,
    b"\x51\x20" + b"e" * 32,
]
ODD = [
    b"",
    b"\x6a\x04abcd",
    b"\x6a" * 10_001,
    b"\x21" + KEY + b"\xac",
    b"\x51\x21" + KEY + b"\x51\xae",
    b"\x52\x02ab",
    *(script[:-1] + b"\0" for script in ADDRESSES),
    *(b"\1" + script[1:] for script in ADDRESSES),
]
SIGNATURES = [
    b"\x30\x44\x02\x20" + b"r" * 32 + b"\x02\x20" + b"s" * 32 + b"\1",
    b"\x30\x45\x02\x21" + b"r" * 33 + b"\x02\x20" + b"s" * 32 + b"\x83",
    b"s" * 64,
    b"s" * 65,
]


@pytest.fixture(scope="module")
def batch():
    return Batch(24_000_000)


def push(data: bytes) -> bytes:
    return bytes([len(data)]) + data


scripts = st.one_of(st.sampled_from(ADDRESSES), st.sampled_from(ODD), st.binary(max_size=70))
items = st.one_of(st.sampled_from(SIGNATURES), st.sampled_from([KEY, b"\4" * 65, b""]), st.binary(max_size=300))
script_sigs = st.one_of(
    st.just(b""),
    st.binary(max_size=40),
    st.lists(st.sampled_from([*SIGNATURES, KEY, b"\4" * 65, b""]), max_size=3).map(lambda p: b"".join(map(push, p))),
)
inputs = st.builds(
    In,
    script=script_sigs,
    witness=st.lists(items, max_size=4),
    outpoint=st.binary(min_size=36, max_size=36),
    sequence=st.integers(0, 2**32 - 1),
)
outputs = st.tuples(st.integers(0, 2**64 - 1), scripts)
transactions = st.builds(
    Tx,
    inputs=st.lists(inputs, min_size=1, max_size=4),
    outputs=st.lists(outputs, max_size=4),
    version=st.integers(-(2**31), 2**31 - 1),
    locktime=st.integers(0, 2**32 - 1),
)
lists = st.lists(transactions, min_size=1, max_size=9, unique_by=Tx.txid)


def assert_read_alike(batch, blocks, raws):
    """`raws` are the raw transactions of all blocks in order."""
    sizes = [len(b) for b in blocks]
    assert decode(batch, *blocks)[:2] == (kernels.OK, len(blocks)), sizes
    assert (batch.n_blocks, batch.n_tx) == (len(blocks), len(raws))
    for row, raw in zip(rows_of(batch), raws, strict=True):
        assert row == read_plainly(raw)


@given(st.lists(lists, min_size=1, max_size=4))
def test_made_blocks_are_read_as_plain_python_reads_them(batch, chain):
    blocks = [make_block(block) for block in chain]
    assert_read_alike(batch, blocks, [tx.raw() for block in chain for tx in block])
    assert batch.block_tx[: len(chain) + 1].tolist() == np.cumsum([0] + [len(b) for b in chain]).tolist()


def raw_transactions(batch, block):
    """A block's raw transactions by the sizes that the batch gave them, which plain Python then has to agree with."""
    at = len(block) - int(batch.size[: batch.n_tx].sum())
    for size in batch.size[: batch.n_tx].tolist():
        yield block[at : at + size]
        at += size


@pytest.mark.parametrize("name", FILES)
def test_real_blocks_are_read_as_plain_python_reads_them(batch, shared, name):
    if name.endswith(".zst") and shutil.which("zstd") is None:
        pytest.skip("needs zstd")
    blocks = list(real_blocks(shared / "real" / "blocks" / name))
    assert len(blocks) == FILES[name]
    raws = []
    for block in blocks:
        assert decode(batch, block) == (kernels.OK, 1, len(block))
        raws += raw_transactions(batch, block)
    assert_read_alike(batch, blocks, raws)


def test_case_a_is_read_as_plain_python_reads_it(batch, unpacked):
    blocks = list(framed((unpacked("A") / "blocks" / "blk00000.dat").read_bytes()))
    assert len(blocks) == 4807
    assert decode(batch, *blocks)[0] == kernels.OK
    sizes, raws = batch.size[: batch.n_tx].tolist(), []
    for k, block in enumerate(blocks):
        mine = sizes[batch.block_tx[k] : batch.block_tx[k + 1]]
        ends = np.cumsum(mine) + len(block) - sum(mine)
        raws += [block[end - size : end] for end, size in zip(ends.tolist(), mine, strict=True)]
    assert_read_alike(batch, blocks, raws)


PAYMENT = Tx(
    [In(push(SIGNATURES[0]) + push(KEY)), In(witness=[SIGNATURES[1], KEY]), In()],
    [(5, ADDRESSES[0]), (2**40, ADDRESSES[4]), (0, ODD[1])],
)
COINBASE = Tx([In(b"\3abc", [bytes(32)], b"\0" * 32 + b"\xff" * 4)], [(50, ADDRESSES[1])])
SMALL = make_block([COINBASE, PAYMENT, Tx([In(b"\2ab")] * 12, [(1, ADDRESSES[2])] * 14)])
BEHIND = [bytes(64), b"\xff" * 64, SMALL[80:144], b"\x01\xfd" * 32]


def told(batch, block):
    """What is said of a block, whatever lies behind it in memory: had a kernel read that, the answers would differ."""
    answers = []
    for behind in BEHIND:
        verdict = decode(batch, block, behind=behind)
        answers.append((verdict, list(rows_of(batch))))
    assert all(answer == answers[0] for answer in answers)
    return answers[0]


def test_a_block_cut_anywhere_is_told_as_cut(batch):
    assert told(batch, SMALL)[0] == (kernels.OK, 1, len(SMALL))
    for end in range(len(SMALL)):
        (fault, block, at), rows = told(batch, SMALL[:end])
        assert (fault, block, rows) == (kernels.TRUNCATED, 0, [])
        assert 0 <= at <= end


def plain_verdict(block: bytes) -> list[bytes] | None:
    """The transactions of a block by the plain decoder, None where it is none; tries every cut for each of them."""
    try:
        raws = list(walk(block))
        for raw in raws:
            read_plainly(raw)
    except (TransactionError, IndexError, ValueError):
        return None
    return raws


def walk(block: bytes):
    def number(at):
        first = block[at]
        if first < 253:
            return first, at + 1
        width, least = {253: (2, 253), 254: (4, 1 << 16), 255: (8, 1 << 32)}[first]
        value = int.from_bytes(block[at + 1 : at + 1 + width], "little")
        if value < least or len(block) < at + 1 + width:
            raise ValueError("a wrong length")
        return value, at + 1 + width

    def skip(at):
        n, at = number(at)
        return inside(at + n)

    def inside(at):
        if at > len(block):
            raise ValueError("beyond the end")
        return at

    count, at = number(80)
    if count == 0:
        raise ValueError("no transaction")
    for _ in range(count):
        begin = at
        at += 4
        segwit = block[at] == 0 and block[at + 1] != 0
        n_in, at = number(at + 2 * segwit)
        if n_in == 0:
            raise ValueError("no input")
        for _ in range(n_in):
            at = inside(skip(at + 36) + 4)
        n_out, at = number(at)
        for _ in range(n_out):
            at = skip(at + 8)
        for _ in range(n_in * segwit):
            n_items, at = number(at)
            for _ in range(n_items):
                at = skip(at)
        at = inside(at + 4)
        yield block[begin:at]
    if at != len(block):
        raise ValueError("bytes left over")


@settings(max_examples=400)
@given(st.one_of(st.just(SMALL), lists.map(make_block)), st.data())
def test_mutated_blocks_are_refused_or_read_as_plain_python_does(batch, block, data):
    mutated = bytearray(block[: data.draw(st.integers(81, len(block))) if data.draw(st.booleans()) else None])
    for _ in range(data.draw(st.integers(0, 5))):
        place = data.draw(st.integers(80, len(mutated) - 1))
        mutated[place] = data.draw(st.sampled_from([0, 1, 252, 253, 254, 255]) | st.integers(0, 255))
    raws = plain_verdict(bytes(mutated))
    (fault, _, at), rows = told(batch, bytes(mutated))
    assert 0 <= at <= len(mutated)
    if raws is None:
        assert fault in set(kernels.FAULTS) - {kernels.BAD_ROOT, kernels.TWIN}
        return
    plain = [read_plainly(raw) for raw in raws]
    txids = [row["txid"] for row in plain]
    twin = has_twin(txids)
    right = merkle_root(txids) == mutated[36:68]
    assert fault == (kernels.BAD_ROOT if not right else kernels.TWIN if twin else kernels.OK)
    if not twin:
        assert told(batch, with_root(bytes(mutated), txids)) == ((kernels.OK, 1, len(mutated)), plain)
    assert rows in ([], plain)


def has_twin(level):
    while len(level) > 1:
        if any(level[i] == level[i + 1] for i in range(0, len(level) - 1, 2)):
            return True
        level = [
            merkle_root(level[i : i + 2] if i + 1 < len(level) else level[i:] * 2) for i in range(0, len(level), 2)
        ]
    return False


@given(st.binary(max_size=400))
def test_noise_is_no_block(batch, noise):
    assert told(batch, noise)[0][0] != kernels.OK


COUNT_PLACES = {"transactions": 80, "inputs": 81 + 4, "outputs": 81 + 4 + 1 + 41}


@pytest.mark.parametrize("place", COUNT_PLACES.values(), ids=COUNT_PLACES)
@pytest.mark.parametrize("count", [2**63 - 1, 2**63, 2**64 - 1, 2**32])
def test_a_huge_count_does_not_make_the_kernel_run_away(batch, place, count):
    block = make_block([Tx([In()], [(1, ADDRESSES[0])])])
    huge = block[:place] + b"\xff" + count.to_bytes(8, "little") + block[place + 1 :]
    assert told(batch, huge)[0][0] == kernels.TRUNCATED


@pytest.mark.parametrize("length", [2**63 - 1, 2**63, 2**64 - 1, 2**32, 70_000])
def test_a_huge_length_is_told_as_cut(batch, length):
    for tx in (Tx([In(b"\1a")], [(1, b"")]), Tx([In(b"")], [(1, b"\1a")]), Tx([In(witness=[b"\1a"])], [])):
        block = make_block([tx])
        at = block.index(b"\x02\1a")
        assert told(batch, block[:at] + compact(length) + block[at + 1 :])[0][0] == kernels.TRUNCATED


@pytest.mark.parametrize("n", [1, 2, 251, 252, 253, 254, 65_535, 65_536])
def test_the_boundaries_of_counts_and_lengths(batch, n):
    cases = [
        [Tx([In(bytes(n))], [(1, ADDRESSES[0])])],
        [Tx([In()], [(1, b"\x51" * n)])],
        [Tx([In(witness=[bytes(n)])], [(1, ADDRESSES[0])])],
        [Tx([In(witness=[b""] * n)], [(1, ADDRESSES[0])])],
        [Tx([In()] * n, [(1, ADDRESSES[2])])],
        [Tx([In()], [(1, ADDRESSES[2])] * n)],
        [Tx([In()], locktime=k) for k in range(n)],
    ]
    for case in cases:
        assert_read_alike(batch, [make_block(case)], [tx.raw() for tx in case])


@pytest.mark.parametrize("size", range(950, 1110, 3))
@pytest.mark.parametrize("witness", [[], [b"w"]])
def test_messages_around_the_length_up_to_which_they_are_copied(batch, size, witness):
    chain = [Tx([In(bytes(size + k), witness)], [(1, ADDRESSES[0])]) for k in range(3)]
    assert_read_alike(batch, [make_block(chain)], [tx.raw() for tx in chain])


def test_a_transaction_of_20_000_outputs(batch):
    tx = Tx([In()], [(k, ADDRESSES[k % 5]) for k in range(20_000)])
    assert_read_alike(batch, [make_block([COINBASE, tx])], [COINBASE.raw(), tx.raw()])


def test_empty_blocks(batch):
    chain = [Tx([In(k.to_bytes(4, "little"))], [(50, ADDRESSES[0])]) for k in range(300)]
    assert_read_alike(batch, [make_block([tx]) for tx in chain], [tx.raw() for tx in chain])


@pytest.mark.parametrize(("n", "repeated"), [(3, 1), (5, 1), (6, 2), (12, 4)])
def test_the_twin_of_a_block_has_its_root_and_is_refused(batch, n, repeated):
    chain = [Tx([In()], locktime=k) for k in range(n)]
    block, twin = make_block(chain), make_block(chain + chain[-repeated:])
    assert block[36:68] == twin[36:68]
    assert decode(batch, block)[0] == kernels.OK
    assert decode(batch, SMALL, twin, SMALL) == (kernels.TWIN, 1, len(SMALL))


def test_the_first_wrong_block_is_told(batch):
    changed = bytearray(SMALL)
    changed[40] ^= 1
    assert decode(batch, SMALL, bytes(changed), SMALL[:-1]) == (kernels.BAD_ROOT, 1, len(SMALL))
    assert (batch.n_blocks, batch.n_tx) == (1, 3)
    assert decode(batch, SMALL, SMALL + b"\0", bytes(changed)) == (kernels.EXTRA_BYTES, 1, 2 * len(SMALL))


FAULTS = {
    kernels.NOT_CANONICAL: SMALL[:80] + b"\xfd\x03\x00" + SMALL[81:],
    kernels.BAD_FLAG: SMALL[:80] + b"\1" + b"\2\0\0\0\0\2" + bytes(60),
    kernels.EXTRA_BYTES: SMALL + b"\0",
    kernels.NO_TRANSACTION: SMALL[:80] + b"\0",
    kernels.EMPTY_WITNESS: SMALL[:80] + b"\1" + b"\2\0\0\0\0\1\1" + bytes(36) + b"\0" + bytes(4) + b"\0\0" + bytes(4),
    kernels.NO_INPUT: SMALL[:80] + b"\1" + b"\2\0\0\0\0\0" + bytes(60),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_code(batch, fault):
    assert told(batch, FAULTS[fault])[0][0] == fault


def test_blocks_outside_of_the_buffer_are_told_as_cut(batch):
    buf = np.frombuffer(SMALL, np.uint8)
    for start, size in ((-1, len(SMALL)), (1, len(SMALL)), (2**62, 100), (-(2**63), 100), (0, -5), (0, 80)):
        verdict = batch.decode(buf, np.array([start], np.int64), np.array([size], np.int64))
        assert verdict == (kernels.TRUNCATED, 0, start)


def test_more_than_a_batch_holds_is_wrong_use():
    small = Batch(len(SMALL))
    assert decode(small, SMALL)[0] == kernels.OK
    for blocks in ([SMALL, SMALL], [SMALL] + [b""] * 50):
        with pytest.raises(UsageError, match="more than the arrays"):
            decode(small, *blocks)
    with pytest.raises(UsageError, match="contiguous"):
        small.decode(np.zeros(300, np.uint8)[::2], np.zeros(1, np.int64), np.full(1, 90, np.int64))
    with pytest.raises(UsageError, match="4,294,967,295"):
        Batch(2**32)
