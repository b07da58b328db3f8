"""The block kernels read nothing beyond a block's end, and hash as hashlib does."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geldspur.bitcoin import kernels
from geldspur.bitcoin.scripts import ScriptType
from geldspur.bitcoin.sha256 import SCRATCH_TAIL, double_sha256
from geldspur.bitcoin.sha256_kernels import WORK_BYTES
from geldspur.bitcoin.transactions import TransactionError, parse_transaction


@given(st.binary(max_size=700))
def test_the_hash_is_that_of_hashlib(data):
    message = np.zeros(len(data) + SCRATCH_TAIL, np.uint8)
    message[: len(data)] = np.frombuffer(data, np.uint8)
    out = np.zeros(32, np.uint8)
    double_sha256(message, len(data), out, out, np.zeros(WORK_BYTES, np.uint8), np.zeros(192, np.uint8))
    assert out.tobytes() == hashlib.sha256(hashlib.sha256(data).digest()).digest()


@pytest.fixture(scope="module")
def block(embedded):
    ledger = embedded.ledger
    sizes = np.asarray(ledger.block_size)
    return ledger.raw_block(int(np.argmax(sizes)))


# What lies behind the block in memory: had a kernel read it, the verdict would depend on it.
BEHIND = (bytes(64), b"\xff" * 64)


def measured(data):
    results = []
    for tail in BEHIND:
        buf = np.frombuffer(data + tail, np.uint8)
        results.append(kernels.measure_block(buf, 0, len(data)))
    assert results[0] == results[1]
    return results[0]


@given(data=st.data())
def test_cut_and_mutated_blocks_are_refused_or_measured_alike_whatever_lies_behind(block, data):
    mutated = bytearray(block[: data.draw(st.integers(0, len(block)))])
    for _ in range(data.draw(st.integers(0, 6))):
        if len(mutated) > 81:
            mutated[data.draw(st.integers(80, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    n_tx, n_in, n_out, largest, fault, at = measured(bytes(mutated))
    assert 0 <= at <= max(len(mutated), 0)
    assert fault in (kernels.OK, *kernels.FAULTS)
    if fault == kernels.OK:
        assert n_tx > 0
        assert n_in >= n_tx
        assert largest <= len(mutated)
        assert n_out >= 0


@given(st.binary(max_size=400))
def test_noise_is_never_a_block_nor_a_transaction(noise):
    assert measured(noise)[4] in (kernels.OK, *kernels.FAULTS)
    with pytest.raises(TransactionError):
        parse_transaction(noise + b"\xfe\x00")


def test_a_huge_count_does_not_make_the_kernel_run_away(block):
    data = block[:80] + b"\xff" + (2**63 - 1).to_bytes(8, "little") + block[81:]
    assert measured(data)[4] != kernels.OK


def test_the_kernels_types_are_those_of_the_enumeration():
    names = ["NONSTANDARD", "P2PK", "P2PKH", "P2SH", "P2WPKH", "P2WSH", "P2TR", "MULTISIG", "WITNESS", "RETURN"]
    for number, name in enumerate(names):
        assert getattr(kernels, f"_{name}") == number
        assert ScriptType(number).name.startswith(name) or ScriptType(number).name.endswith(name)
