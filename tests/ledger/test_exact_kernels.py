"""Keys made to collide, given to the kernels: all bytes of a key decide, never its hash or its first bytes."""

import numpy as np
import pytest

from geldspur.bitcoin.kernels import SLACK
from geldspur.ledger import keyedhash
from geldspur.ledger.build import kernels
from geldspur.ledger.build.partitions import kernels as partitions
from geldspur.ledger.build.tables import SCRIPT_WORDS, TX_WORDS, empty_table
from geldspur.ledger.lookup import kernels as lookup
from geldspur.ledger.lookup.make import Primary, make_run
from geldspur.ledger.lookup.open import open_run

KEY = (0x0123456789ABCDEF, 0xFEDCBA9876543210)
KEYS = np.array(KEY, np.uint64)
BITS = 10
SLOTS = 1 << BITS
COUNT = 300


def txids(shared):
    """Ids that share their first bytes, and so (from 16 on) their hash; told apart by what follows."""
    ids = np.zeros((COUNT, 32), np.uint8)
    ids[:] = np.arange(32)
    numbers = np.arange(COUNT, dtype=">u2").view(np.uint8).reshape(-1, 2)
    if shared == 31:
        return ids[:256].copy() + np.pad(np.arange(256, dtype=np.uint8)[:, None], ((0, 0), (31, 0)))
    ids[:, shared : shared + 2] = numbers
    return ids


def outpoints(ids, vouts=None):
    """Outpoints, uint8[n,36], as the decoder gives them."""
    vouts = np.zeros(len(ids), "<u4") if vouts is None else np.asarray(vouts, "<u4")
    return np.hstack([ids, vouts.view(np.uint8).reshape(-1, 4)])


def entered(ids):
    """A table of transactions, and the twins met."""
    table = empty_table(SLOTS, TX_WORDS)
    n = len(ids)
    new, old = np.empty(n, np.int64), np.empty(n, np.int64)
    twins = kernels.insert_txids(table, KEYS, ids, 0, 0, n, new, old)
    return table, list(zip(new[:twins].tolist(), old[:twins].tolist(), strict=True))


@pytest.mark.parametrize("shared", [8, 16, 30, 31])
def test_txids_that_share_their_start_are_told_apart(shared):
    ids = txids(shared)
    if shared >= 16:
        assert len({keyedhash.txid_hash(KEY, i.tobytes()) for i in ids}) == 1
    table, twins = entered(ids)
    assert twins == []
    order = np.random.default_rng(1).permutation(len(ids))
    strange = txids(31)[:200] ^ np.uint8(0x80 if shared != 31 else 0)
    strange[:, 20] = 99
    wanted = outpoints(np.vstack([ids[order], strange]))
    found = np.empty(len(wanted), np.int64)
    kernels.find_prevout_txs(table, KEYS, 0, ids, wanted, len(wanted), found)
    assert found[: len(ids)].tolist() == order.tolist()
    assert set(found[len(ids) :].tolist()) == {-1}


def test_a_table_that_is_nearly_full_goes_round_its_end():
    ids = np.random.default_rng(2).integers(0, 256, (SLOTS - 1, 32), dtype=np.uint8)
    table, _ = entered(ids)
    assert np.count_nonzero(table) == SLOTS - 1
    wanted = outpoints(ids)
    found = np.empty(len(ids), np.int64)
    kernels.find_prevout_txs(table, KEYS, 0, ids, wanted, len(ids), found)
    assert found.tolist() == list(range(SLOTS - 1))


@pytest.mark.parametrize("shared", [16, 31])
def test_equal_txids_among_ones_that_share_their_hash(shared):
    ids = txids(shared)
    ids[77], ids[200] = ids[3], ids[3]
    _, twins = entered(ids)
    assert twins == [(77, 3), (200, 77)]


@pytest.mark.parametrize("shared", [8, 16, 31])
def test_partitions_tell_txids_apart(shared):
    ids = txids(shared)
    n = len(ids)
    records = np.hstack([ids, np.arange(1000, 1000 + n, dtype="<u4").view(np.uint8).reshape(-1, 4)])
    table, new, old = empty_table(1 << BITS, TX_WORDS), np.empty(n, np.int64), np.empty(n, np.int64)
    assert kernels.insert_txids(table, KEYS, records, 0, 0, n, new, old) == 0

    def answers(wanted):
        found, answer = np.empty(n, np.int64), np.empty(n, np.uint64)
        kernels.find_prevout_txs(table, KEYS, 0, records, wanted, n, found)
        partitions.answer_inputs(found, records, wanted, n, answer)
        return answer

    vouts = np.arange(n) * 7 + 0xFFFF0000
    order = np.random.default_rng(1).permutation(n)
    answer = answers(outpoints(ids[order], vouts))
    assert (answer & np.uint64(0xFFFFFFFF)).tolist() == (1000 + order).tolist()
    assert (answer >> np.uint64(32)).tolist() == vouts.tolist()
    strange = ids[order].copy()
    strange[:, 19] ^= 1
    assert set((answers(outpoints(strange)) & np.uint64(0xFFFFFFFF)).tolist()) == {int(partitions.MISS)}


def colliding_payloads():
    """Two payloads of one type whose keyed hashes agree in all bits that a table of 1024 slots looks at.

    The hash is a chain of bijections of each word of eight bytes, so that the last word can be chosen to undo what
    an earlier one changed.
    """
    mask = (1 << 64) - 1
    a_inverse = pow(keyedhash._A, -1, 1 << 64)

    def state(first):
        h = KEY[0] ^ 5 << 32 ^ 32
        for word in first:
            h = (h ^ word) * keyedhash._A & mask
            h ^= h >> 32
        return h

    def unstep(h):
        h ^= h >> 32
        return h * a_inverse & mask

    wanted = state([1, 2, 3, 4])
    made = []
    for first in (1, 5, 9):
        last = unstep(wanted) ^ state([first, 2, 3])
        made.append(b"".join(w.to_bytes(8, "little") for w in (first, 2, 3, last)))
    hashes = {keyedhash.script_hash(KEY, 5, payload) for payload in made}
    assert len(hashes) == 1 and len(set(made)) == 3
    return made


def assign(payloads, kinds, table=None, older=(), known=b"", n_known=0):
    """Ids that the kernel gives to outputs, after `n_known` scripts whose payloads are known; and the new payloads."""
    data = b"".join(payloads)
    buf = np.frombuffer(data + bytes(8), np.uint8).copy()
    length = np.array([len(p) for p in payloads], np.uint32)
    at = (np.cumsum(length) - length).astype(np.uint32)
    n = len(payloads)
    new_type, new_at, new_output = np.empty(n, np.uint8), np.empty(n + 1, np.int64), np.empty(n, np.int64)
    payload, ids = np.empty(len(data) + SLACK, np.uint8), np.empty(n, np.uint32)
    new = kernels.assign_scripts(
        empty_table(SLOTS, SCRIPT_WORDS) if table is None else table, KEYS,
        np.array(kinds, np.uint8), at, length, buf, n,
        np.array(older, np.int64), np.frombuffer(known + bytes(8), np.uint8).copy(), len(known), n_known,
        new_type, new_at, payload, new_output, ids,
    )  # fmt: skip
    assert [int(ids[o]) for o in new_output[:new]] == list(range(n_known, n_known + new))
    return ids.tolist(), [payload[new_at[k] : new_at[k + 1]].tobytes() for k in range(new)]


def test_scripts_of_one_hash_are_told_apart():
    made = colliding_payloads()
    ids, new = assign([*made, *reversed(made)], [5] * 6)
    assert (ids, new) == ([0, 1, 2, 2, 1, 0], made)
    table = empty_table(SLOTS, SCRIPT_WORDS)
    assign(made[:2], [5, 5], table)
    assert assign(made, [5] * 3, table, known=b"".join(made[:2]), n_known=2) == ([0, 1, 2], made[2:])
    again = empty_table(SLOTS, SCRIPT_WORDS)
    at = 32 * np.arange(3)
    kernels.insert_scripts(again, KEYS, np.full(2, 5, np.uint8), at, np.frombuffer(b"".join(made[:2]), np.uint8), 0, 2)
    assert assign(made, [5] * 3, again, known=b"".join(made[:2]), n_known=2) == ([0, 1, 2], made[2:])


def test_scripts_of_equal_payload_and_different_type_are_told_apart():
    assert assign([b"x" * 32, b"x" * 32, b"x" * 32], [5, 6, 5]) == ([0, 1, 0], [b"x" * 32] * 2)


def test_zeros_at_the_end_of_a_payload_count():
    payloads = [b"a" + bytes(n) for n in range(70)]
    ids, new = assign(payloads, [0] * 70)
    assert ids == list(range(70)) and new == payloads


def test_partitions_tell_scripts_of_one_hash_apart():
    made = colliding_payloads()
    records = np.frombuffer(b"".join(b"\x05" + p for p in [*made, *made]), np.uint8).copy()
    table, blob = np.zeros(1 << BITS, np.uint64), np.empty(4096, np.uint8)
    known_at, local = np.zeros(100, np.int64), np.empty(6, np.uint32)
    done, used, known, _ = partitions.number_scripts(table, KEYS, records, len(records), blob, 0, 0, known_at, local)
    assert (done, used, known) == (6, len(records), 3)
    assert (local & ~partitions.NEW).tolist() == [0, 1, 2, 0, 1, 2]


def test_runs_tell_keys_of_one_hash_apart(tmp_path):
    """By the plain look-up and by the kernels of appends; buckets beyond 64 rows are sorted in another way."""
    for shared in (16, 31):
        ids = txids(shared)
        made = colliding_payloads()
        n = len(ids)
        primary = Primary(
            ids, np.full(3, 5, np.uint8), 32 * np.arange(4), np.frombuffer(b"".join(made), np.uint8).copy(),
            np.array([0, 1, 2, 1], np.uint32),
        )  # fmt: skip
        folder = tmp_path / "lookup" / f"run{shared}"
        folder.mkdir(parents=True)
        entry = make_run(folder, primary, KEY, (0, n), (0, 3), (0, 4), 1 << 20)
        run = open_run(tmp_path, {"name": folder.name, **entry})
        for row in range(n):
            found = run.candidate_txs(ids[row].tobytes())
            assert row in found and len(found) == n
        assert [sorted(run.candidate_scripts(5, p)) for p in made] == [[0, 1, 2]] * 3
        bits = (len(run.tx_bucket) - 1).bit_length() - 1
        found, hashes = np.full(n, -1, np.int64), np.empty(n, np.uint64)
        lookup.find_txs_in_run(
            KEYS, bits, run.tx_bucket, run.tx_order, run.tx_tag, n, ids, outpoints(ids), 36, n, hashes, found
        )
        assert found.tolist() == list(range(n))
        data = np.frombuffer(b"".join(made) + bytes(8), np.uint8).copy()
        known = np.full(3, -1, np.int64)
        bits = (len(run.script_bucket) - 1).bit_length() - 1
        lookup.find_scripts_in_run(
            KEYS, bits, run.script_bucket, run.script_order, run.script_tag, 3, primary.script_type,
            primary.script_at, primary.script_payload, np.full(3, 5, np.uint8), 32 * np.arange(3, dtype=np.uint32),
            np.full(3, 32, np.uint32), data, 3, known, *run.seen_of_scripts,
        )  # fmt: skip
        assert known.tolist() == [0, 1, 2]
